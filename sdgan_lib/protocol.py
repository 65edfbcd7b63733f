"""The file protocol of pose-guided data sets: names, tables, pairs and pose files, read and written."""

import csv
import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sdgan_lib.errors import UserError
from sdgan_lib.pose import JOINTS, REQUIRED, from_annotation, visible

SPLITS = ("train", "test")


ANNOTATION_COLUMNS = ["name", "keypoints_y", "keypoints_x"]


PAIR_COLUMNS = ["from", "to"]


MARKET_NAME = re.compile(r"(?P<identity>-?\d+)_c(?P<camera>\d+)s\d+_\d+_\d+")


@dataclass(frozen=True)
class Problem:
    """One fault: where it is (`row` counts the file's lines from 1), what it is, and what to do about it."""

    path: Path
    message: str
    remedy: str
    row: int | None = None

    def __str__(self) -> str:
        row = "" if self.row is None else f", row {self.row}"
        return f"{self.path}{row}: {self.message}. Remedy: {self.remedy}."


class DatasetError(UserError):
    """A fault in a data set; the text names the file, the row and the remedy."""

    def __init__(self, problem: Problem | str) -> None:  # str: as a DataLoader raises a worker's error again
        super().__init__(str(problem))
        self.problem = problem


Report = Callable[[Problem], None]


Rows = dict[str, tuple[int, Tensor]]  # annotations: name -> (row in the file, pose [18, 2])


def stop(problem: Problem) -> None:
    """Report a problem by raising it."""
    raise DatasetError(problem)


def identity(name: str) -> str:
    """Who is on a picture, from its file name.

    Market-1501 and the embedded people: `0432_c5s1_105323_05.jpg` -> `0432`. Otherwise what stands before the
    last underscore, which for DeepFashion as pose-gan names it is one person in one outfit:
    `fasionMENDenimid0000008001_1front.jpg` -> `fasionMENDenimid0000008001`.
    """
    match = MARKET_NAME.match(name)
    return match["identity"] if match else Path(name).stem.rpartition("_")[0] or Path(name).stem


def camera(name: str) -> int | None:
    """Which camera took a picture, from its file name; None where names hold no camera (DeepFashion)."""
    match = MARKET_NAME.match(name)
    return int(match["camera"]) if match else None


def is_junk(name: str) -> bool:
    """Market-1501's false detections (`-1_...`) and distractors (`0000_...`): nobody in particular."""
    match = MARKET_NAME.match(name)
    return match is not None and int(match["identity"]) <= 0


@dataclass(frozen=True)
class Layout:
    """Where the files of a data set are."""

    root: Path
    prefix: str

    def images(self, split: str) -> Path:
        return self.root / f"{self.prefix}-dataset" / split

    def masks(self, split: str) -> Path:
        return self.root / f"{self.prefix}-masks" / split

    def annotations(self, split: str) -> Path:
        return self.root / f"{self.prefix}-annotation-{split}.csv"

    def pairs(self, split: str) -> Path:
        return self.root / f"{self.prefix}-pairs-{split}.csv"


def find_layout(root: str | Path, prefix: str | None = None) -> Layout:
    """The layout of the data set in a folder; its prefix is found from the files unless given."""
    root = Path(root)
    if not root.is_dir():
        stop(Problem(root, "there is no such folder", "name the folder that holds PREFIX-dataset/"))
    if prefix is not None:
        return Layout(root, prefix)
    tails = (*(f"-annotation-{split}.csv" for split in SPLITS), "-dataset")
    found = sorted({path.name.removesuffix(tail) for tail in tails for path in root.glob(f"*{tail}")})
    if not found:
        looked = "PREFIX-annotation-train.csv, PREFIX-annotation-test.csv or PREFIX-dataset/"
        stop(Problem(root, f"no data set here: looked for {looked} (PREFIX is people, market, fasion ...)",
                     "name the folder that holds them"))  # fmt: skip
    if len(found) > 1:
        stop(Problem(root, f"more than one data set here: {', '.join(found)}",
                     f"choose one with prefix='{found[0]}', or give each a folder of its own"))  # fmt: skip
    return Layout(root, found[0])


def _read_table(
    path: Path, columns: list[str], separator: str, report: Report
) -> Iterator[tuple[int, list[str]]]:
    """(row in the file, fields) of each row below the header; none when the header is another one."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.reader(file, delimiter=separator, skipinitialspace=True))
    except FileNotFoundError:
        report(Problem(path, "file not found", "put it there, or check the data set's folder"))
        return
    except (UnicodeDecodeError, csv.Error) as error:
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
            report(Problem(path, f"{len(fields)} fields, expected {len(columns)}", f"write {header}", row))


def read_annotations(path: Path, report: Report) -> Rows:
    rows: Rows = {}
    for row, (name, ys, xs) in _read_table(path, ANNOTATION_COLUMNS, ":", report):
        name = name.strip()
        if name in rows:
            report(Problem(path, f"{name} has row {rows[name][0]} already", "delete one of the two", row))
            continue
        try:
            rows[name] = (row, from_annotation(_coordinates(ys), _coordinates(xs)))
        except ValueError as error:
            remedy = "write two JSON lists of 18 whole numbers, y first, -1 in both for a missing joint"
            if "np." in ys + xs:
                remedy = "NumPy 2 prints the names of its types: write json.dumps([int(v) for v in values])"
            report(Problem(path, f"{name}: {error}", remedy, row))
    return rows


def _coordinates(text: str) -> list[int]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError:
        values = None
    if not isinstance(values, list):
        raise ValueError(f"'{text.strip()[:40]}' is not a JSON list")
    return values


def usable_pictures(names: list[str], poses: Tensor) -> Tensor:
    """Which pictures pose-gan pairs: hips and shoulders present, not junk. Bool [N]."""
    return visible(poses)[:, REQUIRED].all(-1) & ~torch.tensor([is_junk(name) for name in names])


def make_pairs(names: list[str], poses: Tensor) -> Tensor:
    """All ordered pairs of two usable pictures of one identity, as pose-gan makes them."""
    usable = usable_pictures(names, poses).tolist()
    groups: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        if usable[i]:
            groups.setdefault(identity(name), []).append(i)
    pairs = [pair for group in groups.values() for pair in itertools.permutations(group, 2)]
    return torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)


def read_pairs(path: Path, annotations: Path, names: list[str], poses: Tensor, report: Report) -> Tensor:
    index = {name: i for i, name in enumerate(names)}
    people = [identity(name) for name in names]
    usable = usable_pictures(names, poses).tolist()
    pairs: list[tuple[int, int]] = []
    faults: dict[str, list[int]] = {}  # what -> rows; a bad picture spoils many pairs and is named once
    for row, (source, target) in _read_table(path, PAIR_COLUMNS, ",", report):
        pair = index.get(source), index.get(target)
        if None in pair:
            name = source if pair[0] is None else target
            faults.setdefault(f"{name} is unknown, it has no usable row in {annotations}", []).append(row)
        elif people[pair[0]] != people[pair[1]]:
            faults.setdefault(f"{people[pair[0]]} and {people[pair[1]]} are two persons", []).append(row)
        elif not (usable[pair[0]] and usable[pair[1]]):
            name = target if usable[pair[0]] else source
            faults.setdefault(f"{name} is junk, or lacks a hip or a shoulder to measure by", []).append(row)
        else:
            pairs.append(pair)
    for message, at in faults.items():
        more = f" (so in {len(at)} rows)" if len(at) > 1 else ""
        remedy = "correct the annotation, or delete the row (or this file: pairs are then made anew)"
        report(Problem(path, message + more, remedy, at[0]))
    return torch.from_numpy(np.array(pairs, dtype=np.int64).reshape(-1, 2))


def read_pose(path: Path) -> Tensor:
    """A pose ``[18, 2]`` from a JSON file: a list of 18 ``[x, y]`` in pixels of its picture, ``null`` where missing.

    Raises:
        ValueError: naming the file and the joint that is wrong.
    """
    try:
        points = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such pose file") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path}: not JSON ({error}); write 18 [x, y] pairs, null for a missing joint"
        ) from error
    if not isinstance(points, list) or len(points) != len(JOINTS):
        found = f"{len(points)} entries" if isinstance(points, list) else type(points).__name__
        raise ValueError(f"{path}: {found} instead of a list of {len(JOINTS)} joints ({', '.join(JOINTS)})")
    pose = torch.full((len(JOINTS), 2), torch.nan)
    for i, (name, point) in enumerate(zip(JOINTS, points, strict=True)):
        if point is None:
            continue
        good = isinstance(point, list) and len(point) == 2 and all(type(v) in (int, float) for v in point)
        if not good:
            raise ValueError(f"{path}: joint {i} ({name}) is {point!r}; write [x, y] in pixels, or null")
        pose[i] = torch.tensor(point, dtype=torch.float32)
    return pose


def write_pose(pose: Tensor, path: Path) -> None:
    """Write a pose ``[18, 2]`` in the form that :func:`read_pose` reads."""
    points = [None if p.isnan().any() else [round(v, 3) for v in p.tolist()] for p in pose]
    Path(path).write_text(json.dumps(points) + "\n", encoding="utf-8")
