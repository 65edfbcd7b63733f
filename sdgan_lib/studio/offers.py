"""What every host of the studio offers to start with: people, poses and motions."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from sdgan_lib.datasets import open_split
from sdgan_lib.errors import UserError
from sdgan_lib.estimation import TRAINED
from sdgan_lib.images import read_picture
from sdgan_lib.motion import SEQUENCES, read_poses
from sdgan_lib.pose import visible
from sdgan_lib.protocol import identity

DATA = Path(__file__).parents[2] / "data/people"
"""The embedded people; the studio offers some of their test split, whom no generator has seen."""

PEOPLE = 12
"""How many people are offered."""

MOTIONS = {"walk": "Walk", "run": "Run", "raise_arms": "Raise the arms", "turn": "Turn round"}
"""The sequences of :data:`sdgan_lib.motion.SEQUENCES` that are offered as motions, and how they are called."""

POSES = {
    "Walk": ("walk", 0),
    "Run": ("run", 3),
    "Arms up": ("raise_arms", 6),
    "Front": ("turn", 0),
    "Side": ("turn", 3),
    "Back": ("turn", 6),
}
"""Poses to start from: name -> sequence, and number of the pose in it."""


_FROM_DRAWN = " joints. A photo is hard for a network trained on drawn people."

REPLIES = {
    "nobody": "Nobody was found in {name}. "
    "Drag each joint to its place on the body (Delete hides it), then press Done.",
    "one": "One person was found in {name}, with {joints} of 18" + _FROM_DRAWN,
    "several": "{count} people were found in {name}: choose one. The first has {joints} of 18" + _FROM_DRAWN,
    "placed": "The skeleton is in its place. Drag a joint, and the person follows.",
    "saved": "Saved as motion.gif.",
}
"""What every host tells when it has granted a wish; each names in braces what is to be filled in."""


class Offer(NamedTuple):
    """Somebody to be shown.

    Attributes:
        name: for people to read.
        picture: ``[3, H, W]`` in [-1, 1].
        pose: ``[18, 2]``, (x, y) in its pixels, NaN for a missing joint.
    """

    name: str
    picture: Tensor
    pose: Tensor


def offered_people(data: Path = DATA, size: tuple[int, int] = TRAINED) -> list[Offer]:
    """:data:`PEOPLE` people of a data set's test split.

    Identities at even distances; of each the picture that shows most joints, the first of equals.

    Args:
        data: folder of the data set.
        size: (height, width) that its pictures must have.

    Raises:
        UserError: the pictures have another size.
    """
    split = open_split(data, "test")
    if split.size != size:
        found, wanted = ("x".join(map(str, some)) for some in (split.size, size))
        raise UserError(f"{data}: its pictures are {found}, the studio is made for {wanted}")
    of_identity: dict[str, list[int]] = {}
    for index, name in enumerate(split.names):
        of_identity.setdefault(identity(name), []).append(index)
    identities = sorted(of_identity)
    places = np.linspace(0, len(identities) - 1, min(PEOPLE, len(identities))).round().astype(int)
    chosen = (
        max(of_identity[identities[place]], key=lambda i: int(visible(split.poses[i]).sum()))
        for place in places
    )
    return [
        Offer(split.names[i].removesuffix(".jpg"), read_picture(split.image_path(i)), split.poses[i])
        for i in chosen
    ]


def offered_motions() -> dict[str, Tensor]:
    """Name -> key poses ``[T, 18, 2]``, in pixels of their own."""
    return {label: read_poses(SEQUENCES / f"{name}.json") for name, label in MOTIONS.items()}


def offered_poses(people: list[Offer]) -> dict[str, Tensor]:
    """Name -> pose ``[18, 2]`` to start from, in pixels of its own: out of the sequences, and those of ``people``."""
    sequences = {name: read_poses(SEQUENCES / f"{name}.json") for name, _ in POSES.values()}
    poses = {label: sequences[name][number] for label, (name, number) in POSES.items()}
    return poses | {f"As {number}": person.pose for number, person in enumerate(people, 1)}


def told_of(name: str, poses: Sequence[Tensor]) -> str:
    """What is told of a photo.

    Args:
        name: of its file.
        poses: of the people found in it, ``[18, 2]`` each, NaN for a missing joint.
    """
    kind = ("nobody", "one", "several")[min(len(poses), 2)]
    joints = int(visible(poses[0]).sum()) if poses else 0
    return REPLIES[kind].format(name=name, count=len(poses), joints=joints)
