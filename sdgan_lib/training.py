"""Training: one adversarial step, and the loop around it that survives interruptions (paper, eq. 6).

The order of pairs and every random choice depend on the seed and the step alone or are kept in the checkpoint, so a
run that was interrupted and resumed ends, on a CPU, with the very same weights as one that was not.
"""

import json
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TextIO

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from filelock import FileLock, Timeout
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from sdgan_lib.batches import ShuffledBatches, flip_pairs, halve_pairs, pick_device, pick_precision, to_device
from sdgan_lib.checkpoints import (
    CheckpointError,
    Start,
    load_checkpoint,
    load_start,
    preset_from_dict,
    preset_to_dict,
    save_checkpoint,
    start_from_dict,
)
from sdgan_lib.composition import Truth, make_truth
from sdgan_lib.discriminators import MultiScaleDiscriminator
from sdgan_lib.errors import UserError
from sdgan_lib.files import parse_json, read_text, write_whole
from sdgan_lib.generators import make_generator
from sdgan_lib.inputs import Inputs, make_inputs, pyramid
from sdgan_lib.losses import Objective
from sdgan_lib.presets import Preset, Stage, schedule
from sdgan_lib.systems import SYSTEMS

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
LOCK = ".lock"
"""File of a run's folder that a training holds; the system lets go of it when the process ends, however it ends."""
LOG_EVERY = 10


class TrainingError(UserError):
    """Training cannot go on; the message says where it stopped, why, and what is saved."""


@dataclass(frozen=True)
class Budget:
    """When training ends: after ``steps`` steps, or else after ``minutes`` minutes of training.

    Raises:
        UserError: for a budget that never ends or never begins.
    """

    minutes: float = 10.0
    steps: int | None = None

    def __post_init__(self):
        if not (0 < self.minutes < math.inf) or (self.steps is not None and self.steps < 1):
            raise UserError(
                f"a budget needs minutes > 0 and steps >= 1, not minutes {self.minutes} and steps {self.steps}"
            )

    def progress(self, step: int, seconds: float) -> float:
        """Share of the budget that is spent, 0 to 1."""
        spent = step / self.steps if self.steps is not None else seconds / (60 * self.minutes)
        return min(spent, 1.0)


class Trainer:
    """Networks, optimisers and averaged weights of one run, and the step that changes them.

    Args:
        preset: what to train and how.
        seed: of weights, order of pairs, mirroring and dropout; 0 to 2**31 - 1.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        mixed_precision: ``"no"``, ``"fp16"`` or ``"bf16"``, as Accelerate takes it, or ``"auto"``: see
            :func:`sdgan_lib.batches.pick_precision`.

    Raises:
        UserError: for a device that is not there, or a seed out of range.
    """

    def __init__(self, preset: Preset, seed: int = 0, device: str = "auto", mixed_precision: str = "no"):
        if not 0 <= seed < 2**31:
            raise UserError(f"seed must be a whole number from 0 to 2147483647, not {seed}")
        self.preset, self.seed = preset, seed
        kind = pick_device(device)
        mixed_precision = pick_precision(mixed_precision, kind)
        if kind == "cpu" and mixed_precision == "fp16":
            raise UserError("mixed_precision fp16 needs a GPU; choose no or bf16, or another device")
        if not torch.distributed.is_initialized():
            # else a second trainer got the device and the precision of the first
            AcceleratorState._reset_state(reset_partial_state=True)
        self.accelerator = Accelerator(cpu=kind == "cpu", mixed_precision=mixed_precision)
        self.device = self.accelerator.device
        self.fused = self.device.type != "mps"
        system = SYSTEMS[preset.generator.system]
        if system.staged and self.accelerator.num_processes > 1:
            raise UserError(
                f"{preset.generator.system} learns one part after the other, which several processes cannot yet do "
                "together: train it in one process"
            )
        self.scales = system.scales
        torch.manual_seed(seed)
        generator = make_generator(preset.generator).to(self.device)
        for part in preset.recipe.frozen:
            getattr(generator, part).requires_grad_(False)
        discriminator = MultiScaleDiscriminator(preset.discriminator, system.judged_scales)
        discriminator = discriminator.to(self.device, memory_format=torch.channels_last)
        self.averaged = AveragedModel(generator, multi_avg_fn=self._average)
        betas = preset.recipe.betas
        self.generator_optimiser, self.discriminator_optimiser = (
            torch.optim.Adam(network.parameters(), betas=betas, fused=self.fused)
            for network in (generator, discriminator)
        )
        self.generator, self.discriminator = self.accelerator.prepare(generator, discriminator)
        self.objective = Objective(preset.losses, system.judged, self.device, system.staged)
        self.step, self.seconds = 0, 0.0
        self.start: Start | None = None
        self.unread: list[tuple[int, dict[str, Tensor]]] = []
        if self.accelerator.num_processes > 1:  # each process mirrors and drops out by itself
            torch.manual_seed(seed + self.accelerator.process_index)

    def _average(self, averaged: list[Tensor], current: list[Tensor], _count: Tensor) -> None:
        """Move the averages towards the current weights: quickly at first, then by ``1 - ema_decay``."""
        decay = min(self.preset.recipe.ema_decay, (1 + self.step) / (10 + self.step))
        get_ema_multi_avg_fn(decay)(averaged, current, _count)

    def start_from(self, path: Path) -> None:
        """Take the generator's weights from a trained one (a run's checkpoint, or an exported file).

        Raises:
            CheckpointError: it cannot be read, or is another generator than the preset's.
        """
        trained, start = load_start(path)
        ours, theirs = asdict(self.preset.generator), asdict(trained.config)
        if other := [name for name in ours if ours[name] != theirs[name]]:
            differences = ", ".join(f"{name} {theirs[name]!r} instead of {ours[name]!r}" for name in other)
            raise CheckpointError(
                f"{path}: not the generator that is to be trained, but one with {differences}; choose its --system "
                "and --width"
            )
        self.accelerator.unwrap_model(self.generator).load_state_dict(trained.state_dict())
        self.averaged.module.load_state_dict(trained.state_dict())
        self.start = start

    def train_step(self, batch: dict, progress: float = 0.0) -> dict[str, Tensor]:
        """One step of the discriminators and one of the generator on a batch of pairs, on the trainer's device.

        Both losses are computed before either network changes: D's from pictures of the present G, G's against the
        present D. Where a term is not finite, neither network changes; nothing is raised here, as that would make a
        GPU wait in every step: :meth:`read` raises.

        Args:
            batch: as a loader of :class:`sdgan_lib.datasets.PersonPairs` gives it.
            progress: share of the budget that is spent, 0 to 1; :func:`sdgan_lib.presets.schedule` reads it.

        Returns:
            The terms of the losses by name, scalar tensors without gradient.
        """
        stage = schedule(self.preset, progress, tuple(batch["source_image"].shape[-2:]))
        inputs, reals, truth = self.prepare(batch, stage)
        accelerator, objective = self.accelerator, self.objective
        with accelerator.autocast():
            generated = self.generator(inputs)
        losses, terms, discriminator, features = [], {}, None, None
        if stage.adversarial:
            discriminator, features = self.discriminator.requires_grad_(True), []
            with accelerator.autocast():
                loss, terms = objective.discriminator(
                    discriminator, generated, reals, inputs, truth, features
                )
            losses.append(loss)
            self.discriminator_optimiser.zero_grad()
            accelerator.backward(loss)
            discriminator.requires_grad_(False)
        with accelerator.autocast():
            loss, generator_terms = objective.generator(
                discriminator, generated, reals, inputs, truth, features
            )
        losses.append(loss)
        self.generator_optimiser.zero_grad()
        accelerator.backward(loss)

        terms = {name: value.detach().float() for name, value in (terms | generator_terms).items()}
        total = torch.stack([loss.detach().float() for loss in losses]).sum()
        spoiled = ~torch.stack([total, *terms.values()]).isfinite().all()
        if stage.adversarial:
            self._change(self.discriminator_optimiser, stage.discriminator_rate, spoiled)
        self._change(self.generator_optimiser, stage.generator_rate, spoiled)
        if accelerator.scaler is not None:
            accelerator.scaler.update()
        self.averaged.update_parameters(accelerator.unwrap_model(self.generator))
        self.step += 1
        self.unread.append((self.step, terms | {"loss": total}))
        return terms

    def prepare(self, batch: dict, stage: Stage) -> tuple[Inputs, list[Tensor], Truth | None]:
        """What the networks are given of a batch, the real picture at each of the generator's scales, and the truth.

        Half of the pairs are mirrored, where the recipe says so, and all are brought to the stage's size.
        """
        if self.preset.recipe.flip:
            process = self.accelerator.process_index
            chooser = torch.Generator().manual_seed((self.seed + process) * 7_368_787 + self.step)
            flip = torch.rand(len(batch["source_pose"]), generator=chooser) < 0.5
            batch = flip_pairs(batch, flip.to(batch["source_pose"].device))
        if tuple(batch["source_image"].shape[-2:]) != stage.size:
            batch = halve_pairs(batch)
        given = (batch[key] for key in ("source_image", "source_pose", "target_pose"))
        target = batch["target_image"].contiguous(memory_format=torch.channels_last)
        inputs, truth = make_inputs(*given, self.preset.generator.background), None
        if self.preset.losses.reads_masks:
            bodies = () if "source_mask" in batch else (inputs.source_body, inputs.target_body)
            truth = make_truth(batch, *bodies)
        return inputs, pyramid(target, self.scales), truth

    def _change(self, optimiser: torch.optim.Adam, rate: float, spoiled: Tensor) -> None:
        """One step of an optimiser, or none where ``spoiled`` (a bool on the device) is true."""
        for group in optimiser.param_groups:
            group["lr"] = rate
        scaler = self.accelerator.scaler
        if scaler is not None:  # it leaves out a step whose gradients are not finite
            gradients = [
                w.grad for group in optimiser.param_groups for w in group["params"] if w.grad is not None
            ]
            torch._foreach_mul_(gradients, torch.where(spoiled, torch.nan, 1.0))
            scaler.step(optimiser)
        elif self.fused:  # the fused kernel reads this on the device, without making the host wait
            optimiser.found_inf = spoiled.float()
            optimiser.step()
        elif not spoiled:
            optimiser.step()

    def read(self) -> dict[str, float]:
        """The terms of the last step as numbers, read from the device in one go with all that was not read yet.

        Raises:
            TrainingError: naming the first step and term since the last call that was not finite.
        """
        if not self.unread:
            return {}
        values = torch.stack([value for _, terms in self.unread for value in terms.values()]).tolist()
        read = iter(values)
        for step, terms in self.unread:
            numbers = {name: next(read) for name in terms}
            for name, value in numbers.items():
                if not math.isfinite(value):
                    self.unread.clear()
                    raise TrainingError(f"step {step}: the term {name!r} is {value}")
        self.unread.clear()
        return {name: value for name, value in numbers.items() if name != "loss"}

    def check_weights(self) -> None:
        """Raise a TrainingError naming the first weight that is not finite."""
        for role, network in (("generator", self.generator), ("discriminator", self.discriminator)):
            for name, weight in network.named_parameters():
                if not weight.isfinite().all():
                    raise TrainingError(f"step {self.step}: the {role}'s weight {name!r} is not finite")

    def state(self) -> dict:
        """Everything a resumed run needs, as tensors and plain values."""
        unwrap, scaler = self.accelerator.unwrap_model, self.accelerator.scaler
        return {
            "preset": preset_to_dict(self.preset),
            "seed": self.seed,
            "step": self.step,
            "seconds": self.seconds,
            "start": None if self.start is None else asdict(self.start),
            "generator": unwrap(self.generator).state_dict(),
            "ema": self.averaged.module.state_dict(),
            "discriminator": unwrap(self.discriminator).state_dict(),
            "generator_optimiser": self.generator_optimiser.state_dict(),
            "discriminator_optimiser": self.discriminator_optimiser.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }

    def load_state(self, state: dict) -> None:
        """Inverse of :meth:`state`; the preset must be the same."""
        unwrap, scaler = self.accelerator.unwrap_model, self.accelerator.scaler
        unwrap(self.generator).load_state_dict(state["generator"])
        self.averaged.module.load_state_dict(state["ema"])
        self.averaged.n_averaged.fill_(state["step"])
        unwrap(self.discriminator).load_state_dict(state["discriminator"])
        self.generator_optimiser.load_state_dict(state["generator_optimiser"])
        self.discriminator_optimiser.load_state_dict(state["discriminator_optimiser"])
        if scaler is not None and state["scaler"] is not None:
            scaler.load_state_dict(state["scaler"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.start = start_from_dict(state["start"])
        if self.accelerator.num_processes > 1:  # only the main process's state is kept
            torch.manual_seed(self.seed + self.accelerator.process_index + 1_000_003 * self.step)
            return
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_rng"], self.device)


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Turn Ctrl-C into an event, so that a step is never cut in half; a second Ctrl-C interrupts at once.

    Outside the main thread, where signals cannot be caught, the event is never set.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    previous = signal.getsignal(signal.SIGINT)

    def note(number, frame):
        event.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, previous)


def training_batches(dataset: Dataset, trainer: Trainer, workers: int = 0) -> Iterator[dict]:
    """Endless batches of this process's pairs on the trainer's device, from the trainer's step on."""
    accelerator = trainer.accelerator
    order = ShuffledBatches(
        len(dataset),
        trainer.preset.recipe.batch_size,
        trainer.seed,
        trainer.step,
        accelerator.process_index,
        accelerator.num_processes,
    )
    loader = DataLoader(
        dataset,
        batch_sampler=order,
        num_workers=workers,
        pin_memory=trainer.device.type == "cuda",
        generator=torch.Generator().manual_seed(
            trainer.seed
        ),  # its own, so that the global one is left alone
    )
    for batch in loader:
        yield to_device(batch, trainer.device)


def training_steps(dataset: Dataset, trainer: Trainer, budget: Budget, workers: int = 0) -> Iterator[int]:
    """The loop itself: train until the budget is spent, and yield the number of steps taken after each."""
    before, started = trainer.seconds, time.monotonic()
    pairs = training_batches(dataset, trainer, workers)
    while (progress := budget.progress(trainer.step, trainer.seconds)) < 1:
        trainer.train_step(next(pairs), progress)
        trainer.seconds = before + time.monotonic() - started
        yield trainer.step


def train(
    dataset: Dataset,
    preset: Preset,
    run: Path,
    budget: Budget | None = None,
    *,
    seed: int = 0,
    device: str = "auto",
    mixed_precision: str = "no",
    resume: bool = False,
    start: Path | None = None,
    checkpoint_minutes: float = 2.0,
    workers: int = 0,
    quiet: bool = False,
) -> Path:
    """Train ``preset`` on the pairs of ``dataset`` and return the path of the last checkpoint.

    :func:`training_steps` is the loop; around it stand what a long run needs: checkpoints, log, progress bar, Ctrl-C.

    Args:
        dataset: items as :class:`sdgan_lib.datasets.PersonPairs` gives them.
        preset: what to train and how.
        run: folder of the run; receives ``checkpoint.pt`` and ``log.jsonl`` (one line of terms every 10 steps).
        budget: when to stop; by default the resumed run's own, or 10 minutes.
        seed: of weights, order of pairs and every other random choice.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        mixed_precision: ``"auto"``, ``"no"``, ``"fp16"`` or ``"bf16"``.
        resume: go on from the folder's checkpoint; preset and seed are then the checkpoint's own, and ``dataset`` must
            be the one that the run began with.
        start: a trained generator (a run's checkpoint, or an exported file) whose weights to start from. Its person is
            already in place, so that ``half_size`` is set to 0; the discriminators start afresh.
        checkpoint_minutes: time between checkpoints; 0 writes one after every step.
        workers: processes that read pictures; 0 reads them in this one.
        quiet: no progress bar.

    Raises:
        TrainingError: a term of the loss was not finite. The last good checkpoint is named.
        CheckpointError: nothing to resume, another data set than the resumed run's, something there that would be
            overwritten, or a ``start`` that does not fit.
        UserError: pictures of a size that cannot be trained on, an option out of range, or another process that is
            training in the same folder. Nothing has been written.
        KeyboardInterrupt: when Ctrl-C is pressed, after the step is finished and saved.
    """
    if not 0 <= checkpoint_minutes < math.inf:
        raise UserError(f"checkpoint_minutes must be a number of 0 or more, not {checkpoint_minutes}")
    if workers < 0:
        raise UserError(f"workers must be 0 or more, not {workers}")
    path = Path(run) / CHECKPOINT
    described = dataset.description() if hasattr(dataset, "description") else {"pairs": len(dataset)}
    state = None
    if resume:
        state = load_checkpoint(path)
        check_same_data(path, state["data"], described)
        preset, seed = preset_from_dict(state["preset"]), state["seed"]
        budget = budget or Budget(**state["budget"])
    elif path.exists():
        raise CheckpointError(f"{path} exists: go on with --resume, or choose another --name")
    elif start is not None:
        preset = replace(preset, recipe=replace(preset.recipe, half_size=0.0))
    budget = budget or Budget()
    if "size" in described:
        preset.generator.check_size(*described["size"])
    trainer = Trainer(preset, seed, device, mixed_precision)
    if state is not None:
        trainer.load_state(state)
    elif start is not None:
        trainer.start_from(start)
    settings = {"data": described, "budget": asdict(budget)}
    try:
        with _alone(path.parent) if trainer.accelerator.is_main_process else nullcontext():
            _run(dataset, trainer, budget, path, settings, checkpoint_minutes, workers, quiet)
    except TrainingError as error:
        good = load_checkpoint(path)["step"]
        raise TrainingError(
            f"{error}; the last good checkpoint is {path}, step {good} — resume from it with another seed or a "
            "lower learning rate"
        ) from error
    return path


@contextmanager
def _alone(run: Path) -> Iterator[None]:
    """Keep other processes from training in the same folder meanwhile."""
    run.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise UserError(
            f"{run}: another process is training there. Remedy: wait for it, or stop it (Ctrl-C), and give the same "
            "command again; or choose another --name for a new run."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _run(
    dataset: Dataset,
    trainer: Trainer,
    budget: Budget,
    path: Path,
    settings: dict,
    checkpoint_minutes: float,
    workers: int,
    quiet: bool,
) -> None:
    """The loop with checkpoints (at ``path``; ``settings`` go into them), log and bar: the main process's alone."""
    main = trainer.accelerator.is_main_process

    def save() -> None:
        trainer.read()
        trainer.check_weights()
        if main:
            save_checkpoint(path, trainer.state() | settings)

    if main:
        _cut_log(path.with_name(LOG), trainer.step)
    if not path.exists():
        save()
    saved = time.monotonic()
    with (
        open(path.with_name(LOG), "a", encoding="utf-8") if main else nullcontext() as log,
        _bar(trainer, budget, quiet or not main) as bar,
        interruptible() as interrupted,
    ):
        for step in training_steps(dataset, trainer, budget, workers):
            if step % LOG_EVERY == 0:
                terms = trainer.read()
                if main:
                    _note(log, trainer, terms)
                bar.set_postfix(step=step, **{k: f"{v:.3f}" for k, v in terms.items()}, refresh=False)
            bar.update((step if budget.steps else min(round(trainer.seconds), bar.total)) - bar.n)
            if time.monotonic() - saved >= 60 * checkpoint_minutes:
                save()
                saved = time.monotonic()
            if interrupted.is_set():
                save()
                message = f"interrupted at step {step}; saved in {path} — go on with --resume"
                print("\n" + message, file=sys.stderr)
                raise KeyboardInterrupt(message)
    save()


def _note(log: TextIO, trainer: Trainer, terms: dict[str, float]) -> None:
    log.write(json.dumps({"step": trainer.step, "seconds": round(trainer.seconds, 1), **terms}) + "\n")
    log.flush()


def _bar(trainer: Trainer, budget: Budget, quiet: bool) -> tqdm:
    return tqdm(
        total=budget.steps or round(60 * budget.minutes),
        initial=trainer.step if budget.steps else round(trainer.seconds),
        unit="step" if budget.steps else "s",
        disable=quiet,
        desc="training",
        dynamic_ncols=True,
        bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed} gone, {remaining} left{postfix}",
    )


def check_same_data(path: Path, own: dict, found: dict) -> None:
    """Raise unless the pairs of a resumed run are those that it began with.

    Args:
        path: the run's checkpoint, for the message.
        own: description of the run's pairs, as in its checkpoint.
        found: description of the pairs that are there now.

    Raises:
        CheckpointError: with both named.
    """
    if own.get("digest") == found.get("digest") and own["pairs"] == found["pairs"]:
        return

    def told(data: dict) -> str:
        kind = f" ({data['kind']})" if "kind" in data else ""
        return f"{data['pairs']:,} pairs{kind}" + (f" of {data['root']}" if "root" in data else "")

    raise CheckpointError(
        f"{path}: this run was started with {told(own)}, not with {told(found)}. Remedy: resume it with its own "
        "pairs, or choose another --name for a new run."
    )


def _cut_log(path: Path, step: int) -> None:
    """Drop what was logged after the step we start from (those steps will be run again), and a line cut short."""
    if path.exists():
        kept = [record for record in _records(path, may_be_cut=True) if record["step"] <= step]
        write_whole(path, "".join(json.dumps(record) + "\n" for record in kept))


def read_log(run: Path) -> list[dict]:
    """The terms logged by a run, one dictionary per line of ``log.jsonl``.

    Raises:
        UserError: naming file and line, when it is not such a log.
    """
    return _records(Path(run) / LOG)


def _records(path: Path, may_be_cut: bool = False) -> list[dict]:
    records = []
    lines = read_text(path).splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            record = parse_json(line)
            if not isinstance(record, dict) or not isinstance(record.get("step"), int):
                raise ValueError("no step")
        except ValueError as error:
            if may_be_cut and number == len(lines):  # the process ended while it wrote
                break
            raise UserError(
                f"{path}, line {number}: not a line of a training log ({error}). Remedy: delete the line, or the file."
            ) from error
        records.append(record)
    return records
