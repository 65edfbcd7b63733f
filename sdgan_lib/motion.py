"""Sequences of poses: read and written, brought to a person's size and place, and filled in between key poses."""

import json
from pathlib import Path

import torch
from torch import Tensor

from sdgan_lib.errors import Problem, UserError
from sdgan_lib.files import read_json, write_whole
from sdgan_lib.pose import JOINT, LIMBS, body_size, check_pose
from sdgan_lib.protocol import misplaced, points_of, pose_of_points

SEQUENCES = Path(__file__).parents[1] / "data/poses"
"""Folder of the sequences that come with the repository, drawn by ``data/poses/make.py``."""

WALK = SEQUENCES / "walk.json"
"""Twelve poses of a walk on the spot, seen from three quarters; the last leads to the first."""

POSES_LIMIT = 16 << 20
"""Bytes of a sequence's file that are read at most: more than ten thousand poses."""

_FORM = (
    'write {"height": H, "width": W, "poses": [...]}, each pose 18 [x, y] in pixels, null for a missing joint'
)

_HIPS = [JOINT["Rhip"], JOINT["Lhip"]]
_ANKLES = [JOINT["Rank"], JOINT["Lank"]]


def find_sequence(name: str | Path) -> Path:
    """The file of a sequence: a file's own name, or that of one of :data:`SEQUENCES` (``walk``).

    Raises:
        UserError: there is neither; the names are told.
    """
    path = Path(name)
    known = sorted(file.stem for file in SEQUENCES.glob("*.json"))
    if path.suffix == ".json" or path.is_file():
        return path
    if str(name) in known:
        return SEQUENCES / f"{name}.json"
    raise UserError(f"{name}: no sequence of poses. Remedy: name a JSON file, or one of {', '.join(known)}.")


def read_poses(path: str | Path) -> Tensor:
    """A sequence of poses ``[T, 18, 2]``, (x, y) in pixels, NaN where a joint is missing.

    The file holds the height and width of the picture that they belong to, and a list of poses, each in the form that
    :func:`sdgan_lib.protocol.read_pose` reads: 18 ``[x, y]``, ``null`` for a missing joint.

    Raises:
        UserError: naming the file, the pose and the joint that is wrong, and the remedy.
    """
    path = Path(path)
    found = read_json(path, POSES_LIMIT)
    try:
        size, entries = _parts(found)
    except ValueError as error:
        raise UserError(Problem(path, str(error), _FORM)) from error
    poses = []
    for number, entry in enumerate(entries):
        try:
            pose = pose_of_points(entry)
        except ValueError as error:
            raise UserError(Problem(path, f"pose {number} of {len(entries)}: {error}", _FORM)) from error
        if fault := misplaced(pose, size):
            raise UserError(Problem(path, f"pose {number} of {len(entries)}: {fault[0]}", fault[1]))
        poses.append(pose)
    return torch.stack(poses)


def _parts(found: object) -> tuple[tuple[int, int], list]:
    """Size and poses of what a file holds; ValueError with what is wrong."""
    if not isinstance(found, dict):
        raise ValueError(f"{type(found).__name__} instead of an object with height, width and poses")
    for key in ("height", "width"):
        if type(found.get(key)) is not int or found[key] < 1:
            raise ValueError(f"its {key} is {found.get(key)!r}, not a number of pixels")
    entries = found.get("poses")
    if not isinstance(entries, list) or not entries:
        raise ValueError("it has no list 'poses', or an empty one")
    return (found["height"], found["width"]), entries


def write_poses(poses: Tensor, path: str | Path, size: tuple[int, int]) -> None:
    """Write a sequence in the form that :func:`read_poses` reads, one line a pose.

    Args:
        poses: ``[T, 18, 2]`` (x, y) in pixels, NaN where a joint is missing.
        path: file to write, by :func:`sdgan_lib.files.whole`.
        size: (height, width) of the picture that they belong to.
    """
    check_pose(poses, "poses")
    lines = ",\n".join(json.dumps(points_of(pose), allow_nan=False) for pose in poses)
    write_whole(path, f'{{"height": {size[0]}, "width": {size[1]}, "poses": [\n{lines}\n]}}\n')


def fit_poses(poses: Tensor, to_pose: Tensor) -> Tensor:
    """A sequence brought to the size and place of a person; which joints are missing stays as it is.

    One scale for all poses: the person's :func:`sdgan_lib.pose.body_size` by the sequence's median. One shift for all:
    the middle of the hips, on average, comes to stand above or below the person's own, and the ground (the lowest
    ankle of any pose) at the person's lowest ankle. Without ankles the hips say the height as well.

    Args:
        poses: ``[T, 18, 2]``, (x, y) in any pixels, NaN where a joint is missing.
        to_pose: ``[18, 2]``, (x, y) in pixels of the person's picture.

    Returns:
        ``[T, 18, 2]`` in pixels of the person's picture.

    Raises:
        UserError: the person, or the whole sequence, has no torso to measure by: no hip and shoulder of one side.
    """
    check_pose(poses, "poses")
    check_pose(to_pose, "to_pose", batched=False)
    own, size = body_size(poses).nanmedian(), body_size(to_pose)
    for what, length in (("the person's pose", size), ("the sequence", own)):
        if not length > 0:
            raise UserError(
                f"{what} has no hip and shoulder of one side, by which poses are brought to a person's size. Remedy: give "
                "the pose of the source with both (--source-pose), or choose another picture or sequence."
            )
    scaled = poses * (size / own)
    hips, to_hips = scaled[:, _HIPS].nanmean((0, 1)), to_pose[_HIPS].nanmean(0)
    ground, to_ground = _lowest(scaled[:, _ANKLES, 1]), _lowest(to_pose[_ANKLES, 1])
    shift = to_hips - hips
    if not (ground.isnan() or to_ground.isnan()):
        shift[1] = to_ground - ground
    return scaled + shift


def _lowest(ys: Tensor) -> Tensor:
    """The largest of some numbers that are not NaN; NaN without any."""
    there = ys[~ys.isnan()]
    return there.max() if len(there) else ys.new_tensor(torch.nan)


def between(key_poses: Tensor, steps: int, closed: bool = False) -> Tensor:
    """Key poses and what lies between them, ``steps`` poses from each key to the next.

    Arms and legs swing: the angle of each limb goes the shorter way at an even pace, and its length (of which a picture
    shows more or less as the limb turns) changes evenly. Neck, shoulders, hips and face move along straight lines: that
    is how they look when a body turns round, with the shoulders passing each other.

    Args:
        key_poses: ``[K, 18, 2]``, NaN where a joint is missing. A joint missing in one of two keys is missing between
            them.
        steps: from a key to the next, 1 or more; 1 gives the keys themselves.
        closed: whether the last key leads to the first again, as in a walk.

    Returns:
        ``[(K - 1) * steps + 1, 18, 2]``, from the first key to the last; ``[K * steps, 18, 2]`` when closed, which ends
        just before the first.

    Raises:
        ValueError: another shape, no key, or fewer steps than one.
    """
    check_pose(key_poses, "key_poses")
    if not len(key_poses) or steps < 1:
        raise ValueError(f"between needs one key or more and steps >= 1, got {len(key_poses)} and {steps}")
    start = key_poses if closed else key_poses[:-1]
    end = key_poses.roll(-1, 0) if closed else key_poses[1:]
    share = torch.arange(steps, device=key_poses.device, dtype=key_poses.dtype) / steps
    poses = torch.lerp(start[:, None], end[:, None], share.view(1, -1, 1, 1))  # [K, steps, 18, 2]
    for near, far in LIMBS.values():  # thighs before shins, upper arms before forearms
        first, last = (pose[:, far] - pose[:, near] for pose in (start, end))
        turn = torch.atan2(first[:, 0] * last[:, 1] - first[:, 1] * last[:, 0], (first * last).sum(-1))
        length = torch.lerp(first.norm(dim=-1)[:, None], last.norm(dim=-1)[:, None], share)
        angle = torch.atan2(first[:, 1], first[:, 0])[:, None] + turn[:, None] * share
        swung = poses[:, :, near] + length[..., None] * torch.stack([angle.cos(), angle.sin()], -1)
        poses[:, :, far] = torch.where(
            swung.isnan(), poses[:, :, far], swung
        )  # a limb without its near joint
    poses[:, 0] = start  # a key stays as it is, with joints that its neighbour lacks
    poses = poses.flatten(0, 1)
    return poses if closed else torch.cat([poses, key_poses[-1:]])
