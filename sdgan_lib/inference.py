"""Making pictures from a checkpoint: one person, one new pose."""

import io
import os
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from sdgan_lib.batches import pick_device
from sdgan_lib.checkpoints import load_generator
from sdgan_lib.datasets import Split, open_split
from sdgan_lib.errors import Problem, UserError
from sdgan_lib.files import working_folder
from sdgan_lib.generators import Generator
from sdgan_lib.images import (
    check_writable,
    decode,
    encode_png,
    from_uint8,
    opened,
    pixels,
    to_uint8,
    upright_size,
    write_picture,
)
from sdgan_lib.pose import rescale_pose
from sdgan_lib.protocol import misplaced, read_pose

LARGEST = 512 * 512
"""Pixels of the largest picture that is generated; more takes gigabytes, and no system is trained at such a size."""


def find_picture(data: Path, name: str) -> tuple[Path, Tensor]:
    """Path and pose of a picture of a data set, by its name (``.jpg`` may be left out), test split first.

    Raises:
        UserError: when neither split has it.
    """
    part, index = _find(data, name)
    return part.image_path(index), part.poses[index]


def _find(data: Path, name: str) -> tuple[Split, int]:
    for split in ("test", "train"):
        part = open_split(data, split)
        for candidate in (name, name + ".jpg"):
            if candidate in part.names:
                return part, part.names.index(candidate)
    place = "" if os.path.isabs(data) and os.path.isabs(name) else f", looked for in {working_folder()}"
    raise UserError(
        f"{name}: neither a file nor an annotated picture of {data}{place}. Remedy: check the name."
    )


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
    size: tuple[int, int] | None = None,
) -> None:
    """Make the person of ``source`` in the pose of ``target`` and write the picture.

    Args:
        checkpoint: a run's ``checkpoint.pt``, or an exported ``.safetensors`` file.
        source: a picture file (with ``source_pose``, a JSON file), or the name of a picture of ``data``.
        target: a JSON pose file in pixels of the source picture, or the name of a picture of ``data``, whose pose is
            brought to the size of the source picture.
        source_pose: JSON pose file in pixels of the source picture; not needed for a picture of ``data``.
        out: picture file to write; its ending chooses the format.
        data: folder of the data set in which names are looked up.
        device: see :func:`sdgan_lib.batches.pick_device`.
        size: (height, width) to which source picture and poses are resized first.

    Raises:
        UserError: naming what is missing, unreadable or does not fit, and the remedy; nothing is written then.
    """
    check_writable(out)
    device = pick_device(device)
    path, pose = Path(source), None
    if not os.path.isfile(source):
        path, pose = find_picture(data, source)
    if source_pose is not None:
        pose = read_pose(source_pose)
    if pose is None:
        raise UserError(
            f"{source}: the pose of a picture file is unknown. Remedy: give it with --source-pose."
        )
    with opened(path) as file:
        found = upright_size(file)
    if target.endswith(".json") or os.path.isfile(target):
        target_pose = read_pose(target)
    else:
        part, index = _find(data, target)
        target_pose = rescale_pose(part.poses[index], part.size, found)
    for origin, joints in ((source_pose or source, pose), (target, target_pose)):
        fault = misplaced(joints, found)
        if fault is not None:
            raise UserError(Problem(Path(origin), *fault))

    generator = load_generator(checkpoint, device)
    _check_size(generator, size or found, path if size is None else Path("--size"))
    with opened(path) as file:
        picture = decode(file)
    if size is not None:
        picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    poses = (rescale_pose(joints, found, size or found) for joints in (pose, target_pose))
    png = render_png(generator, from_uint8(pixels(picture)), *poses)
    with Image.open(io.BytesIO(png)) as made:
        write_picture(out, made)


def _check_size(generator: Generator, size: tuple[int, int], origin: Path) -> None:
    height, width = size
    if min(size) > 0 and height * width <= LARGEST and generator.config.accepts(height, width):
        return
    step = 2**generator.config.depth
    message = (
        f"{height}x{width} (height x width) is not a size that this generator takes: both must be divisible by {step}, "
        f"and no more than {LARGEST:,} pixels in all"
    )
    remedy = "crop the picture to the person and resize it with its poses by --size HEIGHT WIDTH, say --size 128 64"
    raise UserError(Problem(origin, message, remedy))
