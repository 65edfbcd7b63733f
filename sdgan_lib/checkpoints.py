"""Checkpoints: written whole or not at all, read without executing code, verified before they are used.

A run keeps one file with all that a resumed run needs. What is passed on to others is smaller: the generator's
averaged weights alone, in half precision, as safetensors (:func:`export_generator`), with where they come from,
what they reach, and a digest that tells a damaged file. :func:`read_trained` reads both kinds.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sdgan_lib.discriminators import DiscriminatorConfig
from sdgan_lib.errors import UserError
from sdgan_lib.files import explain, parse_json, read_json, whole, write_whole
from sdgan_lib.generators import Generator, GeneratorConfig, make_generator
from sdgan_lib.losses import LossConfig
from sdgan_lib.presets import Preset, Recipe

ARCHITECTURE = 1
"""Version of what weights mean. Raise it with every change of the networks, heat maps or warps after which weights
trained before would load and yet make other pictures. tests/test_shipped.py fails when that was forgotten."""

FORMAT = "sdgan-checkpoint-2"  # of a run's file; the first named networks and their tensors otherwise
EXPORT_FORMAT = "sdgan-generator-2"  # of an exported one; the first had neither digest nor architecture
Metrics = dict[str, dict[str, dict[str, float]]]

SHIPPED = Path(__file__).parents[1] / "data/checkpoints/sdgan.safetensors"
"""The generator that comes with the repository."""


class CheckpointError(UserError):
    """A checkpoint cannot be used; the message names the file and the remedy."""


@dataclass(frozen=True)
class Start:
    """The trained generator that a run started from, in place of fresh weights.

    Attributes:
        digest: of its weights, see :func:`weights_digest`.
        steps: of training that had gone into it, those of the runs before it included.
        minutes: of training that had gone into it, likewise.
    """

    digest: str
    steps: int
    minutes: float


@dataclass(frozen=True)
class Trained:
    """A trained generator and where it comes from, as a run's checkpoint and an exported file both hold it.

    Attributes:
        preset: what was trained, and how.
        weights: averaged weights by name; in half precision in an exported file.
        digest: of these weights, see :func:`weights_digest`.
        steps: steps of training of its run.
        minutes: minutes of training of its run.
        seed: of the run.
        start: what the run started from; None if from fresh weights.
        data: the training pairs (:meth:`sdgan_lib.datasets.PersonPairs.description`); None if not recorded.
        commit: of the code that trained it; empty if not recorded.
        metrics: means by group of pairs, answer and metric; None if the run was not evaluated.
        test: the pairs that ``metrics`` are of; None if not recorded.
    """

    preset: Preset
    weights: dict[str, Tensor]
    digest: str
    steps: int
    minutes: float
    seed: int
    start: Start | None = None
    data: dict | None = None
    commit: str = ""
    metrics: Metrics | None = None
    test: dict | None = None


def preset_to_dict(preset: Preset) -> dict:
    """Plain nested dictionaries, as they stand in a checkpoint."""
    return asdict(preset)


def preset_from_dict(values: Mapping[str, Any]) -> Preset:
    """Inverse of :func:`preset_to_dict`.

    Raises:
        ValueError: naming what is missing, unknown or out of range.
    """
    parts = {
        "generator": GeneratorConfig,
        "discriminator": DiscriminatorConfig,
        "losses": LossConfig,
        "recipe": Recipe,
    }
    if not isinstance(values, Mapping) or set(values) != set(parts):
        raise ValueError(f"a preset has {', '.join(parts)}")
    made = {}
    for name, kind in parts.items():
        known = {field.name for field in fields(kind)}
        if unknown := sorted(set(values[name]) - known):
            raise ValueError(f"{name} has {', '.join(map(str, unknown))}, which this version does not know")
        given = {key: tuple(v) if isinstance(v, list) else v for key, v in values[name].items()}
        try:
            made[name] = kind(**given)
        except TypeError as error:
            raise ValueError(f"{name}: {error}") from error
    return Preset(**made)


def start_from_dict(values: Mapping[str, Any] | None) -> Start | None:
    """A :class:`Start` as it stands in a checkpoint; None where none is named."""
    return None if values is None else Start(**values)


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 (64 hexadecimal digits) of the names, types, shapes and bytes of weights, taken in the order of names.

    It does not depend on the order of ``weights``, nor on how a file arranges them.
    """
    total = hashlib.sha256()
    for name, value in sorted(weights.items()):
        total.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode() + b"\n")
        total.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return total.hexdigest()


# A run's file


def save_checkpoint(path: Path, state: dict) -> None:
    """Write ``state`` (tensors and plain Python values) so that ``path`` is always whole: old or new."""
    with whole(path) as temporary, open(temporary, "wb") as file:
        torch.save({"format": FORMAT, "architecture": ARCHITECTURE, **state}, file)


def load_checkpoint(path: Path) -> dict:
    """Read a run's checkpoint onto the CPU. Only tensors and plain values are accepted, so no code of its runs.

    Raises:
        CheckpointError: no such file, not a checkpoint, a damaged one (a single bit is noticed), one of another format,
            or one made for another :data:`ARCHITECTURE`.
    """
    path = _existing(path)
    try:
        _check_archive(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(explain(error, path)) from error
    except Exception as error:  # PyTorch raises whatever the bytes lead it to
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        if "weights_only" in reason or "WeightsUnpickler" in reason:
            reason = "it holds more than tensors and plain values"
        raise CheckpointError(
            f"{path}: not a checkpoint, or damaged ({reason}); nothing of it was executed. Remedy: use another one, "
            "or train anew."
        ) from error
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT:
        raise CheckpointError(f"{path}: format {found!r}, this version reads {FORMAT!r}. Remedy: train anew.")
    _check_architecture(path, state.get("architecture"))
    return state


def _check_archive(path: Path) -> None:
    """Raise unless a file is a zip archive as PyTorch writes it: nothing compressed, every checksum right."""
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("its parts are compressed")
        if spoiled := archive.testzip():
            raise ValueError(f"the checksum of its part {spoiled} is wrong")


def _check_architecture(path: Path, found: object) -> None:
    if found != ARCHITECTURE:
        raise CheckpointError(
            f"{path}: made for version {found} of the networks, this sdgan_lib has version {ARCHITECTURE}. Remedy: use "
            "the sdgan_lib it was made with, or train anew."
        )


def _existing(path: Path) -> Path:
    path = Path(path)
    if path.is_dir():
        raise CheckpointError(f"{path}: a folder, not a checkpoint. Remedy: name the file in it.")
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such checkpoint (looked for in {Path.cwd()}). Remedy: train one (python -m sdgan_lib train)."
        )
    return path


# Both kinds of files


def read_trained(path: Path) -> Trained:
    """What a run's ``checkpoint.pt``, or a ``.safetensors`` file from :func:`export_generator`, holds of a generator.

    Raises:
        CheckpointError: no such file, damaged, of another format, or made for another :data:`ARCHITECTURE`.
    """
    path = Path(path)
    return read_exported(path) if path.suffix == ".safetensors" else _of_run(path, load_checkpoint(path))


def _of_run(path: Path, state: dict) -> Trained:
    try:
        weights = dict(state["ema"])
        return Trained(
            preset_from_dict(state["preset"]),
            weights,
            weights_digest(weights),
            int(state["step"]),
            round(state["seconds"] / 60, 2),
            int(state["seed"]),
            start_from_dict(state["start"]),
            state["data"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(_unknown(path, error)) from error


def _unknown(path: Path, error: Exception) -> str:
    what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return f"{path}: its description is damaged, or made by another version ({what}). Remedy: get it or train it anew."


def load_generator(path: Path, device: str | torch.device = "cpu") -> Generator:
    """The generator of a checkpoint with its averaged (EMA) weights, in evaluation mode on ``device``.

    Args:
        path: a run's ``checkpoint.pt``, or a ``.safetensors`` file from :func:`export_generator`.
        device: where it goes.

    Raises:
        CheckpointError: see :func:`read_trained`; also for weights that do not fit the networks.
    """
    return _generator(path, read_trained(path)).to(device)


def load_start(path: Path) -> tuple[Generator, Start]:
    """A trained generator, as of :func:`load_generator`, and what a run has to note that starts from it."""
    trained = read_trained(path)
    before = trained.start or Start("", 0, 0.0)
    steps, minutes = trained.steps + before.steps, trained.minutes + before.minutes
    return _generator(path, trained), Start(trained.digest, steps, round(minutes, 2))


def _generator(path: Path, trained: Trained) -> Generator:
    config, weights = trained.preset.generator, trained.weights
    if config.system == "sdgan":
        weights = _named_anew(weights, config.depth)
    try:
        with torch.device(
            "meta"
        ):  # whatever size a file claims, nothing of that size is made before it proves true
            wanted = {name: value.shape for name, value in make_generator(config).state_dict().items()}
        if wanted != {name: value.shape for name, value in weights.items()}:
            raise ValueError("other names or shapes")
        generator = make_generator(config)
        generator.load_state_dict(weights)  # widens those in half precision
    except (RuntimeError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"{path}: its weights do not fit the networks of this version. Remedy: train anew."
        ) from error
    return generator.eval()


def _named_anew(weights: Mapping[str, Tensor], depth: int) -> dict[str, Tensor]:
    """Weights of the stacked generator by the names of today.

    Files of the first months have one ``decoder`` for all three scales, and ``pose_up`` for ``ups``.
    """
    first = depth - 2  # blocks of DC_0
    names = {f"decoder.{k}.": f"decoders.0.{k}." for k in range(first)}
    names |= {f"decoder.{first + i}.": f"decoders.{i + 1}.0." for i in range(2)} | {"pose_up.": "ups."}
    renamed = {}
    for name, value in weights.items():
        old = next((prefix for prefix in names if name.startswith(prefix)), "")
        renamed[names.get(old, "") + name.removeprefix(old)] = value
    return renamed


# An exported file


def read_exported(path: Path) -> Trained:
    """Read an exported file and verify it.

    Raises:
        CheckpointError: no such file, damaged, of another format, or made for another :data:`ARCHITECTURE`.
    """
    path = _existing(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: damaged, or not a safetensors file ({error}). Remedy: get it anew."
        ) from error
    if metadata.get("format") != EXPORT_FORMAT:
        raise CheckpointError(
            f"{path}: format {metadata.get('format')!r}, this version reads {EXPORT_FORMAT!r}. Remedy: get it anew, or "
            "export it anew from its run: python -m sdgan_lib export."
        )
    try:
        _check_architecture(path, int(metadata["architecture"]))
        digest = weights_digest(weights)
        if digest != metadata["digest"]:
            raise CheckpointError(
                f"{path}: damaged, its weights do not match its digest. Remedy: get it anew."
            )
        return Trained(
            preset_from_dict(parse_json(metadata["preset"])),
            weights,
            digest,
            int(metadata["steps"]),
            float(metadata["minutes"]),
            int(metadata["seed"]),
            start_from_dict(parse_json(metadata.get("start", "null"))),
            parse_json(metadata.get("data", "null")),
            metadata["commit"],
            parse_json(metadata["metrics"]),
            parse_json(metadata.get("test", "null")),
        )
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(_unknown(path, error)) from error


def export_generator(checkpoint: Path, out: Path, commit: str = "") -> Trained:
    """Write the averaged generator of a run to ``out`` (``.safetensors``) in half precision; returns what is in it.

    Args:
        checkpoint: a run's ``checkpoint.pt``. If ``metrics.json`` lies beside it, the metrics are taken along.
        out: file to write; it is always whole, old or new.
        commit: of the code that trained it.

    Raises:
        CheckpointError: the checkpoint cannot be read, ``out`` has another ending, or ``metrics.json`` is older than
            the checkpoint or does not hold metrics.
    """
    checkpoint, out = Path(checkpoint), Path(out)
    if out.suffix != ".safetensors":
        raise CheckpointError(f"{out}: an exported file ends in .safetensors. Remedy: name it so.")
    run = _of_run(checkpoint, load_checkpoint(checkpoint))
    weights = {name: value.half().contiguous() for name, value in run.weights.items()}
    metrics, test = _metrics_beside(checkpoint)
    exported = Trained(
        run.preset,
        weights,
        weights_digest(weights),
        run.steps,
        run.minutes,
        run.seed,
        run.start,
        _without_place(run.data),
        commit,
        metrics,
        _without_place(test),
    )
    write_exported(exported, out)
    return exported


def _without_place(data: dict | None) -> dict | None:
    """The description of pairs without the folder they lay in, which is nobody's business where the file goes."""
    return None if data is None else {key: value for key, value in data.items() if key != "root"}


def write_exported(exported: Trained, out: Path) -> None:
    """Write a generator as an exported file."""
    metadata = {
        "format": EXPORT_FORMAT,
        "architecture": str(ARCHITECTURE),
        "digest": exported.digest,
        "preset": json.dumps(preset_to_dict(exported.preset)),
        "steps": str(exported.steps),
        "minutes": str(exported.minutes),
        "seed": str(exported.seed),
        "commit": exported.commit,
        "start": json.dumps(None if exported.start is None else asdict(exported.start)),
        "data": json.dumps(exported.data),
        "metrics": json.dumps(exported.metrics),
        "test": json.dumps(exported.test),
    }
    write_whole(out, save(exported.weights, metadata))


def _metrics_beside(checkpoint: Path) -> tuple[Metrics | None, dict | None]:
    path = checkpoint.with_name("metrics.json")
    if not path.is_file():
        return None, None
    remedy = f"Remedy: run python -m sdgan_lib evaluate {checkpoint}, or remove the file to export without metrics."
    if path.stat().st_mtime < checkpoint.stat().st_mtime:
        raise CheckpointError(f"{path}: older than {checkpoint.name}, so not its metrics. {remedy}")
    try:
        found = read_json(path)
    except UserError as error:
        raise CheckpointError(f"{error} {remedy}") from error
    if not isinstance(found, dict) or not isinstance(found.get("metrics"), dict):
        raise CheckpointError(f"{path}: it holds no metrics. {remedy}")
    return found["metrics"], found.get("test")
