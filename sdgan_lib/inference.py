"""Making pictures from a checkpoint: one person in one new pose, or moving through a sequence of them."""

import io
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sdgan_lib.batches import pick_device
from sdgan_lib.checkpoints import load_generator
from sdgan_lib.datasets import Split, open_split
from sdgan_lib.errors import Problem, UserError
from sdgan_lib.estimation import TRAINED, crop_to_model, find_person
from sdgan_lib.files import working_folder, write_whole
from sdgan_lib.generators import Generator, TwoStreamGenerator
from sdgan_lib.images import (
    FASTEST,
    check_writable,
    decode,
    encode_gif,
    encode_png,
    from_uint8,
    opened,
    pixels,
    to_uint8,
    upright_size,
    write_picture,
)
from sdgan_lib.inputs import make_inputs
from sdgan_lib.motion import find_sequence, fit_poses, read_poses
from sdgan_lib.plotting import attention_picture, heatmap_overlay
from sdgan_lib.pose import check_pose, rescale_pose
from sdgan_lib.protocol import misplaced, read_pose
from sdgan_lib.systems import SYSTEMS
from sdgan_lib.warping import warp_image

LARGEST = 512 * 512
"""Pixels of the largest picture that is generated; more takes gigabytes, and no system is trained at such a size."""

LARGEST_SCALE = 16
"""By how much the frames of a moving picture are enlarged at most."""


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


def look_inside(
    generator: Generator, source_image: Tensor, source_pose: Tensor, target_pose: Tensor
) -> dict[str, np.ndarray]:
    """What a generator is given and what it makes on the way to its picture, each as a picture to look at.

    One forward pass, the one that makes the picture itself: ``"full size"`` is what :func:`render_png` gives.

    Args:
        generator, source_image, source_pose, target_pose: as for :func:`render_png`.

    Returns:
        label -> uint8 ``[h, w, 3]``, in this order, without those that a system does not have: ``"heat maps"`` of the
        target pose, each in its joint's colour; ``"warped source"``, the answer without a network
        (:func:`sdgan_lib.warping.warp_image`); its pictures, ``"1/4 of the size"`` and ``"1/2 of the size"``, or
        ``"coarse"``, and ``"full size"``; ``"attention"`` at full size
        (:func:`sdgan_lib.plotting.attention_picture`); ``"silhouette"``, white where the person is put before the
        ``"background"``.

    Raises:
        ValueError: for a size or shape that the generator does not take.
    """
    device = next(generator.parameters()).device
    batch = (x.contiguous().to(device)[None] for x in (source_image, source_pose, target_pose))
    with torch.inference_mode():
        inputs = make_inputs(*batch, generator.config.background)
        made = generator(inputs)
        black = np.zeros((*inputs.size, 3), np.uint8)
        pictures = {"heat maps": heatmap_overlay(black, inputs.target_heatmaps[0])}
        if isinstance(generator, TwoStreamGenerator):
            pictures["warped source"] = to_uint8(warp_image(inputs.source_image, inputs.warps)[0])
        *factors, _ = SYSTEMS[generator.config.system].scales
        for factor, image in zip(factors, made.images[:-1], strict=True):
            pictures["coarse" if factor == 1 else f"1/{factor} of the size"] = to_uint8(image[0])
        pictures["full size"] = to_uint8(made.image[0])
        if made.attention:
            pictures["attention"] = attention_picture(made.attention[-1][0])
        if made.background is not None:
            person = made.background.target_logits[-1][0].sigmoid()
            pictures["silhouette"] = to_uint8((2 * person - 1).expand(3, -1, -1))
            pictures["background"] = to_uint8(made.background.picture[0])
    return pictures


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
        source: a picture file, or the name of a picture of ``data``. Without ``source_pose`` the largest person of the
            file is found, and cut out (:func:`sdgan_lib.estimation.find_person`).
        target: a JSON pose file in pixels of the source picture, or the name of a picture of ``data``, whose pose is
            brought to the size of the source picture.
        source_pose: JSON pose file in pixels of the source picture, which is then taken whole.
        out: picture file to write; its ending chooses the format.
        data: folder of the data set in which names are looked up.
        device: see :func:`sdgan_lib.batches.pick_device`.
        size: (height, width) to which source picture and poses are resized first.

    Raises:
        UserError: naming what is missing, unreadable or does not fit, and the remedy; nothing is written then.
    """
    check_writable(out)
    device = pick_device(device)
    person = _find_source(source, source_pose, data)
    if target.endswith(".json") or os.path.isfile(target):
        target_pose, target_size = read_pose(target), None
    else:
        part, index = _find(data, target)
        target_pose, target_size = part.poses[index], part.size
    _check_place(target, target_pose, target_size or person.size)
    generator = load_generator(checkpoint, device)
    picture, pose, place = _read_person(generator, person, size)
    if target_size is None:
        target_pose = place(target_pose)
    else:
        target_pose = rescale_pose(target_pose, target_size, picture.shape[-2:])
    png = render_png(generator, picture, pose, target_pose)
    with Image.open(io.BytesIO(png)) as made:
        write_picture(out, made)


def animate(
    generator: Generator, source_image: Tensor, source_pose: Tensor, poses: Tensor, batch_size: int = 8
) -> Tensor:
    """The person of one picture in each pose of a sequence: the frames of a moving picture.

    Args:
        generator: in evaluation mode; its device is used.
        source_image: ``[3, H, W]`` in [-1, 1].
        source_pose: ``[18, 2]`` (x, y) in pixels, NaN where a joint is missing.
        poses: ``[T, 18, 2]`` in pixels of the same picture, as :func:`sdgan_lib.motion.fit_poses` brings them there.
        batch_size: frames that are made at once.

    Returns:
        ``[T, 3, H, W]`` in [-1, 1], on the generator's device.

    Raises:
        ValueError: for a size or shape that the generator does not take, or without any pose.
    """
    check_pose(source_pose, "source_pose", batched=False)
    check_pose(poses, "poses")
    if not len(poses):
        raise ValueError("a moving picture needs one pose or more")
    device = next(generator.parameters()).device
    image, pose = (x.contiguous().to(device)[None] for x in (source_image, source_pose))
    frames = []
    with torch.inference_mode():
        for some in poses.to(device).split(batch_size):
            copies = image.expand(len(some), -1, -1, -1), pose.expand(len(some), -1, -1)
            frames.append(generator.transfer(*copies, some).image)
        return torch.cat(frames)


def animate_files(
    checkpoint: Path,
    source: str,
    poses: str,
    source_pose: Path | None,
    out: Path,
    data: Path,
    device: str = "auto",
    size: tuple[int, int] | None = None,
    frames_per_second: float = 8.0,
    scale: int = 3,
) -> None:
    """Make the person of ``source`` move through a sequence of poses: a GIF, or a PNG of all frames in a row.

    Args:
        checkpoint, source, source_pose, data, device, size: see :func:`generate`.
        poses: a JSON file (:func:`sdgan_lib.motion.read_poses`), or the name of a sequence that comes with the
            repository; it is brought to the person's size and place.
        out: file to write; ``.gif`` or ``.png``.
        frames_per_second: of the GIF.
        scale: by which each pixel is repeated, across and down.

    Raises:
        UserError: naming what is missing, unreadable or does not fit, and the remedy; nothing is written then.
    """
    if out.suffix.lower() not in (".gif", ".png"):
        message = f"its ending {out.suffix!r} is not that of a moving picture"
        raise UserError(Problem(out, message, "choose .gif, or .png for all frames in a row"))
    if not 0 < frames_per_second <= FASTEST:
        raise UserError(
            f"--frames-per-second {frames_per_second:g}: more than 0 and at most {FASTEST} is wanted"
        )
    if not 1 <= scale <= LARGEST_SCALE:
        raise UserError(f"--scale {scale}: a whole number of 1 to {LARGEST_SCALE} is wanted")
    device = pick_device(device)
    person = _find_source(source, source_pose, data)
    sequence = read_poses(find_sequence(poses))
    generator = load_generator(checkpoint, device)
    picture, pose, _ = _read_person(generator, person, size)
    frames = to_uint8(animate(generator, picture, pose, fit_poses(sequence, pose)))
    if out.suffix.lower() == ".gif":
        write_whole(out, encode_gif(frames, frames_per_second, scale))
        return
    strip = Image.fromarray(np.concatenate(list(frames), axis=1))
    write_picture(out, strip.resize((strip.width * scale, strip.height * scale), Image.Resampling.NEAREST))


class _Source(NamedTuple):
    """A source's file, its pose in pixels (None: still to be found) and the (height, width) of its picture."""

    path: Path
    pose: Tensor | None
    size: tuple[int, int]


def _find_source(source: str, source_pose: Path | None, data: Path) -> _Source:
    """A picture file, with its pose's file or without, or a picture of ``data`` by its name."""
    path, pose = Path(source), None
    if not os.path.isfile(source):
        path, pose = find_picture(data, source)
    if source_pose is not None:
        pose = read_pose(source_pose)
    with opened(path) as file:
        size = upright_size(file)
    if pose is not None:
        _check_place(source_pose or source, pose, size)
    return _Source(path, pose, size)


def _check_place(origin: str | Path, pose: Tensor, size: tuple[int, int]) -> None:
    """Raise a UserError that names ``origin`` unless the pose lies on its picture."""
    if fault := misplaced(pose, size):
        raise UserError(Problem(Path(origin), *fault))


def _read_person(
    generator: Generator, source: _Source, size: tuple[int, int] | None
) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
    """Picture ``[3, H, W]`` and pose of a source, and what brings other points of its file there.

    With its pose known, the whole picture, resized to ``size`` if given. Otherwise the person is found in it, and what
    is around it is cut off, see :func:`sdgan_lib.estimation.crop_to_model`.
    """
    photo = source.pose is None
    own = TRAINED if photo else source.size
    _check_size(generator, size or own, source.path if size is None else Path("--size"))
    with opened(source.path) as file:
        picture = decode(file)
    if photo:
        person = find_person(picture)
        if person is None:
            message = "nobody was found in it"
            remedy = "choose a photo of one person, from head to foot, or give the pose with --source-pose"
            raise UserError(Problem(source.path, message, remedy))
        cropped = crop_to_model(picture, person.pose, size or own)
        return cropped.picture, cropped.pose, cropped.crop.to
    if size is not None:
        picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    place = partial(rescale_pose, from_size=source.size, to_size=size or own)
    return from_uint8(pixels(picture)), place(source.pose), place


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
