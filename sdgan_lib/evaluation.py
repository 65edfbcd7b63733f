"""Evaluation: a generator on people it has never seen, always beside the answers that need no learning."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from sdgan_lib.batches import to_device
from sdgan_lib.checkpoints import Metrics
from sdgan_lib.datasets import PersonPairs, read_image
from sdgan_lib.generators import Generator
from sdgan_lib.metrics import METRICS, image_metrics, mean_metrics, pose_mask
from sdgan_lib.warping import limb_warps, warp_image

ANSWERS = ("model", "copy_source", "warp_only", "mean_image")
BATCH_SIZE = 16  # larger ones fall out of a processor's cache: 50 takes 1.1 times as long per pair


def mean_image(dataset: PersonPairs) -> Tensor:
    """The mean ``[3, H, W]`` of the pictures that occur in the pairs of ``dataset``: the blindest answer."""
    indices = dataset.pairs.unique().tolist()
    total = torch.zeros(3, *dataset.size)
    for index in indices:
        total += (
            read_image(dataset.data.image_path(index), dataset.data.size, dataset.size).float() / 127.5 - 1
        )
    return total / len(indices)


def warp_only(batch: dict) -> Tensor:
    """The source picture moved limb by limb into the target pose, with no network: ``[B, 3, H, W]``."""
    image = batch["source_image"]
    return warp_image(image, limb_warps(batch["source_pose"], batch["target_pose"], *image.shape[-2:]))


def pair_metrics(
    generator: Generator,
    test: PersonPairs,
    mean: Tensor | None = None,
    *,
    answers: Collection[str] = ANSWERS,
    device: torch.device | str = "cpu",
    batch_size: int = BATCH_SIZE,
    quiet: bool = False,
) -> tuple[dict[str, dict[str, Tensor]], Tensor]:
    """Every metric of each of the N pairs of ``test``, for each answer.

    Args:
        generator: in evaluation mode, on ``device``.
        test: pairs of the size that the generator was trained on.
        mean: the mean training image ``[3, H, W]``; needed for ``"mean_image"`` only.
        answers: some of :data:`ANSWERS`; the model alone is 0.6 to 0.7 of the work of all four.

    Returns:
        ``{answer: {metric: float64 [N]}}``, NaN where a metric is undefined, and whether one camera took both
        pictures, bool ``[N]``; both on the CPU, in the order of the pairs.

    Raises:
        ValueError: an unknown answer, or ``"mean_image"`` without ``mean``.
    """
    unknown = set(answers) - set(ANSWERS)
    if unknown or not answers:
        raise ValueError(f"answers must be some of {', '.join(ANSWERS)}, not {', '.join(unknown) or 'none'}")
    if "mean_image" in answers and mean is None:
        raise ValueError("the answer mean_image needs the mean training image: mean_image(training pairs)")
    mean = None if mean is None else mean.to(device)
    make: dict[str, Callable[[dict], Tensor]] = {
        "model": lambda b: generator.transfer(b["source_image"], b["source_pose"], b["target_pose"]).image,
        "copy_source": lambda b: b["source_image"],
        "warp_only": warp_only,
        "mean_image": lambda b: mean.expand_as(b["target_image"]),
    }
    collected: dict[str, list[dict[str, Tensor]]] = {name: [] for name in ANSWERS if name in answers}
    same_camera = []
    with torch.inference_mode():
        for batch in _batches(test, batch_size, device, quiet):
            same_camera.append(batch["same_camera"].bool().cpu())
            target = batch["target_image"]
            posed = pose_mask(batch["target_pose"], *target.shape[-2:])
            for name, parts in collected.items():
                values = image_metrics(make[name](batch), target, batch.get("target_mask"), posed)
                parts.append({metric: value.cpu() for metric, value in values.items()})
    joined = {
        name: {metric: torch.cat([part[metric] for part in parts]) for metric in METRICS}
        for name, parts in collected.items()
    }
    return joined, torch.cat(same_camera)


def group_means(values: dict[str, dict[str, Tensor]], same_camera: Tensor) -> Metrics:
    """Means of what :func:`pair_metrics` returns, over the pairs of one camera and over all.

    Returns:
        ``{"same_camera" | "all": {answer: {metric: mean}}}``. A metric that is undefined for a picture (no person's
        pixel) leaves it out. ``"same_camera"`` is missing when no pair is known to be of one camera.
    """
    groups = {"same_camera": same_camera, "all": torch.ones_like(same_camera)}
    return {
        group: {
            name: mean_metrics({metric: value[chosen] for metric, value in metrics.items()})[0]
            for name, metrics in values.items()
        }
        for group, chosen in groups.items()
        if chosen.any()
    }


def evaluate(generator: Generator, test: PersonPairs, mean: Tensor | None = None, **options: Any) -> Metrics:
    """Mean metrics of the generator and of the trivial answers over the pairs of ``test``.

    Arguments as of :func:`pair_metrics`, result as of :func:`group_means`.
    """
    return group_means(*pair_metrics(generator, test, mean, **options))


def _batches(pairs: PersonPairs, batch_size: int, device: torch.device | str, quiet: bool) -> Iterator[dict]:
    loader = DataLoader(pairs, batch_size=batch_size)
    for batch in tqdm(loader, desc="evaluating", disable=quiet, dynamic_ncols=True):
        yield to_device(batch, device)
