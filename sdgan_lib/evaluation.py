"""Evaluation: a generator on people it has never seen, always beside the answers that need no learning."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, default_collate
from tqdm import tqdm

from sdgan_lib.datasets import PersonPairs, read_image
from sdgan_lib.generators import Generator
from sdgan_lib.metrics import HIGHER_IS_BETTER, METRICS, image_metrics, mean_metrics, pose_mask
from sdgan_lib.plotting import gallery
from sdgan_lib.training import to_device
from sdgan_lib.warping import limb_warps, warp_image

ANSWERS = ("model", "copy_source", "warp_only", "mean_image")


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


def evaluate(
    generator: Generator,
    test: PersonPairs,
    mean: Tensor,
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 50,
    quiet: bool = False,
) -> dict[str, dict[str, dict[str, float]]]:
    """Mean metrics of the generator and of the trivial answers over the pairs of ``test``.

    Args:
        generator: in evaluation mode, on ``device``.
        test: pairs of held-out identities, of the same size as the generator was trained on.
        mean: the mean training image ``[3, H, W]``.

    Returns:
        ``{"same_camera" | "all": {"model" | "copy_source" | "warp_only" | "mean_image": {metric: value}}}``.
        A metric that is undefined for a picture (no person's pixel) leaves it out. ``"same_camera"`` is missing
        when no pair is known to be of one camera.
    """
    mean = mean.to(device)
    answers: dict[str, Callable[[dict], Tensor]] = {
        "model": lambda b: generator.transfer(b["source_image"], b["source_pose"], b["target_pose"]).image,
        "copy_source": lambda b: b["source_image"],
        "warp_only": warp_only,
        "mean_image": lambda b: mean.expand_as(b["target_image"]),
    }
    collected: dict[str, list[dict[str, Tensor]]] = {name: [] for name in answers}
    same_camera = []
    with torch.inference_mode():
        for batch in _batches(test, batch_size, device, quiet):
            same_camera.append(batch["same_camera"].bool().cpu())
            target = batch["target_image"]
            posed = pose_mask(batch["target_pose"], *target.shape[-2:])
            for name, answer in answers.items():
                values = image_metrics(answer(batch), target, batch.get("target_mask"), posed)
                collected[name].append({k: v.cpu() for k, v in values.items()})
    is_same = torch.cat(same_camera)
    groups = {"same_camera": is_same, "all": torch.ones_like(is_same)}
    result: dict[str, dict[str, dict[str, float]]] = {}
    for group, chosen in groups.items():
        if chosen.any():
            result[group] = {}
            for name, parts in collected.items():
                values = {metric: torch.cat([p[metric] for p in parts])[chosen] for metric in METRICS}
                result[group][name] = mean_metrics(values)[0]
    return result


def _batches(pairs: PersonPairs, batch_size: int, device: torch.device | str, quiet: bool) -> Iterator[dict]:
    loader = DataLoader(pairs, batch_size=batch_size)
    for batch in tqdm(loader, desc="evaluating", disable=quiet, dynamic_ncols=True):
        yield to_device(batch, device)


def make_gallery(
    generator: Generator,
    test: PersonPairs,
    *,
    rows: int = 12,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Image.Image:
    """Source, target pose, target, warp only and every output of the generator, for ``rows`` pairs of ``test``.

    The pairs are drawn at random (by ``seed``), not chosen by their looks: first those of one camera, then the
    others, each labelled.
    """
    order = torch.randperm(len(test), generator=torch.Generator().manual_seed(seed)).tolist()
    items = [test[i] for i in order[:rows]]
    items.sort(key=lambda item: not item["same_camera"])
    batch = to_device(default_collate(items), device)
    with torch.inference_mode():
        made = generator.transfer(batch["source_image"], batch["source_pose"], batch["target_pose"])
    outputs = ["output"] if len(made.images) == 1 else ["low output", "middle output", "high output"]
    columns = {
        "source": batch["source_image"],
        "target pose": batch["target_pose"],
        "target": batch["target_image"],
        "warp only": warp_only(batch),
        **dict(zip(outputs, made.images, strict=True)),
    }
    labels = ["same camera" if item["same_camera"] else "other camera" for item in items]
    return gallery({k: v.cpu() for k, v in columns.items()}, row_labels=labels)


def format_table(metrics: dict[str, dict[str, dict[str, float]]]) -> str:
    """The metrics as text, one block per group of pairs; ``*`` marks the best answer of a column."""
    lines = []
    for group, answers in metrics.items():
        lines.append(f"{group.replace('_', '-')} pairs of held-out identities")
        lines.append(f"  {'':12}" + "".join(f"{m:>11}" for m in METRICS))
        for name, values in answers.items():
            cells = []
            for metric in METRICS:
                column = [a[metric] for a in answers.values()]
                best = max(column) if HIGHER_IS_BETTER[metric] else min(column)
                digits = 2 if "psnr" in metric else 3
                cells.append(f"{values[metric]:>10.{digits}f}" + ("*" if values[metric] == best else " "))
            lines.append(f"  {name:12}" + "".join(cells))
        model, warp = answers["model"], answers["warp_only"]
        lines.append(
            f"  model / warp_only: fg_ssim x {model['fg_ssim'] / warp['fg_ssim']:.2f}, "
            f"fg_l1 x {model['fg_l1'] / warp['fg_l1']:.2f}\n"
        )
    lines.append(
        "l1, fg_l1: lower is better (pictures in [-1, 1]); psnr in dB; fg_: over the person's pixels only."
    )
    lines.append("mask_ssim is close to 0.8 for any picture at all, see fg_ssim instead.")
    return "\n".join(lines)


def write_metrics(metrics: dict, path: Path) -> None:
    """Write the metrics as JSON."""
    Path(path).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
