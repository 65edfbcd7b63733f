"""Somebody's own photos of one person as a data set, to train a generator further on that person.

Nobody annotates a dozen photos by hand. The joints are found by MoveNet (:mod:`sdgan_lib.estimation`), and the masks
are the source silhouettes that the shipped generator itself finds (:class:`sdgan_lib.composition.SourceSilhouette`).
Without masks a loss could not tell the person from the place, and the place would be painted along: a halo.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from sdgan_lib.checkpoints import SHIPPED, load_generator
from sdgan_lib.errors import Problem, UserError
from sdgan_lib.estimation import TRAINED, PoseEstimator, crop_to_model, find_person, load_estimator
from sdgan_lib.generators import Generator
from sdgan_lib.images import decode, opened, to_uint8, write_picture
from sdgan_lib.inputs import make_inputs
from sdgan_lib.pose import visible
from sdgan_lib.protocol import (
    DatasetError,
    Layout,
    Report,
    is_stray,
    stop,
    usable_pictures,
    write_annotations,
)

ENLARGED = 2.0
"""By how much the person of a photo is enlarged at most; beyond it there is only blur."""

LEAST_JOINTS = 13
"""Joints of the 18 that must lie in the picture. From behind, without a face, 14 are seen; fewer are left where
something else was taken for the body."""

LEAST_MASK = 0.03
"""Share of the picture that a person's mask has at least; the embedded people's is 0.26 on average."""

NAMES = {"train": "person", "test": "held-out"}
"""Who stands on the pictures of each split: one person under two names, as no identity may be in both splits."""

_REMEDY = "choose a photo that shows the person from head to foot, large and upright"


class Frame(NamedTuple):
    """One photo, with the person cut out.

    Attributes:
        photo: its file.
        picture: ``[3, H, W]`` in [-1, 1].
        pose: ``[18, 2]``, (x, y) in the picture's pixels, NaN for a missing joint.
        mask: bool ``[H, W]``, true on the person.
    """

    photo: Path
    picture: Tensor
    pose: Tensor
    mask: Tensor


def make_frames(
    photos: Sequence[str | Path],
    root: str | Path,
    hold_out: int = 3,
    report: Report = stop,
    estimator: PoseEstimator | None = None,
) -> dict[str, list[Path]]:
    """Make a data set (:mod:`sdgan_lib.datasets`) of photos of one person; the photos stay as they are.

    In each photo the largest person is found, and cut out as the generator wants people. Pairs are not written: without
    their file they are all ordered pairs of a split. The names say nothing of cameras, so that no loss and no metric
    takes two photos for pictures of one place.

    Args:
        photos: files, or folders, of which all files are taken in the order of their names.
        root: folder of the data set, new or empty.
        hold_out: how many pictures, spread evenly over the photos, become the test split; two or more.
        report: what is done with the fault of a photo; by default the first is raised. Otherwise it is left out.
        estimator: the shipped Thunder unless given.

    Returns:
        The photos that were taken, by split, in the order of the pictures ``person_001.png``, ``person_002.png`` ...
        (``train``) and ``held-out_001.png`` ... (``test``).

    Raises:
        DatasetError: the folder is not empty, or too few photos can be used; nothing is written then.
    """
    root = Path(root)
    if not photos:
        raise UserError("no photos: name files, or a folder of them")
    if os.path.lexists(root) and not (root.is_dir() and not any(root.iterdir())):
        stop(Problem(root, "it is there already", "choose another folder, so that nothing is lost"))
    if hold_out < 2:
        raise UserError(f"hold-out {hold_out}: two pictures or more are wanted, as a pair has two")
    estimator, generator = estimator or load_estimator(), load_generator(SHIPPED)
    frames: list[Frame] = []
    for path in tqdm(_files(photos), desc="finding the person", disable=None, leave=False):
        try:
            frames.append(_frame(path, estimator, generator))
        except DatasetError as error:
            report(error.problem)
    if len(frames) < hold_out + 2:
        message = f"{len(frames)} photos can be used, {hold_out + 2} are needed ({hold_out} are held out)"
        remedy = "add photos of the person from head to foot; a dozen is a good number"
        stop(Problem(Path(photos[0]), message, remedy))
    held = {(2 * i + 1) * len(frames) // (2 * hold_out) for i in range(hold_out)}
    parts = {
        split: [frame for i, frame in enumerate(frames) if (i in held) == (split == "test")]
        for split in NAMES
    }
    for split, part in parts.items():
        _write(Layout(root, "frames"), split, part)
    return {split: [frame.photo for frame in part] for split, part in parts.items()}


def _files(photos: Sequence[str | Path]) -> list[Path]:
    """The files named, and those in the folders named, each once."""
    files: dict[Path, None] = {}
    for path in map(Path, photos):
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        files |= dict.fromkeys(file for file in inside if not (is_stray(file.name) or file.is_dir()))
    return list(files)


def _frame(path: Path, estimator: PoseEstimator, generator: Generator) -> Frame:
    """The largest person of a photo; a DatasetError where no pair can be made with it."""
    try:
        with opened(path) as file:
            photo = decode(file)
    except UserError as error:
        raise DatasetError(error.problem) from error
    person = find_person(photo, estimator)
    if person is None:
        stop(Problem(path, "nobody was found in it", _REMEDY))
    try:
        picture, pose, crop = crop_to_model(photo, person.pose, TRAINED)
    except UserError as error:
        raise DatasetError(
            Problem(path, "neither trunk nor head of the person was found", _REMEDY)
        ) from error
    if not usable_pictures(["person"], pose[None])[0]:
        stop(Problem(path, "a hip or a shoulder of the person was not found, or is cut off", _REMEDY))
    if (seen := int(visible(pose).sum())) < LEAST_JOINTS:
        stop(Problem(path, f"only {seen} of 18 joints were found where a body has them", _REMEDY))
    if crop.scale > ENLARGED:
        message = f"the person is too small, some {person.extent:.0f} pixels from head to foot"
        stop(Problem(path, message, f"choose a photo with at least {TRAINED[0] / ENLARGED:.0f}"))
    with torch.inference_mode():
        made = generator(make_inputs(picture[None], pose[None], pose[None], generator.config.background))
    mask = made.background.logits[0, 0] > 0
    if mask.float().mean() < LEAST_MASK:
        stop(Problem(path, "the person could not be told from the background", "choose a plainer background"))
    return Frame(path, picture, pose, mask)


def _write(layout: Layout, split: str, frames: Sequence[Frame]) -> None:
    names = [f"{NAMES[split]}_{number:03}.png" for number in range(1, len(frames) + 1)]
    for name, frame in zip(names, frames, strict=True):
        write_picture(layout.images(split) / name, Image.fromarray(to_uint8(frame.picture)))
        write_picture(layout.masks(split) / name, Image.fromarray(frame.mask.numpy()))
    write_annotations(layout.annotations(split), names, torch.stack([frame.pose for frame in frames]))
