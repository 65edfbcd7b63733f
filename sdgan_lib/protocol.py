"""The file protocol of pose-guided data sets: names, tables, pairs and pose files, read and written."""

import csv
import io
import itertools
import json
import os
import re
import reprlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from sdgan_lib.errors import Problem, UserError
from sdgan_lib.files import explain, parse_json, read_json, read_text, working_folder, write_whole
from sdgan_lib.pose import JOINT, JOINTS, REQUIRED, check_pose, from_annotation, to_annotation, visible

SPLITS = ("train", "test")
"""The two halves of a data set; no identity is in both."""

ANNOTATION_COLUMNS = ["name", "keypoints_y", "keypoints_x"]
PAIR_COLUMNS = ["from", "to"]

FARTHEST = 1_000_000
"""Largest coordinate, in pixels, that a file may hold."""

POSE_LIMIT = 1 << 20
"""Bytes of a pose file that are read at most; what OpenPose writes for one person has some 10 kB."""

_MARKET_NAME = re.compile(r"(?P<identity>-?\d+)_c(?P<camera>\d+)s\d+_\d+_\d+")
_SHOP_NAME = re.compile(r"(?P<outfit>\d+)_\d+_(front|side|back|full|additional|flat)\b")
_STRAY = ("thumbs.db", "desktop.ini")


class DatasetError(UserError):
    """A fault in a data set; the text names the file, the row and the remedy."""


Report = Callable[[Problem], None]
"""What is done with a fault that is found: :func:`stop` raises it, ``list.append`` collects it."""

Rows = dict[str, tuple[int, Tensor]]
"""Annotations: name -> (row in the file, pose ``[18, 2]``)."""


def stop(problem: Problem) -> None:
    """Report a problem by raising it."""
    raise DatasetError(problem)


def identity(name: str) -> str:
    """Who is on a picture, from its file name.

    Market-1501 and the embedded people: ``0432_c5s1_105323_05.jpg`` -> ``0432``, in whatever folder. Otherwise folder
    and what stands before the last underscore, which for DeepFashion as pose-gan names it is one person in one outfit:
    ``fasionMENDenimid0000008001_1front.jpg`` -> ``fasionMENDenimid0000008001``; as it is distributed, so is folder and
    first number: ``MEN/Denim/id_00000080/01_1_front.jpg`` -> ``MEN/Denim/id_00000080/01``.
    """
    folder, slash, base = name.rpartition("/")
    market, shop = _MARKET_NAME.match(base), _SHOP_NAME.match(base)
    if market:
        return market["identity"]
    stem = Path(base).stem
    return folder + slash + (shop["outfit"] if shop else stem.rpartition("_")[0] or stem)


def camera(name: str) -> int | None:
    """Which camera took a picture, from its file name; None where names hold no camera (DeepFashion)."""
    match = _MARKET_NAME.match(name.rpartition("/")[2])
    return int(match["camera"]) if match else None


def is_junk(name: str) -> bool:
    """Market-1501's false detections (``-1_...``) and distractors (``0000_...``): nobody in particular."""
    match = _MARKET_NAME.match(name.rpartition("/")[2])
    return match is not None and int(match["identity"]) <= 0


def is_stray(name: str) -> bool:
    """Files that systems leave in folders (``.DS_Store``, ``._...``, ``Thumbs.db``): no part of any data set."""
    base = name.rpartition("/")[2]
    return base.startswith(".") or base.lower() in _STRAY


@dataclass(frozen=True)
class Layout:
    """Where the files of a data set are, see :mod:`sdgan_lib.datasets`."""

    root: Path
    prefix: str

    def images(self, split: str) -> Path:
        """Folder of the pictures."""
        return self.root / f"{self.prefix}-dataset" / split

    def masks(self, split: str) -> Path:
        """Folder of the masks."""
        return self.root / f"{self.prefix}-masks" / split

    def annotations(self, split: str) -> Path:
        """Table of the poses."""
        return self.root / f"{self.prefix}-annotation-{split}.csv"

    def pairs(self, split: str) -> Path:
        """Table of the pairs."""
        return self.root / f"{self.prefix}-pairs-{split}.csv"


def find_layout(root: str | Path, prefix: str | None = None) -> Layout:
    """The layout of the data set in a folder; its prefix is found from the files unless given.

    Raises:
        DatasetError: no such folder, no data set in it, or more than one.
    """
    root = Path(root)
    if not os.path.isdir(root):
        what = "it is a file" if os.path.isfile(root) else "there is no such folder"
        place = "" if root.is_absolute() else f" in {working_folder()}"
        stop(Problem(root, what + place, "name the folder that holds PREFIX-dataset/"))
    if prefix is not None:
        return Layout(root, prefix)
    try:
        names = [name for name in os.listdir(root) if not is_stray(name)]
    except OSError as error:
        stop(explain(error, root))
    tails = (*(f"-annotation-{split}.csv" for split in SPLITS), "-dataset")
    found = sorted({name.removesuffix(tail) for tail in tails for name in names if name.endswith(tail)})
    if not found:
        looked = "PREFIX-annotation-train.csv, PREFIX-annotation-test.csv or PREFIX-dataset/"
        place = "" if root.is_absolute() else f", in {working_folder()}"
        message = f"no data set here{place}: looked for {looked} (PREFIX is people, market, fasion ...)"
        stop(Problem(root, message, "name the folder that holds them"))
    if len(found) > 1:
        stop(Problem(root, f"more than one data set here: {', '.join(found)}",
                     f"give each a folder of its own (or, in Python, choose with prefix={found[0]!r})"))  # fmt: skip
    return Layout(root, found[0])


def _read_table(
    path: Path, columns: list[str], separator: str, report: Report
) -> Iterator[tuple[int, list[str]]]:
    """(row in the file, fields) of each row below the header; none when the header is another one."""
    try:
        lines = list(
            csv.reader(io.StringIO(read_text(path), newline=""), delimiter=separator, skipinitialspace=True)
        )
    except UserError as error:
        report(error.problem)
        return
    except csv.Error as error:
        report(Problem(path, f"not a table ({error})", "write it as UTF-8 text"))
        return
    header = separator.join(columns)
    found = [field.strip() for field in lines[0]] if lines else []
    if found != columns:
        swapped = sorted(found) == sorted(columns)
        remedy = f"{'the columns are swapped: ' if swapped else ''}write header and columns as {header}"
        report(Problem(path, f"the header is '{separator.join(found)[:80]}', expected '{header}'", remedy, 1))
        return
    for row, fields in enumerate(lines[1:], start=2):
        if len(fields) == len(columns):
            yield row, fields
        elif fields:
            message = f"{len(fields)} fields, expected {len(columns)}"
            report(Problem(path, message, f"write {header}", row, "number of fields"))


def read_annotations(path: Path, report: Report) -> Rows:
    """The rows of an annotation table by name, without those that have a fault.

    Args:
        path: table with the columns ``name:keypoints_y:keypoints_x``.
        report: what is done with a fault.
    """
    rows: Rows = {}
    for row, (name, ys, xs) in _read_table(path, ANNOTATION_COLUMNS, ":", report):
        name = name.strip()
        if name in rows:
            message = f"{name} has row {rows[name][0]} already"
            report(Problem(path, message, "delete one of the two", row, "two rows for one picture"))
            continue
        if name.startswith("/") or ".." in name.split("/") or "\0" in name:
            remedy = "name pictures below the folder of their split"
            report(Problem(path, f"{name} leads out of the data set", remedy, row, "leads out"))
            continue
        try:
            rows[name] = (row, from_annotation(_coordinates(ys), _coordinates(xs)))
        except ValueError as error:
            remedy = "write two JSON lists of 18 whole numbers, y first, -1 in both for a missing joint"
            if "np." in ys + xs:
                remedy = "NumPy 2 prints the names of its types: write json.dumps([int(v) for v in values])"
            report(Problem(path, f"{name}: {error}", remedy, row, f"annotation {remedy[:5]}"))
    return rows


def _coordinates(text: str) -> list[int]:
    try:
        values = parse_json(text)
    except ValueError:
        values = None
    if not isinstance(values, list):
        raise ValueError(f"'{text[:40]}' is not a JSON list")
    for value in values:
        if type(value) is int and value <= FARTHEST:
            continue
        if isinstance(value, list | dict | str):
            raise ValueError(f"{reprlib.repr(value)} is not a number")
        if isinstance(value, int) and value > FARTHEST:
            raise ValueError(f"a coordinate of {len(str(value))} digits")
    return values


def write_annotations(path: Path, names: Sequence[str], poses: Tensor) -> None:
    """Write an annotation table, rounded to whole pixels, in the form that :func:`read_annotations` reads.

    Args:
        path: file to write, by :func:`sdgan_lib.files.whole`.
        names: N names of pictures.
        poses: ``[N, 18, 2]`` (x, y) in pixels, NaN for a missing joint.

    Raises:
        ValueError: another shape, or a name that a table cannot hold.
    """
    check_pose(poses, "poses")
    rows = []
    for name, pose in zip(names, poses, strict=True):
        ys, xs = to_annotation(pose)
        rows.append(f"{_plain(name, ':')}: {ys}: {xs}\n")
    write_whole(path, ":".join(ANNOTATION_COLUMNS) + "\n" + "".join(rows))


def write_pairs(path: Path, names: Sequence[str], pairs: Tensor) -> None:
    """Write a table of pairs in the form that :func:`read_pairs` reads.

    Args:
        path: file to write, by :func:`sdgan_lib.files.whole`.
        names: N names of pictures.
        pairs: int ``[P, 2]``, indices into ``names``, source then target.

    Raises:
        ValueError: a name that a table cannot hold.
    """
    plain = [_plain(name, ",") for name in names]
    rows = [f"{plain[source]},{plain[target]}\n" for source, target in pairs.tolist()]
    write_whole(path, ",".join(PAIR_COLUMNS) + "\n" + "".join(rows))


def _plain(name: str, separator: str) -> str:
    if separator in name or '"' in name or not name.isprintable() or name != name.strip() or not name:
        raise ValueError(f"{name!r} cannot stand in a table of columns separated by '{separator}'")
    return name


def misplaced(pose: Tensor, size: tuple[int, int], missing: str = "null") -> tuple[str, str] | None:
    """What is wrong with where a pose lies on its picture, and the remedy; None where nothing is.

    Args:
        pose: ``[18, 2]`` (x, y) in pixels, NaN for a missing joint.
        size: (height, width) of the picture.
        missing: what to write for a missing joint.
    """
    height, width = size
    there = visible(pose)
    outside = ((pose < -0.5) | (pose >= pose.new_tensor([width, height]))).any(-1)
    if not there.any():
        return "no joint is given", "write the joints that are seen, in pixels"
    if outside.any():
        joint = int(outside.nonzero()[0])
        x, y = pose[joint].tolist()
        message = f"{JOINTS[joint]} (x = {x:g}, y = {y:g}) is outside the {height}x{width} picture"
        if (pose[there] == -1).any():
            return message, f"write {missing} for a missing joint"
        swapped = pose.flip(-1)
        if not ((swapped < -0.5) | (swapped >= pose.new_tensor([width, height]))).any():
            return f"{message}, and x and y swapped would fit", "x and y look swapped: exchange them"
        return (
            message,
            f"give pixels of this picture, x to the right, y down; {missing} for a joint that is not on it",
        )
    if there.sum() > 1 and (pose[there] <= 1).all():
        return (
            "all joints lie within one pixel of the top left corner",
            "give pixels, not shares of the picture's size",
        )
    return None


def usable_pictures(names: list[str], poses: Tensor) -> Tensor:
    """Which pictures pose-gan pairs: hips and shoulders present, not junk. Bool ``[N]``."""
    return visible(poses)[:, REQUIRED].all(-1) & ~torch.tensor([is_junk(name) for name in names])


def make_pairs(names: list[str], poses: Tensor) -> Tensor:
    """All ordered pairs of two usable pictures of one identity, as pose-gan makes them.

    Args:
        names: N names of pictures.
        poses: ``[N, 18, 2]``, NaN for a missing joint.

    Returns:
        int ``[P, 2]``, indices into ``names``, source then target.
    """
    usable = usable_pictures(names, poses).tolist()
    groups: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        if usable[i]:
            groups.setdefault(identity(name), []).append(i)
    pairs = [pair for group in groups.values() for pair in itertools.permutations(group, 2)]
    return torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)


def read_pairs(path: Path, annotations: Path, names: list[str], poses: Tensor, report: Report) -> Tensor:
    """The pairs of a table, without those that have a fault.

    Args:
        path: table with the columns ``from,to``.
        annotations: table that ``names`` and ``poses`` come from, to be named in a fault.
        names: N names of pictures.
        poses: ``[N, 18, 2]``, NaN for a missing joint.
        report: what is done with a fault.

    Returns:
        int ``[P, 2]``, indices into ``names``, source then target.
    """
    index = {name: i for i, name in enumerate(names)}
    people = [identity(name) for name in names]
    usable = usable_pictures(names, poses).tolist()
    pairs: list[tuple[int, int]] = []
    faults: dict[
        tuple[str, str], list[int]
    ] = {}  # (kind, what) -> rows; a bad picture spoils many pairs and is named once
    for row, (source, target) in _read_table(path, PAIR_COLUMNS, ",", report):
        pair = index.get(source.strip()), index.get(target.strip())
        if None in pair:
            name = source if pair[0] is None else target
            message = f"{name} is unknown, it has no usable row in {annotations}"
            faults.setdefault(("unknown", message), []).append(row)
        elif people[pair[0]] != people[pair[1]]:
            message = f"{people[pair[0]]} and {people[pair[1]]} are two persons"
            faults.setdefault(("persons", message), []).append(row)
        elif not (usable[pair[0]] and usable[pair[1]]):
            name = target if usable[pair[0]] else source
            message = f"{name} is junk, or lacks a hip or a shoulder to measure by"
            faults.setdefault(("unusable", message), []).append(row)
        else:
            pairs.append(pair)
    for (kind, message), at in faults.items():
        remedy = "correct the annotation, or delete the row (or this file: pairs are then made anew)"
        report(Problem(path, message, remedy, at[0], kind, len(at)))
    return torch.from_numpy(np.array(pairs, dtype=np.int64).reshape(-1, 2))


OPENPOSE_25 = (*range(8), *range(9, 19))
"""Which of OpenPose's 25 body joints (BODY_25) are the 18, in their order; its 18 (COCO) are the same."""

COCO_17 = tuple(
    JOINT[name]
    for name in (
        "nose", "Leye", "Reye", "Lear", "Rear", "Lsho", "Rsho", "Lelb", "Relb", "Lwri", "Rwri",
        "Lhip", "Rhip", "Lkne", "Rkne", "Lank", "Rank",
    )
)  # fmt: skip
"""Which joint each of COCO's 17 key points is; COCO has no neck."""

_POSE_FORMS = (
    "write 18 [x, y] in pixels, null for a missing joint, or give OpenPose's JSON of one person (18 or 25 joints) or a "
    "COCO annotation (17 key points)"
)


def read_pose(path: str | Path) -> Tensor:
    """A pose ``[18, 2]`` from a JSON file, in pixels of its picture, NaN where a joint is missing.

    The file holds a list of 18 ``[x, y]``, ``null`` where missing, in the order of :data:`sdgan_lib.pose.JOINTS`; or
    what OpenPose writes for one person; or one COCO annotation, whose neck is the middle of its shoulders.

    Raises:
        UserError: naming the file and the joint that is wrong.
    """
    path = Path(path)
    try:
        found = read_json(path, POSE_LIMIT)
    except UserError as error:
        if isinstance(error.__cause__, OSError):
            raise
        raise UserError(Problem(path, error.problem.message, _POSE_FORMS)) from error
    try:
        return _pose_of(found)
    except ValueError as error:
        raise UserError(Problem(path, str(error), _POSE_FORMS)) from error


def _pose_of(found: object) -> Tensor:
    """A pose in one of the three forms; ValueError with what is wrong."""
    if isinstance(found, dict) and "people" in found:
        found = _one(found["people"], "people")
        if "pose_keypoints_2d" not in found:
            raise ValueError("its person has no 'pose_keypoints_2d'")
        points = _triples(found["pose_keypoints_2d"], (18, 25), "OpenPose joints")
        return points if len(points) == len(JOINTS) else points[list(OPENPOSE_25)]
    if isinstance(found, dict) and "annotations" in found:
        found = _one(found["annotations"], "annotations")
    elif isinstance(found, list) and found and isinstance(found[0], dict):
        found = _one(found, "annotations")
    if isinstance(found, dict) and "keypoints" in found:
        pose = torch.full((len(JOINTS), 2), torch.nan)
        pose[list(COCO_17)] = _triples(found["keypoints"], (17,), "COCO key points")
        pose[JOINT["neck"]] = (pose[JOINT["Rsho"]] + pose[JOINT["Lsho"]]) / 2
        return pose
    return pose_of_points(found)


def pose_of_points(found: object) -> Tensor:
    """A pose ``[18, 2]`` from a list of 18 ``[x, y]``, None where missing, as JSON holds it.

    Raises:
        ValueError: saying which joint is wrong.
    """
    if not isinstance(found, list) or len(found) != len(JOINTS):
        what = f"{len(found)} entries" if isinstance(found, list) else type(found).__name__
        raise ValueError(f"{what} instead of a list of {len(JOINTS)} joints ({', '.join(JOINTS)})")
    pose = torch.full((len(JOINTS), 2), torch.nan)
    for i, (name, point) in enumerate(zip(JOINTS, found, strict=True)):
        if point is None:
            continue
        if not (isinstance(point, list) and len(point) == 2 and all(_is_coordinate(v) for v in point)):
            raise ValueError(f"joint {i} ({name}) is {reprlib.repr(point)}")
        pose[i] = torch.tensor(point, dtype=torch.float32)
    return pose


def points_of(pose: Tensor) -> list[list[float] | None]:
    """A pose ``[18, 2]`` as a list of 18 ``[x, y]``, None where missing: what :func:`pose_of_points` takes."""
    check_pose(pose, batched=False)
    return [None if p.isnan().any() else [round(v, 3) for v in p.tolist()] for p in pose]


def _one(people: object, what: str) -> dict:
    if not isinstance(people, list) or len(people) != 1 or not isinstance(people[0], dict):
        count = len(people) if isinstance(people, list) else type(people).__name__
        raise ValueError(f"{count} {what} instead of one: keep the one that is meant")
    return people[0]


def _triples(values: object, counts: tuple[int, ...], what: str) -> Tensor:
    """x, y and confidence (or COCO's visibility) of each joint, one after the other; NaN where the third is 0."""
    if not isinstance(values, list) or len(values) not in [3 * count for count in counts]:
        count = f"{len(values)} numbers" if isinstance(values, list) else type(values).__name__
        wanted = " or ".join(f"3 x {count}" for count in counts)
        raise ValueError(f"{count} instead of {wanted} for its {what}")
    if not all(_is_coordinate(value) for value in values):
        wrong = next(value for value in values if not _is_coordinate(value))
        raise ValueError(f"{reprlib.repr(wrong)} among its {what}")
    points = torch.tensor(values, dtype=torch.float32).view(-1, 3)
    return points[:, :2].masked_fill(points[:, 2:] <= 0, torch.nan)


def _is_coordinate(value: object) -> bool:
    return type(value) in (int, float) and abs(value) <= FARTHEST


PoseForm = Literal["points", "openpose", "coco"]
"""How :func:`write_pose` writes a pose; :func:`read_pose` tells the three apart by what they hold."""


def write_pose(pose: Tensor, path: str | Path, form: PoseForm = "points") -> None:
    """Write a pose ``[18, 2]`` as JSON that :func:`read_pose` reads.

    Args:
        pose: (x, y) in pixels, NaN where a joint is missing.
        path: file to write, by :func:`sdgan_lib.files.whole`.
        form: a list of 18 ``[x, y]``; what OpenPose writes for one person with its 18 joints (COCO); or a list with one
            COCO annotation of 17 key points, which have no neck: read again it lies between the shoulders.

    Raises:
        ValueError: for another shape or form.
    """
    points = points_of(pose)
    if form == "points":
        content: object = points
    elif form == "openpose":
        numbers = [value for point in points for value in (*(point or (0, 0)), float(point is not None))]
        content = {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": numbers}]}
    elif form == "coco":
        chosen = [points[joint] for joint in COCO_17]
        numbers = [value for point in chosen for value in (*(point or (0, 0)), 2 * (point is not None))]
        found = sum(point is not None for point in chosen)
        content = [{"category_id": 1, "num_keypoints": found, "keypoints": numbers}]
    else:
        raise ValueError(f"form must be one of {', '.join(get_args(PoseForm))}, not {form!r}")
    write_whole(path, json.dumps(content, allow_nan=False) + "\n")
