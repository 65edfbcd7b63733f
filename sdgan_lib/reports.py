"""Reports on an evaluation: tables, galleries, tenths and the card of a generator."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import default_collate

from sdgan_lib.batches import to_device
from sdgan_lib.checkpoints import ARCHITECTURE, CheckpointError, Metrics, read_exported
from sdgan_lib.datasets import PersonPairs
from sdgan_lib.evaluation import warp_only
from sdgan_lib.generators import Generator
from sdgan_lib.metrics import HIGHER_IS_BETTER, METRICS
from sdgan_lib.plotting import beside, gallery
from sdgan_lib.protocol import identity

DECILES = {"best": (0.0, 0.1), "middle": (0.45, 0.55), "worst": (0.9, 1.0)}  # shares of the pairs, best first


def make_gallery(
    generator: Generator,
    test: PersonPairs,
    *,
    rows: int = 6,
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
    return _round_colours(gallery({k: v.cpu() for k, v in columns.items()}, row_labels=labels))


def _round_colours(image: Image.Image) -> Image.Image:
    """64 steps per channel instead of 256: not seen by the eye, and the PNG file is a quarter smaller."""
    return image.point([round(value * 63 / 255) * 255 // 63 for value in range(256)] * 3)


def decile_pairs(test: PersonPairs, scores: Tensor, rows: int = 3) -> dict[str, list[int]]:
    """Pairs of the best, the middle and the worst tenth by ``scores``, drawn by a fixed rule and not by their looks.

    The pairs are sorted by score, best first, equal ones in their order. Each tenth of :data:`DECILES` is cut into
    ``rows`` stretches of equal length, and each stretch gives its first pair from its middle on whose person is not
    shown yet (starting over at its beginning); if all are, the one in the middle.

    Args:
        test: N pairs.
        scores: ``[N]``, higher is better; a pair with NaN is left out.

    Returns:
        ``{"best" | "middle" | "worst": indices of rows pairs}``, best first; fewer if a tenth has fewer pairs.
    """
    order = scores.argsort(descending=True, stable=True)
    order = order[scores[order].isfinite()].tolist()
    people = [identity(test.names[source]) for source in test.pairs[:, 0].tolist()]
    shown: set[str] = set()
    chosen: dict[str, list[int]] = {}
    for name, (start, end) in DECILES.items():
        tenth = order[round(start * len(order)) : round(end * len(order))]
        count = min(rows, len(tenth))
        chosen[name] = []
        for i in range(count):
            stretch = tenth[i * len(tenth) // count : (i + 1) * len(tenth) // count]
            half = len(stretch) // 2
            stretch = stretch[half:] + stretch[:half]
            pair = next((p for p in stretch if people[p] not in shown), stretch[0])
            shown.add(people[pair])
            chosen[name].append(pair)
    return chosen


def make_deciles(
    generator: Generator,
    test: PersonPairs,
    scores: Tensor,
    *,
    rows: int = 3,
    device: torch.device | str = "cpu",
) -> Image.Image:
    """The best, the middle and the worst tenth of the pairs of ``test``, side by side, ``rows`` pairs of each.

    Args:
        generator: in evaluation mode, on ``device``.
        scores: the generator's ``fg_ssim`` of each pair ``[N]``, from :func:`pair_metrics`; :func:`decile_pairs` draws
            by it, and each pair is labelled with its own.

    Raises:
        ValueError: fewer pairs than it takes for a pair in each tenth.
    """
    chosen = decile_pairs(test, scores, rows)
    if not all(chosen.values()):
        raise ValueError(f"{int(scores.isfinite().sum())} scored pairs are too few for tenths of them")
    blocks = []
    for name, pairs in chosen.items():
        items = [test[pair] for pair in pairs]
        batch = to_device(default_collate(items), device)
        with torch.inference_mode():
            made = generator.transfer(batch["source_image"], batch["source_pose"], batch["target_pose"])
        columns = {
            "source": batch["source_image"],
            "pose": batch["target_pose"],
            "target": batch["target_image"],
            "output": made.image,
        }
        labels = [
            f"{scores[pair]:.3f}\n{'same' if item['same_camera'] else 'other'}\ncamera"
            for pair, item in zip(pairs, items, strict=True)
        ]
        start, end = (round(100 * share) for share in DECILES[name])
        title = f"{name} tenth by fg_ssim: pairs {start} to {end} % of {len(scores):,}"
        blocks.append(gallery({k: v.cpu() for k, v in columns.items()}, None, 2, labels, title))
    return _round_colours(Image.fromarray(beside(*map(np.asarray, blocks), gap=16)))


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


CARD = """# A trained generator

`{name}` ({size:.1f} MB): the averaged (EMA) generator of one run of the main job, in half precision, so that
there is something to show at once. This card is written from what the file itself holds.

| | |
|---|---|
| system | `{config.system}`, width {config.width}, depth {config.depth}; {weights:,} weights |
| data | `data/people`, training split, {pairs}; 250 identities |
| budget | {exported.minutes:.0f} minutes, {exported.steps:,} steps of {recipe.batch_size} pairs, seed {exported.seed}{total} |
| learning rates | generator {recipe.generator_rate:g}, discriminators {recipe.discriminator_rate:g} |
| rest of the recipe | in the file's metadata, under `preset` |
| trained at | commit {commit} |
| architecture | version {architecture}, checked when the file is loaded |
| digest | `{digest}`: SHA-256 of the weights, checked when the file is loaded |
| licence | MIT, as the code; trained on CC0 pictures only |

## What it reaches

On the 50 held-out identities (1,000 pairs, half of them of one camera), beside the answers that need no learning.
`fg_` metrics are over the person's pixels only; `l1` and `fg_l1`: lower is better, pictures in [-1, 1]; `psnr` in dB.

{tables}

![Pairs of the best, the middle and the worst tenth, with their fg_ssim](deciles.png)

*`deciles.png`: three pairs each of the best, the middle and the worst tenth by `fg_ssim`, chosen by rule
(`decile_pairs` in `sdgan_lib/evaluation.py`). `gallery.png`: pairs drawn at random.*

## Limits

It knows drawn people of 128x64 pixels in front of drawn places, and nothing else. What the source does not show it
has to guess: the other side of a person, the other camera's background. Look for heads that blur when they turn,
bags and prints that jump from front to back, and ghosts where the person stood; `deciles.png` shows the worst tenth
beside the best. It is made to be looked at and tried out, not to be relied on.

## Load it

    from sdgan_lib.checkpoints import load_generator

    generator = load_generator("data/checkpoints/{name}")
    picture = generator.transfer(source_image, source_pose, target_pose).image

or `python -m sdgan_lib generate --checkpoint data/checkpoints/{name} --source ... --target ...`

## How it was made, and how to replace it

    python -m sdgan_lib train --system {config.system} --minutes {exported.minutes:.0f}{start_option} --name shipped
    python -m sdgan_lib export runs/shipped/checkpoint.pt data/checkpoints/{name} --commit COMMIT
    cp runs/shipped/gallery.png runs/shipped/deciles.png data/checkpoints/
    python -m sdgan_lib card data/checkpoints/{name}
    python -m pytest tests/test_shipped.py

The training ends with its evaluation; an interrupted one goes on with `--resume`. COMMIT is the one that the training
ran at. The figures above are those of the run's own evaluation, in single precision (`python -m sdgan_lib evaluate
runs/shipped/checkpoint.pt` repeats it); the test measures those of the file anew.
"""


CARD_NAMES = {
    "model": "this file",
    "warp_only": "limbs warped, no network",
    "copy_source": "source copied",
    "mean_image": "mean training picture",
}


CARD_METRICS = ("fg_ssim", "fg_l1", "fg_psnr", "ssim", "l1", "psnr", "mask_ssim")


def markdown_tables(metrics: Metrics) -> str:
    """The metrics as Markdown, one table per group of pairs."""
    tables = []
    for group, answers in metrics.items():
        lines = [f"| {group.replace('_', ' ')} pairs | {' | '.join(CARD_METRICS)} |", "|---" * 8 + "|"]
        for answer, name in CARD_NAMES.items():
            cells = [f"{answers[answer][m]:.{2 if 'psnr' in m else 3}f}" for m in CARD_METRICS]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def model_card(path: Path) -> str:
    """The card (Markdown) of an exported generator, written from the file's own metadata.

    Raises:
        CheckpointError: the file cannot be read, or holds no metrics.
    """
    path = Path(path)
    exported = read_exported(path)
    if exported.metrics is None:
        raise CheckpointError(
            f"{path}: it holds no metrics; run python -m sdgan_lib evaluate on the run's checkpoint, then export anew"
        )
    start, total, start_option = exported.start, "", ""
    if start is not None:
        total = (
            f"; they started from the weights `{start.digest[:12]}…` of {start.minutes:.0f} minutes, {start.steps:,} "
            f"steps: {start.minutes + exported.minutes:.0f} minutes in all"
        )
        start_option = " --start-from START"
    return CARD.format(
        name=path.name,
        size=path.stat().st_size / 1e6,
        exported=exported,
        config=exported.preset.generator,
        recipe=exported.preset.recipe,
        weights=sum(value.numel() for value in exported.weights.values()),
        pairs="pairs of one camera" if exported.preset.recipe.pairs == "same-camera" else "all pairs",
        commit=f"`{exported.commit}`" if exported.commit else "not recorded",
        architecture=ARCHITECTURE,
        digest=exported.digest,
        tables=markdown_tables(exported.metrics),
        total=total,
        start_option=start_option,
    )
