"""One training step of each preset: whole, beside its own convolutions alone, and taken apart."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from inspect import isfunction
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.data import DataLoader

from benchmarks.measure import (
    Result,
    Run,
    Settings,
    asked_for,
    fresh,
    in_turn,
    medians,
    milliseconds,
    multiply_adds,
    prepared,
    result,
)
from sdgan_lib import generators
from sdgan_lib.batches import ShuffledBatches, flip_pairs, halve_pairs, to_device
from sdgan_lib.datasets import PersonPairs
from sdgan_lib.heatmaps import heatmaps
from sdgan_lib.inputs import Generated, Inputs
from sdgan_lib.presets import PRESETS, Preset, schedule
from sdgan_lib.training import Trainer
from sdgan_lib.warping import LimbWarps, limb_warps


class Convolutions(TorchDispatchMode):
    """Notes every convolution that runs inside, forward and backward, with its very arguments: ``calls``.

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


def make_trainer(settings: Settings, preset: Preset) -> Trainer:
    """A trainer with learning rates 0, so that steps can be repeated for ever."""
    recipe = replace(preset.recipe, generator_rate=0.0, discriminator_rate=0.0)
    return Trainer(replace(preset, recipe=recipe), 0, settings.device)


def loaded_batches(settings: Settings, preset: Preset) -> Iterator[dict]:
    """Endless batches as training draws them, but no picture is kept: each is read and decoded from its file."""
    recipe = preset.recipe
    masks = preset.losses.reads_masks
    people = PersonPairs(settings.data, "train", pairs=recipe.pairs, masks=masks, keep_in_memory=False)
    for batch in DataLoader(people, batch_sampler=ShuffledBatches(len(people), recipe.batch_size, 0)):
        yield to_device(batch, settings.device)


def warp_calls(generator: nn.Module, inputs: Inputs) -> list[tuple[Callable, tuple]]:
    """Every call that a generator makes to the functions of ``sdgan_lib.warping``: the function and its arguments.

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


def step_pieces(trainer: Trainer, batches: Iterator[dict], progress: float) -> dict[str, Run]:
    """The pieces of a step at this share of a run, each as a run of its own on the step's own tensors.

    ``forward`` makes its inputs anew, as what they keep must not be there already: its time holds that of ``inputs``.
    """
    preset, objective, batch = trainer.preset, trainer.objective, next(batches)
    trainer.train_step(batch, progress)  # leaves gradients for the optimisers
    whole = tuple(batch["source_image"].shape[-2:])
    stage = schedule(preset, progress, whole)
    discriminator = trainer.discriminator if stage.adversarial else None
    flip = torch.arange(preset.recipe.batch_size, device=trainer.device) % 2 == 0
    inputs, reals, truth = trainer.prepare(batch, stage)
    given = inputs.source_image, inputs.source_pose, inputs.target_pose
    generated = trainer.generator(inputs)
    outside = Generated([x.detach().requires_grad_() for x in generated.images], [])
    weights = [w for w in trainer.generator.parameters() if w.requires_grad]
    ones = [torch.ones_like(x) for x in generated.images]
    objective.generator(None, generated, reals, inputs, truth)
    drawn = asked_for(inputs)  # by this generator and this loss

    def load() -> dict:
        loaded = flip_pairs(next(batches), flip)
        return loaded if stage.size == whole else halve_pairs(loaded)

    def prepare() -> Inputs:
        return prepared(given, preset.generator.background, drawn)

    def draw() -> None:
        for pose in given[1:]:
            heatmaps(pose, *stage.size)

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

    def discriminate() -> None:
        features = None
        if discriminator is not None:
            discriminator.requires_grad_(True)
            features = []
            loss, _ = objective.discriminator(discriminator, generated, reals, inputs, truth, features)
            trainer.discriminator_optimiser.zero_grad()
            loss.backward()
            discriminator.requires_grad_(False)
        loss, _ = objective.generator(discriminator, outside, reals, inputs, truth, features)
        torch.autograd.grad(loss, outside.images, allow_unused=True)  # PG2's coarse picture is not judged

    def update() -> None:
        if discriminator is not None:
            trainer.discriminator_optimiser.step()
        trainer.generator_optimiser.step()
        trainer.averaged.update_parameters(trainer.accelerator.unwrap_model(trainer.generator))

    return {
        "data": load,
        "inputs": prepare,
        "heat maps": draw,
        "move": move,
        "move back": move_back,
        "forward": lambda: trainer.generator(prepare()),
        "backward": lambda: torch.autograd.grad(generated.images, weights, ones, retain_graph=True),
        "discriminators": discriminate,
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
        phases = {name: 1.0}
        if preset.recipe.adversarial_start:
            phases[f"{name}, no D"] = preset.recipe.half_size  # the first moment at full size
            if preset.recipe.half_size:
                phases[f"{name}, no D, half size"] = 0.0
        for case, progress in phases.items():
            trainer, batches = make_trainer(settings, preset), loaded_batches(settings, preset)
            results += _step_results(case, trainer, batches, progress, settings, products, copied)
    return results


def _step_results(
    case: str,
    trainer: Trainer,
    batches: Iterator[dict],
    progress: float,
    settings: Settings,
    products: float,
    copied: float,
) -> list[Result]:
    pieces = step_pieces(trainer, batches, progress)

    def step() -> None:
        trainer.train_step(next(batches), progress)

    with Convolutions() as convolutions:
        step()
    counted = convolutions.work()
    arithmetic, traffic = np.array([(m / products, b / copied) for m, b in counted]).T
    floor = np.maximum(arithmetic, traffic).sum()
    runs = {"step": step, "convolutions": convolutions.replay}
    timed = in_turn(runs | pieces, settings)
    t = {name: medians(measured) for name, measured in timed.items()}
    warps = t["inputs"] - t["heat maps"] + t["move"] + t["move back"]
    taken_apart = {
        "data (every picture read and decoded)": t["data"],
        "heat maps": t["heat maps"],
        "maps and masks of limbs and bodies": t["inputs"] - t["heat maps"],
        "warps: features moved, forward": t["move"],
        "warps: features moved, backward": t["move back"],
        "generator forward, warps apart": t["forward"] - t["inputs"] - t["move"],
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
