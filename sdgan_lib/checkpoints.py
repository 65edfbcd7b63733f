"""Checkpoints: written atomically, read without executing code.

A run keeps one file with all that a resumed run needs. What is passed on to others is smaller: the generator's
averaged weights alone, in half precision, as safetensors (:func:`export_generator`), with where they come from,
what they reach, and a digest that tells a damaged file.
"""

import hashlib
import json
import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sdgan_lib.discriminators import DiscriminatorConfig
from sdgan_lib.errors import UserError
from sdgan_lib.generators import Generator, GeneratorConfig, make_generator
from sdgan_lib.losses import LossConfig
from sdgan_lib.presets import Preset, Recipe

ARCHITECTURE = 1
"""Version of what weights mean. Raise it with every change of the networks, heat maps or warps after which weights
trained before would load and yet make other pictures. tests/test_shipped.py fails when that was forgotten."""

FORMAT = "sdgan-checkpoint-1"  # of a run's file
EXPORT_FORMAT = "sdgan-generator-2"  # of an exported one; the first had neither digest nor architecture
Metrics = dict[str, dict[str, dict[str, float]]]


class CheckpointError(UserError):
    """A checkpoint cannot be used; the message names the file and the remedy."""


@dataclass(frozen=True)
class Start:
    """The trained generator that a run started from, in place of fresh weights.

    Attributes:
        digest: of its weights, see :func:`weights_digest`.
        steps, minutes: of training that had gone into it, those of the runs before it included.
    """

    digest: str
    steps: int
    minutes: float


def save_checkpoint(path: Path, state: dict) -> None:
    """Write ``state`` (tensors and plain Python values) so that ``path`` is always whole: old or new."""
    with _whole(path) as temporary:
        torch.save({"format": FORMAT, "architecture": ARCHITECTURE, **state}, temporary)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` to write to; what was written reaches the disk, then takes the name ``path``."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    yield temporary
    with open(temporary, "r+b") as f:
        os.fsync(f.fileno())
    os.replace(temporary, path)


def load_checkpoint(path: Path) -> dict:
    """Read a checkpoint onto the CPU. Only tensors and plain values are accepted, so no code of its runs.

    Raises:
        CheckpointError: no such file, not a checkpoint, a damaged one, one of another format, or one made for
            another :data:`ARCHITECTURE`.
    """
    path = _existing(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: not a checkpoint, or damaged, or holding more than tensors and plain values ({reason}); "
            "nothing of it was executed — use another one, or train anew"
        ) from error
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT:
        raise CheckpointError(f"{path}: format {found!r}, this version reads {FORMAT!r}; train anew")
    _check_architecture(path, state.get("architecture", 1))  # files of the first version do not name it
    return state


def _check_architecture(path: Path, found: object) -> None:
    if found != ARCHITECTURE:
        raise CheckpointError(
            f"{path}: made for version {found} of the networks, this sdgan_lib has version {ARCHITECTURE}: use the "
            "sdgan_lib it was made with, or train anew"
        )


def _existing(path: Path) -> Path:
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: no such checkpoint; train one with `python -m sdgan_lib train`")
    return Path(path)


def preset_to_dict(preset: Preset) -> dict:
    """Plain nested dictionaries, as they stand in a checkpoint."""
    return asdict(preset)


def preset_from_dict(values: dict) -> Preset:
    """Inverse of :func:`preset_to_dict`."""
    discriminator = dict(values["discriminator"], channels=tuple(values["discriminator"]["channels"]))
    recipe = dict(values["recipe"], betas=tuple(values["recipe"]["betas"]))
    return Preset(
        GeneratorConfig(**values["generator"]),
        DiscriminatorConfig(**discriminator),
        LossConfig(**values["losses"]),
        Recipe(**recipe),
    )


def start_from_dict(values: dict | None) -> Start | None:
    """A :class:`Start` as it stands in a checkpoint; None where none is named, as in older ones."""
    return None if values is None else Start(**values)


def load_generator(path: Path, device: str | torch.device = "cpu") -> Generator:
    """The generator of a checkpoint with its averaged (EMA) weights, in evaluation mode on ``device``.

    Args:
        path: a run's ``checkpoint.pt``, or a ``.safetensors`` file from :func:`export_generator`.

    Raises:
        CheckpointError: no such file, damaged, of another format or architecture, or with weights that do not fit.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        exported = read_exported(path)
        generator = _generator(path, exported.preset, exported.weights)
    else:
        state = load_checkpoint(path)
        generator = _generator(path, preset_from_dict(state["preset"]), state["ema"])
    return generator.to(device)


def load_start(path: Path) -> tuple[Generator, Start]:
    """A trained generator, as of :func:`load_generator`, and what a run has to note that starts from it."""
    path = Path(path)
    if path.suffix == ".safetensors":
        exported = read_exported(path)
        preset, weights, digest = exported.preset, exported.weights, exported.digest
        before, steps, minutes = exported.start, exported.steps, exported.minutes
    else:
        state = load_checkpoint(path)
        preset, weights = preset_from_dict(state["preset"]), state["ema"]
        digest, before = weights_digest(weights), start_from_dict(state.get("start"))
        steps, minutes = state["step"], state["seconds"] / 60
    if before is not None:
        steps, minutes = steps + before.steps, minutes + before.minutes
    return _generator(path, preset, weights), Start(digest, steps, round(minutes, 2))


def _generator(path: Path, preset: Preset, weights: Mapping[str, Tensor]) -> Generator:
    generator = make_generator(preset.generator)
    try:
        generator.load_state_dict(weights)  # widens those in half precision
    except (RuntimeError, KeyError) as error:
        raise CheckpointError(
            f"{path}: its weights do not fit the networks of this version; train anew"
        ) from error
    return generator.eval()


@dataclass(frozen=True)
class Exported:
    """An exported generator and where it comes from.

    Attributes:
        preset: what was trained, and how.
        weights: averaged weights by name, in half precision.
        digest: of these weights, see :func:`weights_digest`.
        steps: steps of training of its run.
        minutes: minutes of training of its run.
        seed: of the run.
        commit: of the code that trained it; empty if not recorded.
        metrics: as :func:`sdgan_lib.evaluation.evaluate` returns them; None if the run was not evaluated.
        start: what the run started from; None if from fresh weights.
    """

    preset: Preset
    weights: dict[str, Tensor]
    digest: str
    steps: int
    minutes: float
    seed: int
    commit: str = ""
    metrics: Metrics | None = None
    start: Start | None = None


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 (64 hexadecimal digits) of the names, types, shapes and bytes of weights, taken in the order of names.

    It does not depend on the order of ``weights``, nor on how a file arranges them.
    """
    total = hashlib.sha256()
    for name, value in sorted(weights.items()):
        total.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode() + b"\n")
        total.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return total.hexdigest()


def read_exported(path: Path) -> Exported:
    """Read an exported file and verify it.

    Raises:
        CheckpointError: no such file, damaged, of another format, or made for another :data:`ARCHITECTURE`.
    """
    try:
        with safe_open(_existing(path), framework="pt") as f:
            metadata = f.metadata() or {}
            weights = {name: f.get_tensor(name) for name in f.keys()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged, or not a safetensors file ({error}); get it anew") from error
    if metadata.get("format") != EXPORT_FORMAT:
        raise CheckpointError(
            f"{path}: format {metadata.get('format')!r}, this version reads {EXPORT_FORMAT!r}; get it anew, or "
            "export it anew from its run: python -m sdgan_lib export"
        )
    try:
        _check_architecture(path, int(metadata["architecture"]))
        digest = weights_digest(weights)
        if digest != metadata["digest"]:
            raise CheckpointError(f"{path}: damaged, its weights do not match its digest; get it anew")
        return Exported(
            preset_from_dict(json.loads(metadata["preset"])),
            weights,
            digest,
            int(metadata["steps"]),
            float(metadata["minutes"]),
            int(metadata["seed"]),
            metadata["commit"],
            json.loads(metadata["metrics"]),
            start_from_dict(json.loads(metadata.get("start", "null"))),
        )
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: its description is damaged, or unknown to this version ({error!r}); get it anew"
        ) from error


def export_generator(checkpoint: Path, out: Path, commit: str = "") -> Exported:
    """Write the averaged generator of a run to ``out`` (``.safetensors``) in half precision; returns what is in it.

    Args:
        checkpoint: a run's ``checkpoint.pt``. If ``metrics.json`` lies beside it, the metrics are taken along.
        out: file to write; it is always whole, old or new.
        commit: of the code that trained it.

    Raises:
        CheckpointError: the checkpoint cannot be read, or its ``metrics.json`` is older than itself or not JSON.
    """
    checkpoint, out = Path(checkpoint), Path(out)
    state = load_checkpoint(checkpoint)
    weights = {name: value.half().contiguous() for name, value in state["ema"].items()}
    exported = Exported(
        preset_from_dict(state["preset"]),
        weights,
        weights_digest(weights),
        state["step"],
        round(state["seconds"] / 60, 2),
        state["seed"],
        commit,
        _metrics_beside(checkpoint),
        start_from_dict(state.get("start")),
    )
    metadata = {
        "format": EXPORT_FORMAT,
        "architecture": str(ARCHITECTURE),
        "digest": exported.digest,
        "preset": json.dumps(preset_to_dict(exported.preset)),
        "steps": str(exported.steps),
        "minutes": str(exported.minutes),
        "seed": str(exported.seed),
        "commit": exported.commit,
        "metrics": json.dumps(exported.metrics),
        "start": json.dumps(None if exported.start is None else asdict(exported.start)),
    }
    with _whole(out) as temporary:
        save_file(exported.weights, temporary, metadata)
    return exported


def _metrics_beside(checkpoint: Path) -> Metrics | None:
    path = checkpoint.with_name("metrics.json")
    if not path.is_file():
        return None
    remedy = f"run python -m sdgan_lib evaluate {checkpoint}, or remove the file to export without metrics"
    if path.stat().st_mtime < checkpoint.stat().st_mtime:
        raise CheckpointError(f"{path}: older than {checkpoint.name}, so not its metrics; {remedy}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error}); {remedy}") from error
