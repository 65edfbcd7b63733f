"""Training: one adversarial step, and the loop around it that survives interruptions (paper, eq. 6).

The order of pairs and every random choice depend on the seed and the step alone or are kept in the checkpoint, so a
run that was interrupted and resumed ends, on a CPU, with the very same weights as one that was not.
"""

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, Sampler
from tqdm import tqdm

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
from sdgan_lib.composition import Truth, background_loss, make_truth, silhouette_loss
from sdgan_lib.discriminators import MultiScaleDiscriminator
from sdgan_lib.generators import Generated, Inputs, downscale, make_generator, make_inputs
from sdgan_lib.losses import (
    LossConfig,
    discriminator_loss,
    feature_matching_loss,
    generator_adversarial_loss,
    l1_loss,
    nearest_neighbour_loss,
    r1_penalty,
    ssim_loss,
    vgg_features,
)
from sdgan_lib.pose import flip_pose
from sdgan_lib.presets import Preset

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
LOG_EVERY = 10
PICTURE_KEYS = {"source_image", "target_image", "source_mask", "target_mask"}  # of a batch


class TrainingError(RuntimeError):
    """Training cannot go on; the message says where it stopped, why, and what is saved."""


@dataclass(frozen=True)
class Budget:
    """When training ends: after ``steps`` steps, or else after ``minutes`` minutes of training."""

    minutes: float = 10.0
    steps: int | None = None

    def __post_init__(self):
        if self.minutes <= 0 or (self.steps is not None and self.steps < 1):
            raise ValueError(
                f"a budget needs minutes > 0 and steps >= 1, not {self.minutes} and {self.steps}"
            )

    def progress(self, step: int, seconds: float) -> float:
        """Share of the budget that is spent, 0 to 1."""
        spent = step / self.steps if self.steps is not None else seconds / (60 * self.minutes)
        return min(spent, 1.0)


class ShuffledBatches(Sampler[list[int]]):
    """Endless batches of indices into ``size`` pairs, from step ``start`` on; epoch e is shuffled by (seed, e).

    A batch may straddle two epochs, so none is short and none of the pairs is left out.
    """

    def __init__(self, size: int, batch_size: int, seed: int, start: int = 0):
        self.size, self.batch_size, self.seed, self.start = size, batch_size, seed, start

    def _epoch(self, epoch: int) -> list[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return torch.randperm(self.size, generator=generator).tolist()

    def __iter__(self) -> Iterator[list[int]]:
        epoch, position = divmod(self.start * self.batch_size, self.size)
        order = self._epoch(epoch)[position:]
        while True:
            while len(order) < self.batch_size:
                epoch += 1
                order += self._epoch(epoch)
            yield order[: self.batch_size]
            order = order[self.batch_size :]


def flip_pairs(batch: dict, flip: Tensor) -> dict:
    """Mirror the pairs of a batch for which ``flip`` ``[B]`` (bool) is true; left and right joints change places."""
    width = batch["source_image"].shape[-1]
    out = dict(batch)
    for key in PICTURE_KEYS & batch.keys():
        out[key] = torch.where(flip[:, None, None, None], batch[key].flip(-1), batch[key])
    for key in ("source_pose", "target_pose"):
        out[key] = torch.where(flip[:, None, None], flip_pose(batch[key], width), batch[key])
    return out


def halve_pairs(batch: dict) -> dict:
    """The pairs of a batch at half their size: pictures averaged over 2x2 pixels, poses in pixels of the result.

    Pixel centres lie at whole numbers, so that x becomes (x + 0.5) / 2 - 0.5.
    """
    out = dict(batch)
    for key in PICTURE_KEYS & batch.keys():
        out[key] = downscale(batch[key], 2)
    for key in ("source_pose", "target_pose"):
        out[key] = (batch[key] + 0.5) / 2 - 0.5
    return out


class Objective:
    """The two losses of a step, each also given term by term for the log."""

    def __init__(self, config: LossConfig, device: torch.device | str = "cpu"):
        self.config = config
        self.features: nn.Module = nn.Identity()
        if config.nearest_weight and config.nearest_features is not None:
            self.features = vgg_features(Path(config.nearest_features)).to(device)

    def discriminator(
        self,
        judge: nn.Module,
        generated: Generated,
        reals: list[Tensor],
        inputs: Inputs,
        truth: Truth | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of the discriminators; real and generated pictures are judged in one joined batch."""
        config = self.config
        images = self.comparable(generated.images, reals, truth)
        if config.r1_weight:
            reals = [real.detach().requires_grad_() for real in reals]
        joined = [torch.cat([r, f.detach()]) for r, f in zip(reals, images, strict=True)]
        logits = [x.chunk(2) for x in judge(joined, inputs)]
        real, fake = [x[0] for x in logits], [x[1] for x in logits]
        loss = discriminator_loss(real, fake, config.adversarial)
        terms = {"d_loss": loss}
        if config.r1_weight:
            terms["r1"] = r1_penalty(real, reals)
            loss = loss + config.r1_weight * terms["r1"]
        return loss, terms

    @staticmethod
    def comparable(images: list[Tensor], reals: list[Tensor], truth: Truth | None) -> list[Tensor]:
        """The pictures, with the real background where no picture could show it: another camera's is not known."""
        if truth is None:
            return images
        out = []
        for image, real in zip(images, reals, strict=True):
            share = F.adaptive_avg_pool2d(truth.comparable, image.shape[-2:])
            out.append(real + share * (image - real))
        return out

    def generator(
        self,
        judge: nn.Module | None,
        generated: Generated,
        reals: list[Tensor],
        inputs: Inputs,
        truth: Truth | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of the generator against discriminators whose weights stand still (None: no adversarial term).

        With ``truth`` the person is the data set's mask instead of the body regions, and what cannot be known counts
        in no term.
        """
        config = self.config
        weights = None
        if truth is not None:
            weight = truth.comparable * (1 + config.person_weight * truth.target_person)
            weights = [F.adaptive_avg_pool2d(weight, real.shape[-2:]) for real in reals]
        elif config.person_weight:
            weight = 1 + config.person_weight * inputs.target_body
            weights = [downscale(weight, weight.shape[-1] // real.shape[-1]) for real in reals]
        terms = {"l1": l1_loss(generated.images, reals, weights)}
        loss = config.l1_weight * terms["l1"]
        if judge is not None:
            images = self.comparable(generated.images, reals, truth)
            ours: list[Tensor] = []
            terms["adversarial"] = generator_adversarial_loss(judge(images, inputs, ours), config.adversarial)
            loss = loss + config.adversarial_weight * terms["adversarial"]
            if config.feature_weight:
                theirs: list[Tensor] = []
                with torch.no_grad():
                    judge(reals, inputs, theirs)
                terms["features"] = feature_matching_loss(ours, theirs)
                loss = loss + config.feature_weight * terms["features"]
        if config.nearest_weight:
            terms["nearest"] = nearest_neighbour_loss(
                self.features(generated.image), self.features(reals[-1]), config.nearest_window
            )
            loss = loss + config.nearest_weight * terms["nearest"]
        if config.ssim_weight:
            person = inputs.target_body if truth is None else truth.target_person
            terms["ssim"] = ssim_loss(generated.image, reals[-1], person)
            loss = loss + config.ssim_weight * terms["ssim"]
        if generated.background is not None and truth is not None:
            if config.silhouette_weight:
                terms["silhouette"] = silhouette_loss(generated.background, truth)
                loss = loss + config.silhouette_weight * terms["silhouette"]
            if config.background_weight:
                terms["background"] = background_loss(generated.background, truth, reals[-1])
                loss = loss + config.l1_weight * config.background_weight * terms["background"]
        return loss, terms


class Trainer:
    """Networks, optimisers and averaged weights of one run, and the step that changes them.

    Args:
        preset: what to train and how.
        seed: of weights, order of pairs, mirroring and dropout.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        mixed_precision: ``"no"``, ``"fp16"`` or ``"bf16"``, as Accelerate takes it.
    """

    def __init__(self, preset: Preset, seed: int = 0, device: str = "auto", mixed_precision: str = "no"):
        self.preset, self.seed = preset, seed
        self.accelerator = Accelerator(cpu=pick_device(device) == "cpu", mixed_precision=mixed_precision)
        self.device = self.accelerator.device
        torch.manual_seed(seed)
        recipe = preset.recipe
        generator = make_generator(preset.generator).to(self.device)
        judge = MultiScaleDiscriminator(preset.discriminator, preset.generator.factors)
        judge = judge.to(self.device, memory_format=torch.channels_last)

        def average(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
            decay = min(recipe.ema_decay, (1 + int(count)) / (10 + int(count)))
            get_ema_multi_avg_fn(decay)(averaged, current, count)

        self.averaged = AveragedModel(generator, multi_avg_fn=average)
        optimisers = [
            torch.optim.Adam(
                network.parameters(), lr=rate, betas=recipe.betas, fused=self.device.type != "mps"
            )
            for network, rate in ((generator, recipe.generator_rate), (judge, recipe.discriminator_rate))
        ]
        self.generator, self.judge, self.generator_optimiser, self.judge_optimiser = self.accelerator.prepare(
            generator, judge, *optimisers
        )
        self.objective = Objective(preset.losses, self.device)
        self.step, self.seconds = 0, 0.0
        self.start: Start | None = None
        self.set_progress(0.0)

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

    def set_progress(self, progress: float) -> None:
        """Prepare for this share of the budget (0 to 1): learning rates, and whether the discriminators are in.

        The rates are constant, then fall linearly to a fiftieth.
        """
        recipe = self.preset.recipe
        adversarial = bool(self.preset.losses.adversarial_weight)
        self.adversarial = adversarial and progress >= recipe.adversarial_start
        left = min(1.0, (1.0 - progress) / max(recipe.decay_share, 1e-9))
        factor = 0.02 + 0.98 * left
        for optimiser, rate in (
            (self.generator_optimiser, recipe.generator_rate),
            (self.judge_optimiser, recipe.discriminator_rate),
        ):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor

    def train_step(self, batch: dict) -> dict[str, float]:
        """One step of the discriminators, then one of the generator, on a batch of pairs; returns the terms.

        Raises:
            TrainingError: naming step and term when a term is not finite; it has changed no weight.
        """
        recipe, accelerator = self.preset.recipe, self.accelerator
        if recipe.flip:
            chooser = torch.Generator().manual_seed(self.seed * 7_368_787 + self.step)
            flip = torch.rand(len(batch["source_pose"]), generator=chooser) < 0.5
            batch = flip_pairs(batch, flip.to(batch["source_pose"].device))
        inputs = make_inputs(
            batch["source_image"],
            batch["source_pose"],
            batch["target_pose"],
            self.preset.generator.background,
        )
        truth = None
        if self.preset.losses.silhouette_weight or self.preset.losses.background_weight:
            truth = make_truth(batch, inputs.source_body, inputs.target_body)
        unwrapped = accelerator.unwrap_model(self.judge)
        reals = unwrapped.reals(batch["target_image"].contiguous(memory_format=torch.channels_last))
        with accelerator.autocast():
            generated = self.generator(inputs)
        terms: dict[str, Tensor] = {}

        if self.adversarial:
            self.judge.requires_grad_(True)
            with accelerator.autocast():
                loss, terms = self.objective.discriminator(self.judge, generated, reals, inputs, truth)
            self._check(terms)
            self.judge_optimiser.zero_grad()
            accelerator.backward(loss)
            self.judge_optimiser.step()
            self.judge.requires_grad_(False)
        with accelerator.autocast():
            judge = self.judge if self.adversarial else None
            loss, generator_terms = self.objective.generator(judge, generated, reals, inputs, truth)
        self._check(generator_terms)
        self.generator_optimiser.zero_grad()
        accelerator.backward(loss)
        self.generator_optimiser.step()
        self.averaged.update_parameters(accelerator.unwrap_model(self.generator))
        self.step += 1
        return {name: value.item() for name, value in (terms | generator_terms).items()}

    def _check(self, terms: dict[str, Tensor]) -> None:
        for name, value in terms.items():
            if not torch.isfinite(value):
                raise TrainingError(f"step {self.step + 1}: the term {name!r} is {value.item()}")

    def check_weights(self) -> None:
        """Raise a TrainingError naming the first weight that is not finite."""
        for role, network in (("generator", self.generator), ("discriminator", self.judge)):
            for name, weight in network.named_parameters():
                if not weight.isfinite().all():
                    raise TrainingError(f"step {self.step}: the {role}'s weight {name!r} is not finite")

    def state(self) -> dict:
        """Everything a resumed run needs, as tensors and plain values."""
        unwrap = self.accelerator.unwrap_model
        return {
            "preset": preset_to_dict(self.preset),
            "seed": self.seed,
            "step": self.step,
            "seconds": self.seconds,
            "start": None if self.start is None else asdict(self.start),
            "generator": unwrap(self.generator).state_dict(),
            "ema": self.averaged.module.state_dict(),
            "ema_count": int(self.averaged.n_averaged),
            "judge": unwrap(self.judge).state_dict(),
            "generator_optimiser": self.generator_optimiser.state_dict(),
            "judge_optimiser": self.judge_optimiser.state_dict(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }

    def load_state(self, state: dict) -> None:
        """Inverse of :meth:`state`; the preset must be the same."""
        unwrap = self.accelerator.unwrap_model
        unwrap(self.generator).load_state_dict(state["generator"])
        self.averaged.module.load_state_dict(state["ema"])
        self.averaged.n_averaged.fill_(state["ema_count"])
        unwrap(self.judge).load_state_dict(state["judge"])
        self.generator_optimiser.load_state_dict(state["generator_optimiser"])
        self.judge_optimiser.load_state_dict(state["judge_optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.start = start_from_dict(state.get("start"))
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_rng"], self.device)


def pick_device(device: str) -> str:
    """``"auto"`` becomes the best device there is; a device that is not there is a ValueError with the remedy."""
    there = ["cpu"]
    if torch.cuda.is_available():
        there.append("cuda")
    if torch.backends.mps.is_available():
        there.append("mps")
    if device == "auto":
        return there[-1]
    if device not in there:
        raise ValueError(
            f"device {device!r} is not available here; there is {', '.join(there)} (or say auto)"
        )
    return device


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


def train(
    dataset: Dataset,
    preset: Preset,
    run: Path,
    budget: Budget = Budget(),
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

    Args:
        dataset: items as :class:`sdgan_lib.datasets.PersonPairs` gives them.
        run: folder of the run; receives ``checkpoint.pt`` and ``log.jsonl`` (one line of terms every 10 steps).
        budget: when to stop.
        resume: go on from the folder's checkpoint; preset and seed are then the checkpoint's own.
        start: a trained generator (a run's checkpoint, or an exported file) whose weights to start from. Its person is
            already in place, so that ``half_size`` is set to 0; the discriminators start afresh.
        checkpoint_minutes: time between checkpoints; 0 writes one after every step.
        workers: processes that read pictures; 0 reads them in this one.
        quiet: no progress bar.

    Raises:
        TrainingError: a term of the loss was not finite. The last good checkpoint is named.
        CheckpointError: nothing to resume, something there that would be overwritten, or a ``start`` that does not fit.
        KeyboardInterrupt: when Ctrl-C is pressed, after the step is finished and saved.
    """
    run = Path(run)
    path = run / CHECKPOINT
    if resume:
        state = load_checkpoint(path)
        preset, seed = preset_from_dict(state["preset"]), state["seed"]
    elif path.exists():
        raise CheckpointError(f"{path} exists: go on with --resume, or choose another --name")
    elif start is not None:
        preset = replace(preset, recipe=replace(preset.recipe, half_size=0.0))
    trainer = Trainer(preset, seed, device, mixed_precision)
    if resume:
        trainer.load_state(state)
    elif start is not None:
        trainer.start_from(start)
    run.mkdir(parents=True, exist_ok=True)
    _cut_log(run / LOG, trainer.step)
    batches = ShuffledBatches(len(dataset), preset.recipe.batch_size, seed, trainer.step)
    loader = DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        pin_memory=trainer.device.type == "cuda",
        generator=torch.Generator().manual_seed(seed),  # its own, so that the global one is left alone
    )

    def save() -> None:
        trainer.check_weights()
        save_checkpoint(path, trainer.state())

    before, started = trainer.seconds, time.monotonic()
    saved = started
    if not path.exists():
        save()
    bar = tqdm(
        total=budget.steps or round(60 * budget.minutes),
        initial=trainer.step if budget.steps else round(trainer.seconds),
        unit="step" if budget.steps else "s",
        disable=quiet,
        desc="training",
        dynamic_ncols=True,
        bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed} gone, {remaining} left{postfix}",
    )
    iterator = iter(loader)
    try:
        with open(run / LOG, "a", encoding="utf-8") as log, bar, interruptible() as interrupted:
            while (progress := budget.progress(trainer.step, trainer.seconds)) < 1:
                trainer.set_progress(progress)
                batch = to_device(next(iterator), trainer.device)
                half = [side // 2 for side in batch["source_image"].shape[-2:]]
                early = progress < preset.recipe.half_size and not trainer.adversarial
                if early and preset.generator.accepts(*half):
                    batch = halve_pairs(batch)
                terms = trainer.train_step(batch)
                trainer.seconds = before + time.monotonic() - started
                if trainer.step % LOG_EVERY == 0:
                    record = {"step": trainer.step, "seconds": round(trainer.seconds, 1), **terms}
                    log.write(json.dumps(record) + "\n")
                    log.flush()
                    bar.set_postfix(
                        step=trainer.step, **{k: f"{v:.3f}" for k, v in terms.items()}, refresh=False
                    )
                bar.update((trainer.step if budget.steps else min(round(trainer.seconds), bar.total)) - bar.n)
                if time.monotonic() - saved >= 60 * checkpoint_minutes:
                    save()
                    saved = time.monotonic()
                if interrupted.is_set():
                    save()
                    message = f"interrupted at step {trainer.step}; saved in {path} — go on with --resume"
                    print("\n" + message, file=sys.stderr)
                    raise KeyboardInterrupt(message)
        save()
    except TrainingError as error:
        good = load_checkpoint(path)["step"]
        raise TrainingError(
            f"{error}; the last good checkpoint is {path}, step {good} — resume from it with another seed or a "
            "lower learning rate"
        ) from error
    return path


def to_device(batch: dict, device: torch.device | str) -> dict:
    """A batch of the loader with its tensors on ``device``; names and the like stay as they are."""
    return {k: v.to(device, non_blocking=True) if isinstance(v, Tensor) else v for k, v in batch.items()}


def _cut_log(path: Path, step: int) -> None:
    """Drop what was logged after the step we start from (those steps will be run again)."""
    if path.exists():
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")


def read_log(run: Path) -> list[dict]:
    """The terms logged by a run, one dictionary per line of ``log.jsonl``."""
    return [json.loads(line) for line in (Path(run) / LOG).read_text(encoding="utf-8").splitlines()]
