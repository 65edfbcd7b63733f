"""Poses: 18 joints as (x, y) in pixels, and the one conversion from pixels to sampling coordinates.

A pose is a float tensor ``[B, 18, 2]`` (or ``[18, 2]``). Pixel centres are integers: the top left pixel's centre
is (0, 0), its outer corner (-0.5, -0.5). A missing joint is NaN in both coordinates. Joints are in OpenPose's
(COCO-18) order.
"""

from collections.abc import Sequence
from operator import index

import torch
from torch import Tensor

JOINTS = (
    "nose", "neck",
    "Rsho", "Relb", "Rwri", "Lsho", "Lelb", "Lwri",
    "Rhip", "Rkne", "Rank", "Lhip", "Lkne", "Lank",
    "Reye", "Leye", "Rear", "Lear",
)  # fmt: skip
"""Names of the 18 joints; R and L are the person's own right and left."""

JOINT = {name: i for i, name in enumerate(JOINTS)}
"""Index of a joint by its name."""

REQUIRED = tuple(JOINT[name] for name in ("Rhip", "Lhip", "Rsho", "Lsho"))
"""Joints that both images of a training pair must show (the Market-1501 protocol)."""

FACE = tuple(JOINT[name] for name in ("nose", "Reye", "Leye", "Rear", "Lear"))
"""Joints of the head."""

LIMBS = {
    "right_thigh": (JOINT["Rhip"], JOINT["Rkne"]),
    "left_thigh": (JOINT["Lhip"], JOINT["Lkne"]),
    "right_shin": (JOINT["Rkne"], JOINT["Rank"]),
    "left_shin": (JOINT["Lkne"], JOINT["Lank"]),
    "right_upper_arm": (JOINT["Rsho"], JOINT["Relb"]),
    "left_upper_arm": (JOINT["Lsho"], JOINT["Lelb"]),
    "right_forearm": (JOINT["Relb"], JOINT["Rwri"]),
    "left_forearm": (JOINT["Lelb"], JOINT["Lwri"]),
}
"""The eight limbs as (joint near the body, joint away from it), right before left."""

SKELETON = (
    (JOINT["neck"], JOINT["Rsho"]), (JOINT["neck"], JOINT["Lsho"]),
    (JOINT["neck"], JOINT["Rhip"]), (JOINT["neck"], JOINT["Lhip"]),
    *LIMBS.values(),
    (JOINT["neck"], JOINT["nose"]),
    (JOINT["nose"], JOINT["Reye"]), (JOINT["Reye"], JOINT["Rear"]),
    (JOINT["nose"], JOINT["Leye"]), (JOINT["Leye"], JOINT["Lear"]),
)  # fmt: skip
"""The 17 bones to draw, as pairs of joint indices."""

_OTHER_SIDE = str.maketrans("LR", "RL")
LEFT_RIGHT = tuple(JOINT[name.translate(_OTHER_SIDE)] for name in JOINTS)
"""For each joint the index of its mirror image: ``pose[:, LEFT_RIGHT]`` swaps left and right."""


def visible(pose: Tensor) -> Tensor:
    """Which joints are present: bool ``[..., 18]`` for a pose ``[..., 18, 2]``."""
    return ~pose.isnan().any(dim=-1)


def check_pose(pose: Tensor, name: str = "pose", batched: bool = True) -> None:
    """Raise unless ``pose`` is a float tensor ``[B, 18, 2]``, or ``[18, 2]`` for one that is not ``batched``.

    Raises:
        ValueError: with ``name``, the expected shape and the one found.
    """
    dimensions = 3 if batched else 2
    if pose.ndim != dimensions or pose.shape[-2:] != (len(JOINTS), 2):
        shape = "[B, 18, 2]" if batched else "[18, 2]"
        raise ValueError(f"{name} must have shape {shape}, got {list(pose.shape)}")
    if not pose.is_floating_point():
        raise ValueError(f"{name} must be a float tensor (NaN for a missing joint), got {pose.dtype}")


def from_annotation(ys: Sequence[int], xs: Sequence[int]) -> Tensor:
    """Read one annotation row (y first, -1 for missing) as a float pose ``[18, 2]``.

    Raises ValueError when a list does not hold 18 integers, holds a negative number other than -1, or when a
    joint is missing in one of the two lists only.
    """
    columns = []
    for axis, values in (("y", ys), ("x", xs)):
        if len(values) != len(JOINTS):
            raise ValueError(f"expected {len(JOINTS)} {axis} coordinates, one per joint, got {len(values)}")
        column = []
        for name, value in zip(JOINTS, values, strict=True):
            if isinstance(value, bool) or not hasattr(value, "__index__"):
                raise ValueError(
                    f"{axis} of {name} is {value!r}: expected a whole number of pixels, or -1 for missing"
                )
            if index(value) < -1:
                raise ValueError(
                    f"{axis} of {name} is {value!r}: the only negative number allowed is -1, for missing"
                )
            column.append(index(value))
        columns.append(column)
    for name, y, x in zip(JOINTS, *columns, strict=True):
        if (y == -1) != (x == -1):
            raise ValueError(
                f"{name} is missing in one coordinate only (y = {y}, x = {x}): use -1 in both, or in none"
            )
    pose = torch.tensor(columns, dtype=torch.float32).flip(0).T.contiguous()
    return pose.masked_fill(pose < 0, torch.nan)


def to_annotation(pose: Tensor) -> tuple[list[int], list[int]]:
    """Write a pose ``[18, 2]`` as (ys, xs), plain integers rounded to the nearest pixel, -1 for missing.

    The format has no negative coordinates: a joint above or left of the picture is written as missing.
    """
    check_pose(pose, batched=False)
    rounded = pose.detach().cpu().double().round().nan_to_num(-1)
    rounded[(rounded < 0).any(dim=1)] = -1
    return rounded[:, 1].int().tolist(), rounded[:, 0].int().tolist()


def body_size(pose: Tensor) -> Tensor:
    """Body size ``[...]`` in pixels: root mean square of the two hip-to-shoulder distances (pose-gan's ``st``).

    With one side missing it is the other side's distance; with both missing, NaN.
    """
    sides = [(JOINT["Rhip"], JOINT["Rsho"]), (JOINT["Lhip"], JOINT["Lsho"])]
    squares = torch.stack(
        [(pose[..., hip, :] - pose[..., sho, :]).square().sum(-1) for hip, sho in sides], dim=-1
    )
    return squares.nanmean(dim=-1).sqrt()


HEAD_BOX = 15
"""Side in pixels of the square round a head, in pictures 128 pixels high."""


def head_box(pose: Tensor, height: int, width: int, side: int | None = None) -> Tensor:
    """Where the head is: a square round the face points of a pose ``[B, 18, 2]``, as ``[B, 1, height, width]`` of bool.

    Its centre is the mean of the face points that are there, rounded to a pixel; it is empty without any.

    Args:
        pose: in pixels of a picture of height x width, NaN for a missing joint.
        height, width: of the picture.
        side: of the square, in pixels, odd; by default :data:`HEAD_BOX` in proportion to the height.
    """
    if side is None:
        side = max(3, HEAD_BOX * height // 128 | 1)
    # One by one: a list of indices would make a GPU wait for the host.
    face = torch.stack([pose[:, joint] for joint in FACE], 1)
    centre = face.float().nanmean(1).round()
    x = torch.arange(width, device=pose.device).view(1, 1, 1, width)
    y = torch.arange(height, device=pose.device).view(1, 1, height, 1)
    cx, cy = centre.view(-1, 2, 1, 1, 1).unbind(1)
    return ((x - cx).abs() <= side // 2) & ((y - cy).abs() <= side // 2)


def rescale_pose(pose: Tensor, from_size: tuple[int, int], to_size: tuple[int, int]) -> Tensor:
    """The same pose in the picture resized from ``from_size`` to ``to_size``, both (height, width).

    Outer corners map to outer corners, so that a pixel x becomes (x + 0.5) * scale - 0.5.
    """
    scale = pose.new_tensor([to_size[1] / from_size[1], to_size[0] / from_size[0]])
    return (pose + 0.5) * scale - 0.5


def flip_pose(pose: Tensor, width: int) -> Tensor:
    """The pose ``[..., 18, 2]`` of the mirrored picture: x is reflected, left and right joints swap."""
    swapped = pose[..., LEFT_RIGHT, :]
    return torch.stack([width - 1 - swapped[..., 0], swapped[..., 1]], dim=-1)


def to_grid(points_xy: Tensor, height: int, width: int) -> Tensor:
    """Pixels ``[..., 2]`` (x, y) of a height x width map as coordinates for ``grid_sample``.

    They are meant for ``align_corners=False``:
    -1 and 1 are the outer edges of the map, g = (2 * pixel + 1) / size - 1, with x divided by the width and y
    by the height (the published PyTorch code swaps the two, which goes unnoticed on square pictures only).
    """
    size = points_xy.new_tensor([width, height])
    return (2 * points_xy + 1) / size - 1
