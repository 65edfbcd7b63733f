"""The deformable skip against its reference: time, peak memory, and whether both give the same."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmarks.measure import (
    Result,
    Settings,
    fresh,
    in_turn,
    medians,
    milliseconds,
    peak_memory,
    real_batch,
    result,
)
from sdgan_lib.generators import WARPED_LEVELS
from sdgan_lib.presets import PRESETS
from sdgan_lib.warping import deformable_skip, deformable_skip_reference, limb_warps

SKIPS = {"ours": deformable_skip, "reference": deformable_skip_reference}


def skip_run(
    settings: Settings,
    skip: Callable,
    channels: Sequence[int],
    count: int = 8,
    size: tuple[int, int] = (128, 64),
    dtype: torch.dtype = torch.float32,
) -> Callable[[], tuple[list[Tensor], tuple[Tensor, ...]]]:
    """A run of ``skip`` at all levels, forward, then backward; it returns the moved features and the gradients.

    ``count`` real pairs of poses in pictures of ``size``; level i has ``channels[i]`` channels and 1/2^i of the
    size, in PyTorch's usual layout. Every run prepares the warps of each level anew from their maps and masks.
    """
    batch = real_batch(settings, count, size)
    warps = limb_warps(batch["source_pose"], batch["target_pose"], *size)
    chance = torch.Generator().manual_seed(0)

    def draw(level: int) -> Tensor:
        shape = count, channels[level], size[0] >> level, size[1] >> level
        return torch.randn(shape, generator=chance).to(settings.device, dtype)

    features = [draw(level).requires_grad_() for level in range(len(channels))]
    gradients = [draw(level) for level in range(len(channels))]

    def run() -> tuple[list[Tensor], tuple[Tensor, ...]]:
        prepared = fresh(warps)
        moved = [skip(f, prepared) for f in features]
        return moved, torch.autograd.grad(moved, features, gradients)

    return run


def bench_warps(settings: Settings) -> list[Result]:
    """The deformable skip against its reference, with the channels of the laptop preset and of the paper's."""
    results = []
    target = 2 if settings.device == "cuda" else 4
    for preset in ("sdgan", "sdgan-paper"):
        channels = PRESETS[preset].generator.channels[:WARPED_LEVELS]
        check_skip(settings, channels)
        runs = {who: skip_run(settings, skip, channels) for who, skip in SKIPS.items()}
        timed = in_turn(runs, settings)
        faster = medians(timed["reference"]) / medians(timed["ours"])
        peaks = {who: peak_memory(run, settings.device) / 2**20 for who, run in runs.items()}
        smaller = [peaks["ours"] / peaks["reference"]]
        case = f"channels {', '.join(map(str, channels))}"
        results += [
            *(milliseconds("warps", case, who, measured) for who, measured in timed.items()),
            result("warps", case, "reference / ours", faster, "x", at_least=target),
            *(result("warps", case, f"{who}, peak memory", [peak], "MiB") for who, peak in peaks.items()),
            result("warps", case, "peak memory, ours / reference", smaller, "x", at_most=0.25),
        ]
    return results


def check_skip(settings: Settings, channels: Sequence[int], count: int = 8) -> None:
    """Raise AssertionError when ``deformable_skip`` or its gradient is more than 1e-5 off the reference in float64.

    (In float32 the reference's own rounded grid puts it 2e-4 off.)
    """
    ours = skip_run(settings, deformable_skip, channels, count)()
    exact = skip_run(settings, deformable_skip_reference, channels, count, dtype=torch.float64)()
    torch.testing.assert_close(ours, exact, atol=1e-5, rtol=1e-5, check_dtype=False)
