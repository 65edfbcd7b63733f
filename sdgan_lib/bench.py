"""Benchmarks: what the warps, a training step, a picture and a slider cost, and how the cost grows.

Every duration comes from `torch.utils.benchmark`. What is compared is timed in one process and in turn, round
after round, so that a slow minute of the machine falls on both sides; a ratio is the median over the rounds.
"""

import json
import os
import platform
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from inspect import isfunction
from itertools import accumulate, cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.ticker import LogLocator, NullLocator
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.benchmark import Measurement, Timer
from torch.utils.data import DataLoader, default_collate
from torch.utils.flop_counter import FlopCounterMode

from sdgan_lib import generators
from sdgan_lib.datasets import PersonPairs
from sdgan_lib.discriminators import PatchDiscriminator
from sdgan_lib.encoders import TwoStreamEncoder
from sdgan_lib.generators import WARPED_LEVELS, Generated, Inputs, make_generator, make_inputs
from sdgan_lib.heatmaps import heatmaps
from sdgan_lib.inference import render_png
from sdgan_lib.plotting import HOUSE_STYLE, beside, draw_skeleton, encode_png, heatmap_overlay, to_uint8
from sdgan_lib.pose import JOINT
from sdgan_lib.presets import PRESETS, Preset
from sdgan_lib.training import ShuffledBatches, Trainer, flip_pairs, halve_pairs, to_device
from sdgan_lib.warping import (
    LimbWarps,
    deformable_skip,
    deformable_skip_reference,
    limb_warps,
    warp_image,
)

SKIPS = {"ours": deformable_skip, "reference": deformable_skip_reference}
PARTS = ("warps", "step", "inference", "slider", "growth", "busy")
ROUNDS = 5
Run = Callable[[], object]


@dataclass(frozen=True)
class Result:
    """One figure: the median and the quartiles of what was measured, and its target if it has one.

    `part` of the benchmark, `subject` that was measured (a preset, say), and `figure`, what about it; `at_most` and
    `at_least` are the targets, in `unit`.
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

    device: "cpu" or "cuda". presets: names in `PRESETS`. threads: of the CPU. seconds: shortest time spent on each
    figure. data: folder of the data set that real poses and pictures come from. figures: folder for the plots of
    `growth`, None for no plots.
    """

    device: str = "cpu"
    presets: tuple[str, ...] = ("baseline", "deformable", "sdgan")
    threads: int = 1
    seconds: float = 0.5
    data: Path = Path("data/people")
    figures: Path | None = None


# Measuring


def in_turn(
    runs: dict[str, Run], settings: Settings, rounds: int | None = None
) -> dict[str, list[Measurement]]:
    """Time each of `runs` once per round (of `ROUNDS`), one after the other: their measurements, round by round.

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
    """The median time of each round in seconds, `[rounds]`."""
    return np.array([m.median for m in measured])


def result(
    part: str, subject: str, figure: str, values: Iterable[float], unit: str, **target: float
) -> Result:
    """Median and quartiles of `values`."""
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
    """`count` pairs of the data set, spread over its test split, on the device; pictures of `size` if given."""
    people = PersonPairs(settings.data, "test", pairs="all", size=size, masks=False)
    chosen = np.linspace(0, len(people) - 1, count).round().astype(int).tolist()
    return to_device(default_collate([people[i] for i in chosen]), settings.device)


# A training step taken apart


def multiply_adds(run: Run) -> int:
    """Multiply-adds of the convolutions and matrix products of a run."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() // 2


class Convolutions(TorchDispatchMode):
    """Notes every convolution that runs inside, forward and backward, with its very arguments: `calls`.

    It sees what reaches PyTorch's convolution kernels: the same shapes, memory layouts, number types and choice of
    wanted gradients, wherever the call came from.
    """

    KERNELS = (torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default)

    def __init__(self):
        super().__init__()
        self.calls: list[tuple[Callable, tuple]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in self.KERNELS:
            self.calls.append((func, tree_map_only(Tensor, Tensor.detach, args)))
        return func(*args, **(kwargs or {}))

    def replay(self) -> None:
        """Run the same convolutions once more, in the same order, and nothing else."""
        for func, args in self.calls:
            func(*args)

    def work(self) -> list[tuple[int, int]]:
        """Of each call: multiply-adds, and bytes read and written if every number moves once."""
        counted = []
        for func, args in self.calls:
            tensors = [x for x in tree_leaves((args, func(*args))) if isinstance(x, Tensor)]
            counted.append((multiply_adds(lambda: func(*args)), sum(x.nbytes for x in tensors)))  # noqa: B023
        return counted


def machine_rates(settings: Settings) -> tuple[float, float]:
    """Multiply-adds per second of a large float32 matrix product, bytes per second of a large copy (both ways)."""
    side, length = (8192, 2**28) if settings.device == "cuda" else (2048, 2**24)
    a = torch.randn(side, side, device=settings.device)
    source = torch.randn(length, device=settings.device)
    target = torch.empty_like(source)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32  # as the convolutions have it
    timed = in_turn({"product": lambda: a @ a, "copy": lambda: target.copy_(source)}, settings)
    product, copy = (np.median(medians(timed[name])) for name in ("product", "copy"))
    return side**3 / product, 2 * source.nbytes / copy


def make_trainer(settings: Settings, preset: Preset, progress: float) -> Trainer:
    """A trainer at this share of its budget, with learning rates 0, so that steps can be repeated for ever."""
    trainer = Trainer(preset, 0, settings.device)
    trainer.set_progress(progress)
    for optimiser in (trainer.generator_optimiser, trainer.judge_optimiser):
        for group in optimiser.param_groups:
            group["lr"] = 0.0
    return trainer


def fresh(warps: LimbWarps) -> LimbWarps:
    """The same warps with nothing prepared."""
    return LimbWarps(warps.maps, warps.masks, warps.size)


def loaded_batches(settings: Settings, preset: Preset, halve: bool = False) -> Iterator[dict]:
    """Endless batches as training draws them, but no picture is kept: each is read and decoded from its file.

    `halve`: at half the size, as in the first share of a run.
    """
    recipe = preset.recipe
    people = PersonPairs(settings.data, "train", pairs=recipe.pairs, masks=False, keep_in_memory=False)
    for batch in DataLoader(people, batch_sampler=ShuffledBatches(len(people), recipe.batch_size, 0)):
        batch = to_device(batch, settings.device)
        yield halve_pairs(batch) if halve else batch


def warp_calls(generator: nn.Module, inputs: Inputs) -> list[tuple[Callable, tuple]]:
    """Every call that a generator makes to the functions of `sdgan_lib.warping`: the function and its arguments.

    Features come without the graph that made them, and require a gradient where they did.
    """
    calls = []

    def noting(function: Callable) -> Callable:
        def note(*arguments, **options):
            kept = tree_map_only(Tensor, lambda x: x.detach().requires_grad_(x.requires_grad), arguments)
            calls.append((partial(function, **options), kept))
            return function(*arguments, **options)

        return note

    with ExitStack() as stack:
        for name, function in vars(generators).copy().items():
            if isfunction(function) and function.__module__ == limb_warps.__module__:
                stack.enter_context(patch.object(generators, name, noting(function)))
        generator(inputs)
    return calls


def step_pieces(trainer: Trainer, batches: Iterator[dict]) -> dict[str, Run]:
    """The pieces of a training step, each as a run of its own on the step's own tensors."""
    preset, objective, batch = trainer.preset, trainer.objective, next(batches)
    trainer.train_step(batch)  # leaves gradients for the optimisers
    config, recipe = preset.generator, preset.recipe
    flip = torch.arange(recipe.batch_size, device=trainer.device) % 2 == 0
    given = batch["source_image"], batch["source_pose"], batch["target_pose"]
    height, width = given[0].shape[-2:]
    inputs = make_inputs(*given, config.background)
    reals = trainer.accelerator.unwrap_model(trainer.judge).reals(batch["target_image"])
    generated = trainer.generator(inputs)
    outside = Generated([x.detach().requires_grad_() for x in generated.images], [])
    weights = [w for w in trainer.generator.parameters() if w.requires_grad]
    ones = [torch.ones_like(x) for x in generated.images]
    # Body masks are drawn when they are first asked for: by this generator's attention, by this loss.
    wanted = {"source_body": "source_body" in vars(inputs), "target_body": bool(preset.losses.person_weight)}
    drawn = [name for name, yes in wanted.items() if yes]
    bodies = {name: getattr(inputs, name) for name in drawn}

    def prepare() -> None:
        made = make_inputs(*given, config.background)
        for name in drawn:
            getattr(made, name)

    def forward() -> Generated:
        again = replace(inputs, warps=fresh(inputs.warps))
        vars(again).update(bodies)
        return trainer.generator(again)

    def draw() -> None:
        for pose in given[1:]:
            heatmaps(pose, height, width)

    calls = warp_calls(trainer.generator, inputs)
    features = [x for _, arguments in calls for x in arguments if isinstance(x, Tensor) and x.requires_grad]

    def move() -> list[Tensor]:
        warps = fresh(inputs.warps)
        return [
            function(*(warps if isinstance(x, LimbWarps) else x for x in arguments))
            for function, arguments in calls
        ]

    moved = [x for x in move() if x.requires_grad]

    def move_back() -> None:
        if moved:
            torch.autograd.grad(moved, features, moved, retain_graph=True)

    def judge() -> None:
        if trainer.adversarial:
            trainer.judge.requires_grad_(True)
            loss, _ = objective.discriminator(trainer.judge, generated, reals, inputs)
            trainer.judge_optimiser.zero_grad()
            loss.backward()
            trainer.judge.requires_grad_(False)
        loss, _ = objective.generator(trainer.judge if trainer.adversarial else None, outside, reals, inputs)
        torch.autograd.grad(loss, outside.images)

    def update() -> None:
        if trainer.adversarial:
            trainer.judge_optimiser.step()
        trainer.generator_optimiser.step()
        trainer.averaged.update_parameters(trainer.accelerator.unwrap_model(trainer.generator))

    return {
        "data": lambda: flip_pairs(next(batches), flip),
        "inputs": prepare,
        "heat maps": draw,
        "move": move,
        "move back": move_back,
        "forward": forward,
        "backward": lambda: torch.autograd.grad(generated.images, weights, ones, retain_graph=True),
        "discriminators": judge,
        "update": update,
    }


def bench_step(settings: Settings) -> list[Result]:
    """One training step of each preset: whole, beside its own convolutions alone, and taken apart."""
    products, copied = machine_rates(settings)
    results = [
        result("step", "machine", "float32 matrix product", [products / 1e9], "G multiply-adds/s"),
        result("step", "machine", "copy", [copied / 1e9], "GB/s"),
    ]
    for name in settings.presets:
        preset = PRESETS[name]
        phases = [(name, 1.0, False)]
        if preset.recipe.adversarial_start:
            phases.append((f"{name}, no D", 0.0, False))
            if preset.recipe.half_size:
                phases.append((f"{name}, no D, half size", 0.0, True))
        for case, progress, halve in phases:
            trainer = make_trainer(settings, preset, progress)
            batches = loaded_batches(settings, preset, halve)
            results += _step_results(case, trainer, batches, settings, products, copied)
    return results


def _step_results(
    case: str,
    trainer: Trainer,
    batches: Iterator[dict],
    settings: Settings,
    products: float,
    copied: float,
) -> list[Result]:
    pieces = step_pieces(trainer, batches)
    with Convolutions() as convolutions:
        trainer.train_step(next(batches))
    counted = convolutions.work()
    arithmetic, traffic = np.array([(m / products, b / copied) for m, b in counted]).T
    floor = np.maximum(arithmetic, traffic).sum()
    runs = {"step": lambda: trainer.train_step(next(batches)), "convolutions": convolutions.replay}
    timed = in_turn(runs | pieces, settings)
    t = {name: medians(measured) for name, measured in timed.items()}
    warps = t["inputs"] - t["heat maps"] + t["move"] + t["move back"]
    taken_apart = {
        "data (every picture read and decoded)": t["data"],
        "heat maps": t["heat maps"],
        "maps and masks of limbs and bodies": t["inputs"] - t["heat maps"],
        "warps: features moved, forward": t["move"],
        "warps: features moved, backward": t["move back"],
        "generator forward, warps apart": t["forward"] - t["move"],
        "generator backward, warps apart": t["backward"] - t["move back"],
        "discriminators and losses": t["discriminators"],
        "optimisers and average": t["update"],
    }
    rest = t["step"] - sum(taken_apart.values())
    prepared = 100 * (t["data"] + t["heat maps"] + warps) / t["step"]
    laptop = {} if case.endswith("-paper") else {"at_most": 10}
    return [
        milliseconds("step", case, "whole step", timed["step"]),
        milliseconds("step", case, "its convolutions alone", timed["convolutions"]),
        result("step", case, "step / its convolutions", t["step"] / t["convolutions"], "x", at_most=1.5),
        result("step", case, "multiply-adds of its convolutions", [sum(m for m, _ in counted) / 1e9], "G"),
        result("step", case, "bytes of its convolutions", [sum(b for _, b in counted) / 1e9], "GB"),
        result("step", case, "these at the machine's rates", [1e3 * floor], "ms"),
        *(result("step", case, part, 1e3 * time, "ms") for part, time in taken_apart.items()),
        result("step", case, "what the parts do not see", 1e3 * rest, "ms"),
        result("step", case, "data, heat maps and warps / step", prepared, "%", **laptop),
    ]


# The deformable skip against the reference


def skip_run(
    settings: Settings,
    skip: Callable,
    channels: Sequence[int],
    count: int = 8,
    size: tuple[int, int] = (128, 64),
    dtype: torch.dtype = torch.float32,
) -> Callable[[], tuple[list[Tensor], tuple[Tensor, ...]]]:
    """A run of `skip` at all levels, forward, then backward; it returns the moved features and the gradients.

    `count` real pairs of poses in pictures of `size`; level i has `channels[i]` channels and 1/2^i of the size, in
    PyTorch's usual layout. Every run prepares the warps of each level anew from their maps and masks.
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
    """Raise AssertionError when `deformable_skip` or its gradient is more than 1e-5 off the reference in float64.

    (In float32 the reference's own rounded grid puts it 2e-4 off.)
    """
    ours = skip_run(settings, deformable_skip, channels, count)()
    exact = skip_run(settings, deformable_skip_reference, channels, count, dtype=torch.float64)()
    torch.testing.assert_close(ours, exact, atol=1e-5, rtol=1e-5, check_dtype=False)


# From joints to a picture, from a slider to a picture


def bench_inference(settings: Settings) -> list[Result]:
    """One picture of each preset from joints to PNG bytes, whole and piece by piece, and batches of 64."""
    return [found for name in settings.presets for found in _inference_results(name, settings)]


@torch.inference_mode()
def _inference_results(name: str, settings: Settings) -> list[Result]:
    config = PRESETS[name].generator
    torch.manual_seed(0)
    generator = make_generator(config).to(settings.device).eval()
    one, many = (
        [batch[key] for key in ("source_image", "source_pose", "target_pose")]
        for batch in (real_batch(settings, 1), real_batch(settings, 64))
    )
    inputs = make_inputs(*one, config.background)
    image = generator(inputs).image
    runs = {
        "joints to PNG bytes": lambda: render_png(generator, *(x[0] for x in one)),
        "heat maps, maps and masks": lambda: make_inputs(*one, config.background),
        "generator": lambda: generator(replace(inputs, warps=fresh(inputs.warps))),
        "picture to PNG bytes": lambda: encode_png(to_uint8(image)[0]),
        "64": lambda: generator.transfer(*many).image,
    }
    timed = in_turn(runs, settings)
    whole = timed.pop("joints to PNG bytes")
    slow = np.percentile([1e3 * t for m in whole for t in m.times], 95)
    many_rates = [64 / t for m in timed.pop("64") for t in m.times]
    target = {} if name.endswith("-paper") else {"at_most": 40}
    return [
        milliseconds("inference", name, "joints to PNG bytes", whole, **target),
        result("inference", name, "joints to PNG bytes, 95th percentile", [slow], "ms"),
        *(milliseconds("inference", name, piece, measured) for piece, measured in timed.items()),
        result("inference", name, "batches of 64", many_rates, "images/s"),
    ]


def slider_controls(settings: Settings) -> dict[str, tuple]:
    """The sliders of notebooks 01 and 03: each picture with controls, the control to move, and two values for it.

    The rendering functions put together what the notebooks' own do, from the same functions of the library.
    """
    from sdgan_lib.widgets import PictureControls, PoseControls, slider

    batch = real_batch(replace(settings, device="cpu"), 1)
    image, source, target = batch["source_image"], batch["source_pose"], batch["target_pose"]
    height, width = image.shape[-2:]
    features = F.avg_pool2d(image, 4)

    def skeleton_and_maps(pose: Tensor) -> np.ndarray:
        return beside(
            draw_skeleton(image[0], pose), heatmap_overlay(image[0], heatmaps(pose[None], height, width)[0])
        )

    def swing(shift: float) -> np.ndarray:
        pose = target.clone()
        pose[:, JOINT["Rwri"], 0] += shift
        warps = limb_warps(source, pose, height, width)
        small = deformable_skip(features, warps, "priority")
        large = F.interpolate(small, size=(height, width), mode="nearest")
        return beside(draw_skeleton(image[0], pose[0]), warp_image(image, warps)[0], large[0])

    pose = PoseControls(source[0], (height, width), skeleton_and_maps)
    limb = PictureControls(swing, {"shift": slider("shift", 0, -20, 20)})
    return {
        "notebook 01, a joint moved: skeleton and heat maps": (pose, "x", (20.0, 40.0)),
        "notebook 03, a forearm swung: warps, pixels and features": (limb, "shift", (-10.0, 10.0)),
    }


def bench_slider(settings: Settings) -> list[Result]:
    """From the new value of a slider to the PNG bytes of its picture, on the CPU; the browser's part is left out."""

    def mover(shown, name: str, values: tuple[float, float]) -> Run:
        ends = cycle(values)

        def move() -> bytes:
            shown.controls[name].value = next(ends)
            return shown.image.value

        return move

    runs = {case: mover(*control) for case, control in slider_controls(settings).items()}
    return [
        milliseconds("slider", case, "slider to PNG bytes", measured)
        for case, measured in in_turn(runs, settings).items()
    ]


# Cost as the work grows


def step_run(settings: Settings, preset: Preset, size: tuple[int, int]) -> Run:
    """A run of one training step, discriminators and all, on pictures of `size`."""
    trainer = make_trainer(settings, preset, progress=1.0)
    batch = real_batch(settings, preset.recipe.batch_size, size)
    return lambda: trainer.train_step(batch)


def joints_run(settings: Settings, preset: Preset, joints: int) -> Run:
    """A run of what depends on the number of joints, forward and backward: heat maps, encoder and discriminator.

    The library's skeleton has 18 joints, but these three take any number; the warps do not.
    """
    config, count, size = preset.generator, preset.recipe.batch_size, (128, 64)
    torch.manual_seed(0)
    pose = torch.rand(count, joints, 2).to(settings.device) * torch.tensor([64.0, 128.0]).to(settings.device)
    image = torch.randn(count, 3, *size).to(settings.device)
    encoder = TwoStreamEncoder(config.channels, config.pose_channels, config.norm, joints).to(settings.device)
    judge = PatchDiscriminator(preset.discriminator, joints).to(settings.device)
    weights = [*encoder.parameters(), *judge.parameters()]

    def run() -> None:
        maps = heatmaps(pose, *size)
        appearance, code = encoder(image, maps, maps)
        logits = judge(torch.cat([image, maps, maps], 1), image)
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


# The command


def machine(settings: Settings) -> dict[str, str | int]:
    """What was measured on: processor, cores, memory, GPU, versions, and the commit, where git knows one."""
    described: dict[str, str | int] = {
        "cpu": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": settings.threads,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (model := re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())):
        described["cpu"] = model[1]
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        described["memory_gib"] = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30)
    if settings.device == "cuda":
        described["gpu"] = torch.cuda.get_device_name()
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        described["commit"] = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        pass  # an installation without git, or outside a repository
    return described


def format_table(results: Sequence[Result]) -> str:
    """Results of one part as a Markdown table: figures down, subjects across; medians, and quartiles behind them."""
    subjects = list(dict.fromkeys(r.subject for r in results))
    rows: dict[tuple, dict[str, str]] = {}
    for r in results:
        target = f"≤ {r.at_most:g}" if r.at_most else f"≥ {r.at_least:g}" if r.at_least else ""
        cell = f"{r.value:.3g}" if r.value < 1000 else f"{r.value:.0f}"
        if r.low != r.high:
            cell += f" ({r.low:.3g}–{r.high:.3g})" if r.high < 1000 else f" ({r.low:.0f}–{r.high:.0f})"
        if r.met is not None:
            cell += " met" if r.met else " **missed**"
        rows.setdefault((r.figure, r.unit, target), {})[r.subject] = cell
    lines = [["", "unit", "target", *subjects], ["---"] * (3 + len(subjects))]
    lines += [[*row, *(cells.get(subject, "") for subject in subjects)] for row, cells in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bench(settings: Settings, parts: Sequence[str], out: Path) -> list[Result]:
    """Measure `parts`, print each part's table when it is done, and write everything to the JSON file `out`.

    Raises ValueError for an unknown part or preset, before anything is measured.
    """
    for kind, names, known in (("part", parts, PARTS), ("preset", settings.presets, tuple(PRESETS))):
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"there is no {kind} {unknown[0]!r}: choose from {', '.join(known)}")
    from benchmarks.busy import bench_busy

    functions = {
        "warps": bench_warps,
        "step": bench_step,
        "inference": bench_inference,
        "slider": bench_slider,
        "growth": bench_growth,
        "busy": bench_busy,
    }
    torch.set_num_threads(settings.threads)
    record = {"date": datetime.now().astimezone().isoformat(timespec="seconds"), "machine": machine(settings)}
    print(" · ".join([record["date"], *(f"{key} {value}" for key, value in record["machine"].items())]))
    results: list[Result] = []
    for part in parts:
        found = functions[part](settings)
        results += found
        print(f"\n{part}\n\n{format_table(found)}", flush=True)
    record |= {
        "parts": list(parts),
        "presets": list(settings.presets),
        "seconds": settings.seconds,
        "results": [asdict(r) | {"met": r.met} for r in results],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    missed = sum(r.met is False for r in results)
    print(f"\n{missed} of {sum(r.met is not None for r in results)} targets missed; written: {out}")
    return results
