"""Checkpoints: written atomically, read without executing code.

A run keeps one file with all that a resumed run needs. What is passed on to others is smaller: the generator's
averaged weights alone, in half precision, as safetensors (:func:`export_generator`).
"""

import json
import os
import pickle
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from sdgan_lib.discriminators import DiscriminatorConfig
from sdgan_lib.generators import Generator, GeneratorConfig, make_generator
from sdgan_lib.losses import LossConfig
from sdgan_lib.presets import Preset, Recipe

FORMAT = "sdgan-checkpoint-1"


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message names the file and the remedy."""


def save_checkpoint(path: Path, state: dict) -> None:
    """Write ``state`` (tensors and plain Python values) so that ``path`` is always whole: old or new.

    The bytes go to a temporary file beside it, reach the disk, and then take its name in one step.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    with open(temporary, "wb") as f:
        torch.save({"format": FORMAT, **state}, f)
        f.flush()
        os.fsync(f.fileno())
    os.replace(temporary, path)


def load_checkpoint(path: Path) -> dict:
    """Read a checkpoint onto the CPU. Only tensors and plain values are accepted, so no code of its runs.

    Raises:
        CheckpointError: no such file, not a checkpoint, a damaged one, or one of another format.
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
    return state


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


def load_generator(path: Path, device: str | torch.device = "cpu") -> Generator:
    """The generator of a checkpoint with its averaged (EMA) weights, in evaluation mode on ``device``.

    Args:
        path: a run's ``checkpoint.pt``, or a ``.safetensors`` file from :func:`export_generator`.
    """
    path = Path(path)
    preset, weights = _read_exported(path) if path.suffix == ".safetensors" else _read_averaged(path)
    generator = make_generator(preset.generator)
    try:
        generator.load_state_dict(weights)
    except (RuntimeError, KeyError) as error:
        raise CheckpointError(
            f"{path}: its weights do not fit the networks of this version; train anew"
        ) from error
    return generator.to(device).eval()


def _read_averaged(path: Path) -> tuple[Preset, dict[str, torch.Tensor]]:
    state = load_checkpoint(path)
    return preset_from_dict(state["preset"]), state["ema"]


def _read_exported(path: Path) -> tuple[Preset, dict[str, torch.Tensor]]:
    try:
        with safe_open(_existing(path), framework="pt") as f:
            metadata = f.metadata() or {}
            weights = {name: f.get_tensor(name).float() for name in f.keys()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged, or not a safetensors file ({error}); get it anew") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path}: format {metadata.get('format')!r}, this version reads {FORMAT!r}")
    return preset_from_dict(json.loads(metadata["preset"])), weights


def export_generator(checkpoint: Path, out: Path) -> None:
    """Write the averaged generator of a run's checkpoint to ``out`` (``.safetensors``) in half precision.

    The file's metadata hold the format, the preset, the number of steps and the seed.
    """
    state = load_checkpoint(checkpoint)
    weights = {name: value.half().contiguous() for name, value in state["ema"].items()}
    metadata = {"format": FORMAT, "preset": json.dumps(state["preset"])}
    metadata |= {key: str(state[key]) for key in ("step", "seed")}
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, out, metadata)
