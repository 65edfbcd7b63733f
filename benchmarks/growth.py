"""How time and peak memory grow with batch, picture size, width and joints."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks.measure import (
    Result,
    Run,
    Settings,
    in_turn,
    medians,
    milliseconds,
    multiply_adds,
    peak_memory,
    real_batch,
    result,
)
from benchmarks.step import make_trainer
from benchmarks.warps import skip_run
from sdgan_lib.discriminators import PatchDiscriminator
from sdgan_lib.encoders import TwoStreamEncoder
from sdgan_lib.generators import WARPED_LEVELS
from sdgan_lib.heatmaps import heatmaps
from sdgan_lib.plotting import HOUSE_STYLE
from sdgan_lib.presets import PRESETS, Preset
from sdgan_lib.warping import deformable_skip


def step_run(settings: Settings, preset: Preset, size: tuple[int, int]) -> Run:
    """A run of one training step, discriminators and all, on pictures of ``size``."""
    trainer = make_trainer(settings, preset)
    batch = real_batch(settings, preset.recipe.batch_size, size)
    return lambda: trainer.train_step(batch, progress=1.0)


def joints_run(settings: Settings, preset: Preset, joints: int) -> Run:
    """A run of what depends on the number of joints, forward and backward: heat maps, encoder and discriminator.

    The library's skeleton has 18 joints, but these three take any number; the warps do not.
    """
    config, count, size = preset.generator, preset.recipe.batch_size, (128, 64)
    torch.manual_seed(0)
    pose = torch.rand(count, joints, 2).to(settings.device) * torch.tensor([64.0, 128.0]).to(settings.device)
    image = torch.randn(count, 3, *size).to(settings.device)
    encoder = TwoStreamEncoder(config.channels, config.pose_channels, config.norm, joints).to(settings.device)
    discriminator = PatchDiscriminator(preset.discriminator, joints).to(settings.device)
    weights = [*encoder.parameters(), *discriminator.parameters()]

    def run() -> None:
        maps = heatmaps(pose, *size)
        appearance, code = encoder(image, maps, maps)
        logits = discriminator(torch.cat([image, maps, maps], 1), image)
        outputs = [appearance[-1], code[-1], logits]
        torch.autograd.grad(outputs, weights, [torch.ones_like(x) for x in outputs])

    return run


def growth_series(settings: Settings) -> dict[str, dict[str, tuple[float, Run]]]:
    """What grows: series -> {label of a point: (its work, its run)}, smallest first.

    Work is the multiply-adds that PyTorch counts. It counts none for the deformable skip: there it is the numbers that
    are moved, as each takes the same few multiply-adds. Against joints it is their number: a joint more is a heat map
    more, and as many weights more in each first convolution.
    """
    preset = PRESETS["sdgan"]
    whole, sizes = (128, 64), [(64, 32), (128, 64), (256, 128)]

    def step(preset: Preset, size: tuple[int, int] = whole) -> tuple[float, Run]:
        run = step_run(settings, preset, size)
        return multiply_adds(run), run

    def step_of(batch: int) -> tuple[float, Run]:
        return step(replace(preset, recipe=replace(preset.recipe, batch_size=batch)))

    def joints(number: int) -> tuple[float, Run]:
        return number, joints_run(settings, preset, number)

    def skip(width: int = 16, batch: int = 8, size: tuple[int, int] = whole) -> tuple[float, Run]:
        channels = [width * 2**level for level in range(WARPED_LEVELS)]
        numbers = sum(batch * c * (size[0] >> i) * (size[1] >> i) for i, c in enumerate(channels))
        return numbers, skip_run(settings, deformable_skip, channels, batch, size)

    return {
        "step against batch": {f"{n}": step_of(n) for n in (4, 8, 16)},
        "step against picture size": {f"{h}x{w}": step(preset, (h, w)) for h, w in sizes},
        "step against width": {f"{n}": step(preset.with_width(n)) for n in (8, 16, 32)},
        "heat maps, encoder, discriminator against joints": {f"{n}": joints(n) for n in (9, 18, 36, 72)},
        "deformable skip against batch": {f"{n}": skip(batch=n) for n in (4, 8, 16, 32)},
        "deformable skip against picture size": {f"{h}x{w}": skip(size=(h, w)) for h, w in sizes},
        "deformable skip against width": {f"{n}": skip(width=n) for n in (8, 16, 32, 64)},
    }


def exponent(work: Sequence[float], cost: Sequence[float]) -> float:
    """The slope of log(cost) against log(work): 1 where cost grows in proportion."""
    return float(np.polyfit(np.log(work), np.log(cost), 1)[0])


def bench_growth(settings: Settings) -> list[Result]:
    """Time and peak memory against batch, picture size, width and joints; their exponents against the arithmetic.

    Time and memory should not grow faster than the arithmetic: an exponent of 1, with a tenth for caches that
    overflow. A smaller exponent tells of costs that stay, such as the start of each operation.
    """
    results, curves = [], {}
    for series, points in growth_series(settings).items():
        work = [counted for counted, _ in points.values()]
        timed = in_turn({label: run for label, (_, run) in points.items()}, settings, rounds=1)
        times = [float(np.median(medians(measured))) for measured in timed.values()]
        peaks = [peak_memory(run, settings.device) for _, run in points.values()]
        curves[series] = work, times, peaks
        subject, against = series.split(" against ")
        for (label, measured), peak in zip(timed.items(), peaks, strict=True):
            figure = f"{against} {label}"
            results += [
                milliseconds("growth", subject, f"{figure}: time", measured),
                result("growth", subject, f"{figure}: peak memory", [peak / 2**20], "MiB"),
            ]
        for name, cost in (("time", times), ("memory", peaks)):
            figure = f"{against}: exponent of {name}"
            results.append(result("growth", subject, figure, [exponent(work, cost)], "", at_most=1.1))
    if settings.figures is not None:
        plot_growth(curves, settings.figures / f"growth-{settings.device}.png")
    return results


def plot_growth(curves: dict[str, tuple], path: Path) -> None:
    """Draw time and peak memory of each series against its work, and the slope of proportion, as a PNG."""
    units = {"step": ("G multiply-adds", 1e9), "deformable skip": ("million numbers moved", 1e6)}
    subjects = list(dict.fromkeys(series.split(" against ")[0] for series in curves))
    with plt.rc_context(HOUSE_STYLE):
        size = 3.4 * len(subjects), 5.6
        figure, axes = plt.subplots(2, len(subjects), figsize=size, squeeze=False, layout="constrained")
        for column, subject in zip(axes.T, subjects, strict=True):
            unit, scale = units.get(subject, ("number of joints", 1))
            for series, (work, times, peaks) in curves.items():
                of, against = series.split(" against ")
                if of == subject:
                    for axis, cost in zip(
                        column, (1e3 * np.array(times), np.array(peaks) / 2**20), strict=True
                    ):
                        axis.loglog(np.array(work) / scale, cost, "o-", label=against, markersize=4)
            for axis, quantity in zip(column, ("time [ms]", "peak memory [MiB]"), strict=True):
                ends = np.array(axis.get_xlim())
                middle = np.sqrt(np.prod(axis.get_ylim()) / np.prod(ends))
                axis.loglog(ends, middle * ends, ":", color="#999999", label="in proportion")
                for scale_axis in (axis.xaxis, axis.yaxis):
                    scale_axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                    scale_axis.set_major_formatter("{x:g}")
                    scale_axis.set_minor_locator(NullLocator())
                axis.set_ylabel(quantity)
                axis.legend(fontsize="small")
            column[0].set_title(subject.replace(", ", ",\n", 1), fontsize="medium")
            column[-1].set_xlabel(unit)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
        plt.close(figure)
