"""Checkpoints: written atomically, read without executing code."""

import os
import pickle
from dataclasses import asdict
from pathlib import Path

import torch

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
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; train one with `python -m sdgan_lib train`")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: not a checkpoint, or damaged, or holding more than tensors and plain values ({reason}); "
            "nothing of it was executed — use another one, or train anew"
        ) from error
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT:
        raise CheckpointError(f"{path}: format {found!r}, this version reads {FORMAT!r}; train anew")
    return state


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
    """The generator of a checkpoint with its averaged (EMA) weights, in evaluation mode on ``device``."""
    state = load_checkpoint(path)
    generator = make_generator(preset_from_dict(state["preset"]).generator)
    try:
        generator.load_state_dict(state["ema"])
    except (RuntimeError, KeyError) as error:
        raise CheckpointError(f"{path}: its weights do not fit the networks of this version; train anew") from error
    return generator.to(device).eval()
