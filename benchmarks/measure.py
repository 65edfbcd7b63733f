"""What every part measures with: settings, one figure, times in turn, peak memory, real pairs."""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils.benchmark import Measurement, Timer
from torch.utils.data import default_collate
from torch.utils.flop_counter import FlopCounterMode

from sdgan_lib.batches import to_device
from sdgan_lib.datasets import PersonPairs
from sdgan_lib.inputs import Inputs, make_inputs
from sdgan_lib.warping import LimbWarps

ROUNDS = 5
Run = Callable[[], object]


@dataclass(frozen=True)
class Result:
    """One figure: the median and the quartiles of what was measured, and its target if it has one.

    ``part`` of the benchmark, ``subject`` that was measured (a preset, say), and ``figure``, what about it;
    ``at_most`` and ``at_least`` are the targets, in ``unit``.
    """

    part: str
    subject: str
    figure: str
    value: float
    low: float
    high: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        if self.at_most is None and self.at_least is None:
            return None
        return self.value <= (self.at_most or np.inf) and self.value >= (self.at_least or -np.inf)


@dataclass(frozen=True)
class Settings:
    """What to measure and how long.

    Attributes:
        device: ``"cpu"`` or ``"cuda"``.
        presets: names in ``PRESETS``.
        threads: of the CPU.
        seconds: shortest time spent on each figure.
        data: folder of the data set that real poses and pictures come from.
        figures: folder for the plots of ``growth``, None for no plots.
    """

    device: str = "cpu"
    presets: tuple[str, ...] = ("baseline", "deformable", "sdgan")
    threads: int = 1
    seconds: float = 0.5
    data: Path = Path("data/people")
    figures: Path | None = None


def in_turn(
    runs: dict[str, Run], settings: Settings, rounds: int | None = None
) -> dict[str, list[Measurement]]:
    """Time each of ``runs`` once per round (of ``ROUNDS``), one after the other: their measurements, round by round.

    The work waiting on a GPU is finished before each reading of the clock. Each block begins with a run that does
    not count.
    """
    timers = {
        name: Timer("run()", globals={"run": run}, num_threads=settings.threads) for name, run in runs.items()
    }
    measured: dict[str, list[Measurement]] = {name: [] for name in runs}
    rounds = rounds or ROUNDS
    for _ in range(rounds):
        for name, timer in timers.items():
            measured[name].append(timer.blocked_autorange(min_run_time=settings.seconds / rounds))
    return measured


def medians(measured: list[Measurement]) -> np.ndarray:
    """The median time of each round in seconds, ``[rounds]``."""
    return np.array([m.median for m in measured])


def result(
    part: str, subject: str, figure: str, values: Iterable[float], unit: str, **target: float
) -> Result:
    """Median and quartiles of ``values``."""
    low, value, high = np.percentile(np.asarray(list(values), float), [25, 50, 75]).tolist()
    return Result(part, subject, figure, value, low, high, unit, **target)


def milliseconds(
    part: str, subject: str, figure: str, measured: list[Measurement], **target: float
) -> Result:
    """Median and quartiles of all single times of a run, in ms."""
    return result(part, subject, figure, [1e3 * t for m in measured for t in m.times], "ms", **target)


def peak_memory(run: Run, device: str) -> int:
    """Bytes of tensors that a run holds at its peak, beyond those that were there before.

    On the CPU PyTorch's profiler notes what is taken and given back; what an operation takes for itself without
    asking PyTorch (oneDNN's scratch memory, say) is not in it. On CUDA PyTorch counts by itself.
    """
    run()  # whatever is made once and kept
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    os.environ.setdefault("KINETO_LOG_LEVEL", "5")  # nothing but fatal errors of the profiler
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        run()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        record.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    return max(accumulate(event["args"]["Bytes"] for event in events if event["name"] == "[memory]"))


def real_batch(settings: Settings, count: int, size: tuple[int, int] | None = None) -> dict:
    """``count`` pairs of the data set, spread over its test split, on the device; pictures of ``size`` if given."""
    people = PersonPairs(settings.data, "test", pairs="all", size=size, masks=False)
    chosen = np.linspace(0, len(people) - 1, count).round().astype(int).tolist()
    return to_device(default_collate([people[i] for i in chosen]), settings.device)


def multiply_adds(run: Run) -> int:
    """Multiply-adds of the convolutions and matrix products of a run."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() // 2


def fresh(warps: LimbWarps) -> LimbWarps:
    """The same warps with nothing prepared."""
    return LimbWarps(warps.maps, warps.masks, warps.size)


def asked_for(inputs: Inputs) -> list[str]:
    """What inputs have drawn because they were asked for it: warps and body masks, as far as anybody reads them."""
    kept = [name for name in vars(inputs) if isinstance(vars(Inputs).get(name), cached_property)]
    return [name for name in kept if not name.startswith("_")]


def prepared(given: Sequence[Tensor], background: str, names: Sequence[str]) -> Inputs:
    """Inputs of source picture, source pose and target pose, with what ``names`` says drawn already."""
    inputs = make_inputs(*given, background)
    for name in names:
        getattr(inputs, name)
    return inputs
