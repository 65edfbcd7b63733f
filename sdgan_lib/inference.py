"""Making pictures from a checkpoint: one person, one new pose."""

import io
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from sdgan_lib.batches import pick_device
from sdgan_lib.checkpoints import load_generator
from sdgan_lib.datasets import open_split
from sdgan_lib.generators import Generator
from sdgan_lib.images import encode_png, read_picture, to_uint8
from sdgan_lib.protocol import read_pose


def find_picture(data: Path, name: str) -> tuple[Path, Tensor]:
    """Path and pose of a picture of a data set, by its name (``.jpg`` may be left out), test split first.

    Raises:
        ValueError: when neither split has it.
    """
    for split in ("test", "train"):
        part = open_split(data, split)
        for candidate in (name, name + ".jpg"):
            if candidate in part.names:
                index = part.names.index(candidate)
                return part.image_path(index), part.poses[index]
    raise ValueError(f"{name}: neither a file nor an annotated picture of {data}")


def render_png(generator: Generator, source_image: Tensor, source_pose: Tensor, target_pose: Tensor) -> bytes:
    """From joints to picture: the person of ``source_image`` in ``target_pose``, as the bytes of a PNG file.

    The same picture as :meth:`Generator.transfer` makes, in 256 steps per colour. For one picture at a time, as under
    a slider; many are made quicker as one batch.

    Args:
        generator: in evaluation mode, as :func:`sdgan_lib.checkpoints.load_generator` returns it; its device is used.
        source_image: ``[3, H, W]`` in [-1, 1].
        source_pose, target_pose: ``[18, 2]`` (x, y) in pixels, NaN where a joint is missing.

    Raises:
        ValueError: for a size or shape that the generator does not take.
    """
    device = next(generator.parameters()).device
    batch = (x.contiguous().to(device)[None] for x in (source_image, source_pose, target_pose))
    with torch.inference_mode():
        picture = generator.transfer(*batch).image
    return encode_png(to_uint8(picture)[0])


def generate(
    checkpoint: Path,
    source: str,
    target: str,
    source_pose: Path | None,
    out: Path,
    data: Path,
    device: str = "auto",
) -> None:
    """Make the person of ``source`` in the pose of ``target`` and write the picture.

    Args:
        source: a picture file (with ``source_pose``, a JSON file), or the name of a picture of ``data``.
        target: a JSON pose file in pixels of the source picture, or the name of a picture of ``data``.
        out: picture file to write; its ending chooses the format.

    Raises:
        ValueError: naming what is missing or unreadable, and the remedy.
    """
    if not source or not target:
        raise ValueError("name a --source picture and a --target pose")
    path, pose = Path(source), None
    if not path.is_file():
        path, pose = find_picture(data, source)
    if source_pose is not None:
        pose = read_pose(source_pose)
    if pose is None:
        raise ValueError(f"{source}: the pose of a picture file is unknown; give it with --source-pose")
    target_pose = read_pose(Path(target)) if target.endswith(".json") else find_picture(data, target)[1]
    generator = load_generator(checkpoint, pick_device(device))
    png = render_png(generator, read_picture(path), pose, target_pose)
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.open(io.BytesIO(png)).save(out)
