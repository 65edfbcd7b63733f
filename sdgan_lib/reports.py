"""Reports on an evaluation: tables, galleries, tenths and the card of a generator."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import default_collate

from sdgan_lib.batches import to_cpu, to_device
from sdgan_lib.checkpoints import ARCHITECTURE, CheckpointError, Metrics, Trained, read_exported
from sdgan_lib.datasets import PersonPairs
from sdgan_lib.errors import Problem, UserError
from sdgan_lib.evaluation import CEILING, REFERENCES, Answer, Estimate, Evaluation, Table, warp_only
from sdgan_lib.files import read_text, write_whole
from sdgan_lib.generators import Generator
from sdgan_lib.images import write_picture
from sdgan_lib.metrics import HIGHER_IS_BETTER, SET_METRICS
from sdgan_lib.plotting import beside, gallery
from sdgan_lib.presets import PRESETS, Preset
from sdgan_lib.protocol import identity

# --- tables -------------------------------------------------------------------------------------

PERSON = ("fg_ssim", "fg_l1", "fg_psnr", "head_l1", "pck", "pckh")
PLACE = ("uncovered_l1", "speckle", "ssim", "l1", "psnr", "mask_ssim")
COLUMNS = PERSON + PLACE
"""Metrics in the order of the tables, those of the person alone first."""

SETS = tuple(metric for metric in SET_METRICS if metric != "fd_movenet")
"""Metrics of whole sets of pictures, a block of its own where any was measured."""

MORE = (*SETS, "fd_movenet", "ssim_own_range", "mask_ssim_own_range")
"""Columns that Markdown has too where they were measured; the last three are for comparison with published figures."""

HEADLINES = ("fg_ssim", "fg_l1", "pck", "kd_movenet")
"""Metrics whose intervals are shown; those of all are in the evaluation's own table."""

EFFECTS = ("fg_ssim", "fg_l1", "pckh", "kd_movenet", "lpips")
"""Metrics whose differences between systems are shown first."""

NOTES = """\
l1 of any kind: lower is better, pictures in [-1, 1]; psnr in dB; target_itself is the ceiling.
fg_: over the person's pixels only; head_l1: over those near the face.
pck, pckh: share of the joints that a pose estimator finds again, within a quarter of the
torso or half of the head.
uncovered_l1: over what the person hid in the source picture and no longer does, in pairs of
one camera, where the data set has masks; fill_source is the floor that has to be beaten.
speckle: stray pixels per 10,000; good is the target's own, a blur has none.
mask_ssim is close to 0.8 for any picture at all, see fg_ssim instead."""

SET_NOTES = """\
kd_movenet: kernel distance (x 1000) between what the pose estimator sees in all these
pictures and in their targets; 0: nothing tells the two sets apart, as with real sources.
lpips, fid, kid (x 1000): lower is better; is, mask_is: higher is better."""

TWO_DIGITS = ("speckle", "kd_movenet", "fd_movenet", "fid", "kid", "is", "mask_is")

UNDEFINED = "–"


def from_means(metrics: Metrics) -> Table:
    """The table of what ``metrics.json`` or an exported file holds: means, with neither spread nor intervals.

    A metric that is not there (undefined, or younger than the file) is NaN.
    """
    return {
        group: {
            answer: {metric: Estimate(values.get(metric, math.nan)) for metric in COLUMNS + MORE}
            for answer, values in answers.items()
        }
        for group, answers in metrics.items()
    }


def text_table(table: Table) -> str:
    """A table as text, blocks for each group of pairs: metrics of the person, of the place and of all, and of sets.

    ``*`` marks the best of a column, the ceiling aside; intervals stand below.
    """
    lines = []
    for group, systems in table.items():
        for columns in filter(None, (PERSON, PLACE, _measured(systems, SETS))):
            rows = [[f"{group.replace('_', '-')} pairs", *columns], *_rows(systems, columns, mark="*")]
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            for first, *cells in rows:
                aligned = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
                lines.append("  ".join([first.ljust(widths[0]), *aligned]).rstrip())
            lines.append("")
        lines.pop()
        for name in (name for name in systems if name not in REFERENCES):
            measured = _measured({name: systems[name]}, HEADLINES)
            lines.append(f"{name}: {'; '.join(_headline(metric, name, systems) for metric in measured)}")
        lines.append("")
    return "\n".join([*lines, NOTES, *_set_notes(table)])


def _set_notes(table: Table) -> list[str]:
    """What the metrics of sets mean, where any was measured."""
    return [SET_NOTES] if any(_measured(systems, SETS) for systems in table.values()) else []


def _measured(systems: Mapping[str, Mapping[str, Estimate]], metrics: Sequence[str]) -> tuple[str, ...]:
    """Those of some metrics that any system has."""
    return tuple(
        metric
        for metric in metrics
        if any(metric in values and not math.isnan(values[metric].mean) for values in systems.values())
    )


def markdown_table(table: Table, names: Mapping[str, str] | None = None) -> str:
    """A table as Markdown, one per group of pairs.

    Args:
        table: of an evaluation; intervals get columns of their own, if it has any.
        names: what systems are called there instead.
    """
    blocks = []
    for group, systems in table.items():
        shown = [
            m for m in _measured(systems, HEADLINES) if any(math.isfinite(v[m].low) for v in systems.values())
        ]
        columns = COLUMNS + _measured(systems, MORE)
        rows = [[f"{group.replace('_', ' ')} pairs", *columns, *(f"{metric}, 95 %" for metric in shown)]]
        for name, *cells in _rows(systems, columns):
            rows.append([(names or {}).get(name, name), *cells, *(_ends(m, systems[name][m]) for m in shown)])
        lines = [f"| {' | '.join(row)} |" for row in rows]
        lines.insert(1, "|---" * len(rows[0]) + "|")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def effect(metric: str, found: Estimate) -> str:
    """What a difference says: better, worse, or nothing.

    Something is said only where the difference is beyond both the interval over people and the spread over seeds (that
    of the difference of two single runs).
    """
    if HIGHER_IS_BETTER[metric] is None or math.isnan(found.low):
        return ""
    if math.isnan(found.spread):
        return "one seed"
    if abs(found.mean) <= found.spread or found.low <= 0 <= found.high:
        return "no"
    return "better" if (found.mean > 0) == HIGHER_IS_BETTER[metric] else "worse"


def effects_overview(differences: Mapping[str, Mapping[str, Mapping[str, Estimate]]]) -> str:
    """The headlines of differences, ``{title: {group: {metric: estimate}}}``, as Markdown: a row for each title."""
    blocks = []
    for group in next(iter(differences.values())):
        rows = {title: found[group] for title, found in differences.items()}
        metrics = _measured(rows, EFFECTS)
        heads = [f"{group.replace('_', ' ')} pairs", *metrics]
        lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        for title, found in rows.items():
            cells = [
                f"{_signed(metric, found[metric])} {effect(metric, found[metric])}" for metric in metrics
            ]
            lines.append(f"| {' | '.join([title, *cells])} |")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _signed(metric: str, value: Estimate) -> str:
    return ("+" if value.mean > 0 else "") + _number(metric, value.mean)


def effects_table(differences: Mapping[str, Mapping[str, Estimate]]) -> str:
    """Differences of two systems, ``{group: {metric: estimate}}``, as Markdown: a row for each metric."""
    groups = list(differences)
    heads = ["metric"]
    for group in groups:
        heads += [f"{group.replace('_', ' ')} pairs", "95 % over people", "spread over seeds", "effect"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for metric in _measured(differences, COLUMNS + MORE):
        cells = [metric]
        for found in (differences[group][metric] for group in groups):
            seeds = _number(metric, found.spread)
            cells += [_signed(metric, found), _ends(metric, found), seeds, effect(metric, found)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _rows(
    systems: Mapping[str, Mapping[str, Estimate]], columns: Sequence[str], mark: str = ""
) -> list[list[str]]:
    """System and ``columns`` of each row, with the spread over seeds where there is one."""
    rows = []
    for system, values in systems.items():
        cells = []
        for metric in columns:
            spread = values[metric].spread
            cell = _number(metric, values[metric].mean)
            cell += "" if math.isnan(spread) else f" ± {_number(metric, spread)}"
            best = system in _rivals(metric, systems) and values[metric].mean == _best(metric, systems)
            cells.append(cell + (mark if best else " " * len(mark)))
        rows.append([system, *cells])
    return rows


def _best(metric: str, systems: Mapping[str, Mapping[str, Estimate]]) -> float | None:
    """The best mean of a column; None where none is defined or more is not better."""
    column = [systems[name][metric].mean for name in _rivals(metric, systems)]
    column = [mean for mean in column if not math.isnan(mean)]
    if not column or HIGHER_IS_BETTER[metric] is None:
        return None
    return max(column) if HIGHER_IS_BETTER[metric] else min(column)


def _rivals(metric: str, systems: Mapping[str, Mapping[str, Estimate]]) -> set[str]:
    """The systems that can be the best: not the ceiling, nor, as a set of pictures, the sources, which are real too."""
    return systems.keys() - ({CEILING, "copy_source"} if metric in SETS and metric != "lpips" else {CEILING})


def _headline(metric: str, system: str, systems: Mapping[str, Mapping[str, Estimate]]) -> str:
    """One figure of a system, its interval, and its ratio to that of limbs that are only moved, or to the ceiling."""
    value = systems[system][metric]
    other = CEILING if metric == "pck" else "warp_only"
    text = f"{metric} {_number(metric, value.mean)}"
    if math.isfinite(value.low):
        text += f" (95 % over people: {_ends(metric, value)})"
    if other in systems and systems[other][metric].mean:
        text += f", {value.mean / systems[other][metric].mean:.2f} x {other}"
    return text


def _ends(metric: str, value: Estimate) -> str:
    if math.isnan(value.low):
        return UNDEFINED
    return f"{_number(metric, value.low)} to {_number(metric, value.high)}"


def _number(metric: str, value: float) -> str:
    if not math.isfinite(value):
        return UNDEFINED
    return f"{value:.{2 if 'psnr' in metric or metric in TWO_DIGITS else 3}f}"


# --- pictures -----------------------------------------------------------------------------------

DECILES = {"best": (0.0, 0.1), "middle": (0.45, 0.55), "worst": (0.9, 1.0)}
"""Shares of the pairs, best first."""


def make_gallery(
    answers: Mapping[str, Answer],
    test: PersonPairs,
    *,
    generator: Generator | None = None,
    rows: int = 6,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Image.Image:
    """Source, target pose, target and each answer, for ``rows`` pairs of ``test``.

    The pairs are drawn at random (by ``seed``), not chosen by their looks: first those of one camera, then the others,
    each labelled.

    Args:
        answers: by the heading of their column.
        generator: its pictures follow, coarsest first.
    """
    order = torch.randperm(len(test), generator=torch.Generator().manual_seed(seed)).tolist()
    items = [test[i] for i in order[:rows]]
    items.sort(key=lambda item: not item["same_camera"])
    labels = ["same camera" if item["same_camera"] else "other camera" for item in items]
    return _round_colours(gallery(_columns(items, answers, generator, device), row_labels=labels))


def make_figure(
    answers: Mapping[str, Answer],
    test: PersonPairs,
    tenths: Mapping[str, Sequence[int]],
    *,
    generator: Generator | None = None,
    device: torch.device | str = "cpu",
) -> Image.Image:
    """Source, target pose, target and each answer, for pairs of ``test`` by :func:`decile_pairs`, each labelled.

    Args:
        answers: by the heading of their column, as in Fig. 4 of the paper.
        test: the pairs.
        tenths: ``{"best": indices, ...}``.
        generator: its pictures follow, coarsest first, as in Fig. 5 of the paper.
        device: of the answers.
    """
    items, labels = [], []
    for tenth, pairs in tenths.items():
        for pair in pairs:
            items.append(test[pair])
            labels.append(f"{tenth} tenth\n{'same' if items[-1]['same_camera'] else 'other'} camera")
    return _round_colours(gallery(_columns(items, answers, generator, device), 2, labels))


def _columns(
    items: Sequence[dict],
    answers: Mapping[str, Answer],
    generator: Generator | None,
    device: torch.device | str,
) -> dict[str, Tensor]:
    """Columns of a gallery, on the CPU: what is given, each answer, and all pictures of a generator."""
    batch = to_device(default_collate(items), device)
    with torch.inference_mode():
        columns = {name: answer(batch) for name, answer in answers.items()}
        if generator is not None:
            made = generator.transfer(batch["source_image"], batch["source_pose"], batch["target_pose"])
            columns |= dict(zip(_output_names(len(made.images)), made.images, strict=True))
    return _given(batch) | to_cpu(columns)


def _output_names(count: int) -> list[str]:
    known = {1: ["output"], 2: ["coarse output", "output"], 3: ["low output", "middle output", "high output"]}
    return known.get(count) or [f"output {i + 1}" for i in range(count)]


def _given(batch: dict) -> dict[str, Tensor]:
    names = {"source": "source_image", "target pose": "target_pose", "target": "target_image"}
    return to_cpu({heading: batch[name] for heading, name in names.items()})


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
        rows: pairs of each tenth.

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


def too_few_for_tenths(pairs: int) -> str:
    """What is left out for this number of test pairs, as one line; empty if nothing is."""
    if all(round(start * pairs) < round(end * pairs) for start, end in DECILES.values()):
        return ""
    return f"{pairs} test pairs are too few for tenths of them: deciles.png is left out"


def make_deciles(
    answer: Answer,
    test: PersonPairs,
    scores: Tensor,
    *,
    name: str = "output",
    rows: int = 3,
    device: torch.device | str = "cpu",
) -> Image.Image:
    """The best, the middle and the worst tenth of the pairs of ``test``, side by side, ``rows`` pairs of each.

    Args:
        answer: what is shown beside the target.
        test: N pairs.
        scores: the answer's ``fg_ssim`` of each pair ``[N]``; :func:`decile_pairs` draws by it, and each pair is
            labelled with its own.
        name: heading of the answer's column.

    Raises:
        UserError: fewer pairs than it takes for a pair in each tenth, see :func:`too_few_for_tenths`.
    """
    if fault := too_few_for_tenths(int(scores.isfinite().sum())):
        raise UserError(fault)
    blocks = []
    for tenth, pairs in decile_pairs(test, scores, rows).items():
        items = [test[pair] for pair in pairs]
        columns = _columns(items, {name: answer}, None, device)
        labels = [
            f"{scores[pair]:.3f}\n{'same' if item['same_camera'] else 'other'}\ncamera"
            for pair, item in zip(pairs, items, strict=True)
        ]
        start, end = (round(100 * share) for share in DECILES[tenth])
        title = f"{tenth} tenth by fg_ssim: pairs {start} to {end} % of {len(scores):,}"
        blocks.append(gallery(columns, 2, labels, title))
    return _round_colours(Image.fromarray(beside(*map(np.asarray, blocks), gap=16)))


# --- files --------------------------------------------------------------------------------------


def summary(result: Evaluation, test: PersonPairs) -> dict:
    """What ``metrics.json`` holds: ``{"test": what the pairs are, "metrics": {group: {answer: {metric: mean}}}}``."""
    groups = {group: int(chosen.sum()) for group, chosen in result.groups.items()}
    return {"test": {**test.description(), "groups": groups}, "metrics": result.means()}


def write_reports(
    result: Evaluation,
    answers: Mapping[str, Answer],
    test: PersonPairs,
    folder: Path,
    *,
    generator: Generator | None = None,
    device: torch.device | str = "cpu",
) -> list[Path]:
    """Write ``metrics.json``, ``table.md``, ``gallery.png`` and, of enough pairs, ``deciles.png``.

    ``metrics.json`` is what :func:`summary` gives.

    Args:
        result: of ``answers`` and the references, on ``test``.
        answers: those shown in the pictures; the tenths are the first one's.
        test: the pairs.
        folder: made if it is not there.
        generator: where it is the only answer, all its pictures are shown in the gallery.
        device: of the answers.

    Returns:
        The files written.
    """
    write_whole(folder / "metrics.json", json.dumps(summary(result, test), indent=2) + "\n")
    write_whole(folder / "table.md", markdown_table(result.table()) + "\n")
    columns = {"warp only": warp_only} | ({} if generator else dict(answers))
    pictures = {"gallery.png": make_gallery(columns, test, generator=generator, device=device)}
    if not too_few_for_tenths(len(test)):
        name, answer = next(iter(answers.items()))
        scores = result.values[name]["fg_ssim"]
        heading = name if len(answers) > 1 else "output"
        pictures["deciles.png"] = make_deciles(answer, test, scores, name=heading, device=device)
    for name, picture in pictures.items():
        write_picture(folder / name, picture, optimize=True)
    return [folder / name for name in ("metrics.json", "table.md", *pictures)]


# --- the card -----------------------------------------------------------------------------------

MARK = "<!-- written by `python -m sdgan_lib card`, which may write it anew -->"
"""First line of a card; a README without it is somebody's own."""

CARD = """{mark}
# A trained generator

`{name}` ({size:.1f} MB): the averaged (EMA) generator of one training run, in half precision. This card is written
from what the file itself holds.

| | |
|---|---|
| system | `{config.system}`, width {config.width}, depth {config.depth}; {weights:,} weights |
| data | {data} |
| budget | {budget} |
| learning rates | generator {recipe.generator_rate:g}, discriminators {recipe.discriminator_rate:g} |
| rest of the recipe | in the file's metadata, under `preset` |
| trained at | commit {commit} |
| architecture | version {architecture}, checked when the file is loaded |
| digest | `{exported.digest}`: SHA-256 of the weights, checked when the file is loaded |
| licence | of the pictures that it was trained on: {licence}; of the code: MIT |

## What it reaches

{test}.
Beside this file stand the answers that need no learning. `fg_` metrics are over the person's pixels only, `head_l1`
over those near the face, `uncovered_l1` over what the person hid in the source picture and no longer does (in pairs of
one camera). `l1` of any kind: lower is better, pictures in [-1, 1]; `psnr` in dB. `speckle` counts stray pixels per
10,000: good is the target's own. `pck` and `pckh`: the share of the target's joints that a pose estimator (MoveNet
Thunder) finds again within a quarter of the torso, or half of the head; good is the target's own. "–": not measured, or
undefined.

{tables}
{pictures}
## Limits

It knows people like those it was trained on, and nothing else. What the source does not show it has to guess: the other
side of a person, the other camera's background. Look for faces that blur when heads turn, for hands, for bags and
prints that jump from front to back or are lost, and, without a composition, for a ghost where the person stood. It is
made to be looked at and tried out, not to be relied on.

## Load it

    from sdgan_lib.checkpoints import load_generator

    generator = load_generator("{name}")
    picture = generator.transfer(source_image, source_pose, target_pose).image

or `python -m sdgan_lib generate --checkpoint {name} --source ... --target ...`

## How to make it anew

    {command}
    python -m sdgan_lib export runs/NAME/checkpoint.pt {name} --commit COMMIT
    python -m sdgan_lib card {name}

{notes}"""

CARD_NAMES = {
    "model": "this file",
    "warp_only": "limbs warped, no network",
    "copy_source": "source copied",
    "fill_source": "source without the person, filled",
    "mean_picture": "mean training picture",
    "mean_image": "mean training picture",  # its name in older files
    "target_itself": "the target itself",
}
"""What answers are called in a card, in the order of its tables."""

NOT_RECORDED = "not recorded"

OPTIONS = {"generator.width": "--width", "recipe.batch_size": "--batch-size", "recipe.pairs": "--pairs"}
"""Options of ``train`` that change what a preset says."""


def write_card(file: Path, out: Path | None = None) -> Path:
    """Write the card of an exported generator.

    Args:
        file: that ``export`` wrote.
        out: file to write, whatever it holds; by default ``README.md`` beside ``file``.

    Returns:
        The file written.

    Raises:
        UserError: beside ``file`` there is a README that is not a card.
    """
    target = Path(file).with_name("README.md") if out is None else Path(out)
    card = model_card(file, target.parent)
    if out is None and target.exists() and not read_text(target).startswith(MARK):
        remedy = f"name the card's file with --out FILE, or move {Path(file).name} into a folder of its own"
        raise UserError(Problem(target, "not a card, so it is left alone", remedy))
    write_whole(target, card)
    return target


def model_card(path: Path, folder: Path | None = None) -> str:
    """The card (Markdown) of an exported generator, written from the file's own metadata.

    Args:
        path: the exported file.
        folder: of the card, where ``deciles.png`` and ``gallery.png`` are looked for; by default that of the file.

    Raises:
        CheckpointError: the file cannot be read, or holds no metrics.
    """
    path = Path(path)
    exported = read_exported(path)
    if exported.metrics is None:
        raise CheckpointError(
            f"{path}: it holds no metrics. Remedy: run python -m sdgan_lib evaluate on the run's checkpoint, then "
            "export anew."
        )
    data, test = exported.data, exported.test
    recipe, start = exported.preset.recipe, exported.start
    budget = f"{exported.minutes:.0f} minutes, {exported.steps:,} steps of {recipe.batch_size} pairs"
    budget += f", seed {exported.seed}"
    if start is not None:
        budget += (
            f"; they started from the weights `{start.digest[:12]}…` of {start.minutes:.0f} minutes, {start.steps:,} "
            f"steps: {start.minutes + exported.minutes:.0f} minutes in all"
        )
    command, notes = _command(exported)
    table = from_means(_in_order(exported.metrics))
    return CARD.format(
        mark=MARK,
        name=path.name,
        size=path.stat().st_size / 1e6,
        exported=exported,
        config=exported.preset.generator,
        recipe=recipe,
        weights=sum(value.numel() for value in exported.weights.values()),
        data=_pairs(data) if data else NOT_RECORDED,
        budget=budget,
        commit=f"`{exported.commit}`" if exported.commit else NOT_RECORDED,
        architecture=ARCHITECTURE,
        licence=(data or {}).get("licence") or NOT_RECORDED,
        test=f"On {_pairs(test)}" if test else f"On test pairs (which ones is {NOT_RECORDED})",
        tables="\n\n".join([markdown_table(table, CARD_NAMES), *_set_notes(table)]),
        pictures=_pictures_beside(path.parent if folder is None else Path(folder)),
        command=command,
        notes=notes,
    )


def _pairs(data: dict) -> str:
    """Pairs in words, from :meth:`PersonPairs.description`, with the number of one camera where it is known."""
    height, width = data["size"]
    same = data.get("groups", {}).get("same_camera", 0)
    kind = "of one camera" if data["kind"] == "same-camera" else f"{same:,} of one camera" if same else ""
    return (
        f"`{data['name']}`, split {data['split']}: {data['pairs']:,} pairs{kind and f' ({kind})'} of "
        f"{data['pictures']:,} pictures ({height}x{width}) of {data['identities']:,} identities"
        + (f"; {data['note']}" if data.get("note") else "")
    )


def _in_order(metrics: Metrics) -> Metrics:
    return {
        group: {name: answers[name] for name in dict.fromkeys([*CARD_NAMES, *answers]) if name in answers}
        for group, answers in metrics.items()
    }


def _pictures_beside(folder: Path) -> str:
    lines = []
    if (folder / "deciles.png").is_file():
        lines += [
            "",
            "![Pairs of the best, the middle and the worst tenth, with their fg_ssim](deciles.png)",
            "",
            "*`deciles.png`: pairs of the best, the middle and the worst tenth by `fg_ssim`, chosen by rule",
            "(`decile_pairs` in `sdgan_lib/reports.py`).*",
        ]
    if (folder / "gallery.png").is_file():
        lines += ["", "*[`gallery.png`](gallery.png): pairs drawn at random.*"]
    return "\n".join([*lines, ""])


def _command(exported: Trained) -> tuple[str, str]:
    """The command that trains such a generator, and notes on what stands in it in capitals."""
    name, differences = _nearest_preset(exported.preset)
    options = {"--system": name, "--steps": exported.steps, "--seed": exported.seed}
    options |= {option: differences.pop(field) for field, option in OPTIONS.items() if field in differences}
    data = NOT_RECORDED
    if exported.data is not None:
        data = (
            f"`{exported.data['name']}`, SHA-256 of names, poses and pairs `{exported.data['digest'][:12]}…`"
        )
    notes = [f"DATA: the folder of the training data ({data})."]
    if exported.start is not None:
        options["--start-from"] = "START"
        differences.pop("recipe.half_size", None)  # --start-from implies it
        notes.append(f"START: a generator with the weights `{exported.start.digest[:12]}…`.")
    notes.append(
        "COMMIT: the one that the training ran at. Rounding differs between machines, so weights will too."
    )
    if differences:
        changed = ", ".join(f"`{field}` is {value!r}" for field, value in differences.items())
        notes.append(f"No option says what else differs from the preset: {changed}.")
    options |= {"--data": "DATA", "--name": "NAME"}
    command = " ".join(f"{option} {value}" for option, value in options.items())
    return f"python -m sdgan_lib train {command}", "\n".join(notes) + "\n"


def _nearest_preset(preset: Preset) -> tuple[str, dict]:
    """The preset of the same system that differs least, and what differs: ``{"recipe.pairs": value of preset}``."""
    mine = preset.settings()
    found = {
        name: {key: value for key, value in mine.items() if value != other.settings()[key]}
        for name, other in PRESETS.items()
        if other.generator.system == preset.generator.system
    }
    name = min(found, key=lambda name: len(found[name]))
    return name, found[name]
