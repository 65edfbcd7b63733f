"""Pairs of pictures of one person: the embedded people, Market-1501 and DeepFashion through one reader.

The layout is pose-gan's (github.com/AliaksandrSiarohin/pose-gan), p being people, market, fasion ...:

    ROOT/p-dataset/{train,test}/NAME         NAME.jpg, also with folders: WOMEN/Dresses/NAME.jpg
    ROOT/p-annotation-{train,test}.csv   name:keypoints_y:keypoints_x, JSON lists of 18, -1 for missing
    ROOT/p-pairs-{train,test}.csv        from,to; made from the annotations when the file is absent
    ROOT/p-masks/{train,test}/NAME.png   1-bit masks of the person, optional

Nothing is cached on disk. Heat maps and warps are not made here: they are computed in batches, on the device
of the model. Each fault becomes a ``Problem`` that names the file, the row and the remedy; reading stops at the
first (``DatasetError``), ``check_dataset`` collects them all.
"""

import copy
import hashlib
import os
import random
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from sdgan_lib.errors import Problem, UserError, printable
from sdgan_lib.files import explain, read_text
from sdgan_lib.images import decode, from_uint8, opened, pixels, upright_size
from sdgan_lib.pose import rescale_pose
from sdgan_lib.presets import PRESETS
from sdgan_lib.protocol import (
    SPLITS,
    DatasetError,
    Layout,
    Report,
    Rows,
    camera,
    find_layout,
    identity,
    is_junk,
    make_pairs,
    misplaced,
    read_annotations,
    read_pairs,
    stop,
)

MEMORY_LIMIT = 1 << 30
"""Bytes of decoded pictures that one data set keeps in memory."""


@dataclass(frozen=True)
class Split:
    """One half of a data set, read and checked; the pictures are still on disk.

    Attributes:
        layout: where its files are.
        split: ``train`` or ``test``.
        names: N names of pictures.
        poses: ``[N, 18, 2]`` (x, y) in pixels, NaN for a missing joint.
        pairs: ``[P, 2]``, indices into ``names``, source then target.
        size: (height, width) of the pictures in pixels.
        has_masks: whether there are masks.
    """

    layout: Layout
    split: str
    names: list[str]
    poses: Tensor
    pairs: Tensor
    size: tuple[int, int]
    has_masks: bool

    def image_path(self, index: int) -> Path:
        """File of a picture."""
        return self.layout.images(self.split) / self.names[index]

    def mask_path(self, index: int) -> Path:
        """File of a picture's mask."""
        return (self.layout.masks(self.split) / self.names[index]).with_suffix(".png")


def open_split(
    root: str | Path,
    split: str = "train",
    prefix: str | None = None,
    masks: bool = True,
    report: Report = stop,
) -> Split:
    """Read and check the tables of one split (not its pictures, of which a few are looked at for their size).

    Args:
        root: folder of the data set.
        split: ``train`` or ``test``.
        prefix: of its files, found unless given.
        masks: whether to use masks where the data set has them.
        report: what is done with a fault; by default the first is raised. Otherwise the faulty row is left out.

    Raises:
        DatasetError: at the first fault, or, with another ``report``, when nothing usable is left.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}: expected one of {SPLITS}")
    layout = find_layout(root, prefix)
    annotations, pairs_file = layout.annotations(split), layout.pairs(split)
    has_masks = masks and os.path.isdir(layout.masks(split))
    rows = read_annotations(annotations, report)
    rows = _keep_present(rows, layout, split, has_masks, report)
    if not rows:
        raise DatasetError(Problem(annotations, "no usable row", "annotate the pictures, one row for each"))
    names = list(rows)
    poses = torch.stack([pose for _, pose in rows.values()])
    size = _common_size(layout.images(split), names)
    _check_inside(annotations, rows, size, report)
    if os.path.lexists(pairs_file):
        pairs = read_pairs(pairs_file, annotations, names, poses, report)
    else:
        pairs = make_pairs(names, poses)
    if not len(pairs):
        where = pairs_file if os.path.lexists(pairs_file) else annotations
        remedy = "a pair needs two pictures of one identity, both hips and both shoulders annotated in each"
        report(Problem(where, "no usable pair", remedy))
    return Split(layout, split, names, poses, pairs, size, has_masks)


def _keep_present(rows: Rows, layout: Layout, split: str, has_masks: bool, report: Report) -> Rows:
    """The rows whose picture (and mask, where the data set has masks) is there."""
    annotations, images, masks = layout.annotations(split), layout.images(split), layout.masks(split)
    if not os.path.isdir(images):
        report(Problem(images, "folder not found", "put the pictures there"))
        return {}
    pictured = _files(images, rows, report)
    masked = _files(masks, rows, report) if has_masks else set()
    present = {}
    for name, (row, pose) in rows.items():
        mask = Path(name).with_suffix(".png").as_posix()
        if name not in pictured:
            message = f"there is no picture {images / name}"
            report(Problem(annotations, message, "add the picture or delete the row", row, "no picture"))
        elif has_masks and mask not in masked:
            message = f"there is no mask {masks / mask} for {name}"
            report(
                Problem(
                    annotations, message, f"add it, or remove {masks} to do without masks", row, "no mask"
                )
            )
        else:
            present[name] = row, pose
    return present


def _files(folder: Path, names: Iterable[str], report: Report) -> set[str]:
    """The files below ``folder``, in the folders that the names have."""
    found: set[str] = set()
    for parent in {name.rpartition("/")[0] for name in names}:
        try:
            with os.scandir(folder / parent) as entries:
                found |= {f"{parent}/{e.name}" if parent else e.name for e in entries if e.is_file()}
        except (FileNotFoundError, NotADirectoryError):
            continue  # so that no picture is there
        except OSError as error:
            report(explain(error, folder / parent))
    return found


def _common_size(folder: Path, names: list[str]) -> tuple[int, int]:
    """The (height, width) that most of nine pictures have; one odd picture must not speak for all."""
    sizes: Counter[tuple[int, int]] = Counter()
    for name in names[:: max(1, len(names) // 9)]:
        try:
            with opened(folder / name) as image:
                sizes[upright_size(image)] += 1
        except UserError:
            continue  # named when it is read
    if not sizes:
        raise DatasetError(Problem(folder, "no picture can be read", "copy the data set again"))
    return sizes.most_common(1)[0][0]


def _check_inside(path: Path, rows: Rows, size: tuple[int, int], report: Report) -> None:
    """Every joint lies on the picture."""
    poses = torch.stack([pose for _, pose in rows.values()])
    outside = (poses >= torch.tensor([size[1], size[0]])).flatten(1).any(1)
    names = list(rows)
    for i in outside.nonzero().flatten().tolist():
        message, _ = misplaced(poses[i], size)
        swapped = "swapped" in message
        remedy = "correct the row, or write -1 in both lists for a joint that is not on the picture"
        if swapped:
            remedy = "x and y look swapped: keypoints_y (rows from the top) comes first"
        fault = "swapped" if swapped else "outside"
        report(Problem(path, f"{names[i]}: {message}", remedy, rows[names[i]][0], fault))


class _Pictures:
    """Decoded pictures and masks of one split at one size, kept in memory up to ``limit`` bytes."""

    def __init__(self, split: Split, size: tuple[int, int], limit: int) -> None:
        self.split, self.size, self.limit = split, size, limit
        self.kept: dict[int, tuple[Tensor, Tensor | None]] = {}
        self.bytes = 0

    def __getstate__(self) -> dict:
        return self.__dict__ | {"kept": {}, "bytes": 0}  # a worker process fills its own

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor | None]:
        """Picture uint8 ``[3, H, W]`` and mask bool ``[1, H, W]`` (None without masks)."""
        if index in self.kept:
            return self.kept[index]
        image = read_image(self.split.image_path(index), self.split.size, self.size)
        mask = None
        if self.split.has_masks:
            mask = read_mask(self.split.mask_path(index), self.split.size, self.size)
        self.bytes += image.nbytes + (mask.nbytes if mask is not None else 0)
        if self.bytes <= self.limit:
            self.kept[index] = image, mask
        return image, mask


def _read(path: Path, mode: str, expected: tuple[int, int], size: tuple[int, int]) -> Tensor:
    try:
        with opened(path) as file:
            found = upright_size(file)
            if found != expected:  # before it is decoded, which for a large one takes long
                message = (
                    f"it is {found[0]}x{found[1]}, the others {expected[0]}x{expected[1]} (height x width)"
                )
                remedy = "resize it and its annotation row alike, or delete both"
                raise DatasetError(Problem(path, message, remedy, fault="size"))
            image = decode(file, mode)
    except DatasetError:
        raise
    except UserError as error:
        remedy = "copy it again, or delete it with its annotation row"
        raise DatasetError(replace(error.problem, remedy=remedy, fault="unreadable")) from error
    if expected != size:
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return pixels(image)


def read_image(path: Path, expected: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Read a picture of (height, width) ``expected``, resized to ``size``: uint8 ``[3, H, W]``.

    Raises:
        DatasetError: it is missing, cannot be read or has another size.
    """
    return _read(path, "RGB", expected, size)


def read_mask(path: Path, expected: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Read a mask of (height, width) ``expected``, resized to ``size``: bool ``[1, H, W]``, true on the person.

    Raises:
        DatasetError: it is missing, cannot be read, has another size or is empty.
    """
    mask = _read(path, "L", expected, size) >= 128
    if not mask.any():
        message = "the mask marks no pixel"
        raise DatasetError(Problem(path, message, "write the person's pixels as 255", fault="empty mask"))
    return mask


class PersonPairs(Dataset):
    """Ordered pairs of two pictures of one person.

    An item holds ``source_image``, ``target_image`` ``[3, H, W]`` in [-1, 1]; ``source_pose``, ``target_pose``
    ``[18, 2]`` as (x, y) in pixels, NaN where missing; where the data set has masks, ``source_mask``, ``target_mask``
    ``[1, H, W]``, 1 on the person; ``source_name``, ``target_name``; ``same_camera``, a bool. DataLoader's own collate
    batches it. Pictures are read when first asked for.

    Args:
        root: folder of the data set.
        split: ``train`` or ``test``.
        pairs: ``same-camera`` keeps the pairs whose two pictures one camera took (the person turns in front of one
            wall), ``all`` keeps every pair.
        size: (height, width) to which pictures, masks and poses are resized alike, outer corner to outer corner; None
            leaves them as they are.
        masks: whether to use masks where the data set has them.
        keep_in_memory: whether pictures, once read, are kept as bytes, up to :data:`MEMORY_LIMIT`.
        prefix: of the data set's files, found unless given.

    Raises:
        DatasetError: for every fault in the data, at once for tables, when first read for pictures.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        pairs: Literal["same-camera", "all"] = "same-camera",
        size: tuple[int, int] | None = None,
        masks: bool = True,
        keep_in_memory: bool = True,
        prefix: str | None = None,
    ) -> None:
        if pairs not in ("same-camera", "all"):
            raise ValueError(f"pairs is {pairs!r}: expected 'same-camera' or 'all'")
        self.data = open_split(root, split, prefix, masks)
        self.names = self.data.names
        self.has_masks = self.data.has_masks
        self.size = size or self.data.size
        self.kind = pairs
        self.poses = rescale_pose(self.data.poses, self.data.size, self.size)
        self.pairs = self.data.pairs
        self._pictures = _Pictures(self.data, self.size, MEMORY_LIMIT if keep_in_memory else 0)
        self._cameras = [camera(name) for name in self.names]
        if pairs == "same-camera":
            if None in self._cameras:
                name = self.names[self._cameras.index(None)]
                folder = self.data.layout.images(split)
                stop(Problem(folder, f"{name} names no camera", "choose pairs='all' (--pairs all)"))
            cameras = torch.tensor(self._cameras)[self.pairs]  # [P, 2]
            self.pairs = self.pairs[cameras[:, 0] == cameras[:, 1]]
            if not len(self.pairs):
                message = f"no pair of split {split} was taken by one camera"
                stop(Problem(self.data.layout.root, message, "choose pairs='all' (--pairs all)"))

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Tensor | str | bool]:
        """One pair, see the class."""
        source, target = self.pairs[index].tolist()
        cameras = {self._cameras[source], self._cameras[target]}
        item: dict[str, Tensor | str | bool] = {"same_camera": len(cameras) == 1 and None not in cameras}
        for role, i in (("source", source), ("target", target)):
            image, mask = self._pictures[i]
            item[f"{role}_image"] = from_uint8(image)
            item[f"{role}_pose"] = self.poses[i]
            item[f"{role}_name"] = self.names[i]
            if mask is not None:
                item[f"{role}_mask"] = mask.float()
        return item

    def identities(self) -> list[str]:
        """The identities that have pairs, sorted."""
        return sorted({identity(self.names[i]) for i in self.pairs[:, 0].unique().tolist()})

    def description(self) -> dict:
        """What these pairs are, in plain values: what a run notes of its data.

        Returns:
            ``name`` (prefix), ``root`` (absolute folder), ``split``, ``pictures``, ``identities`` and ``pairs`` (how
            many), ``kind`` (``same-camera`` or ``all``), ``size`` ([height, width]), ``masks``, ``licence`` (first line
            of ROOT/LICENSE or LICENCE, empty without one) and ``digest`` (SHA-256 of names, poses and pairs).
        """
        root = self.data.layout.root
        digest = hashlib.sha256("\n".join(self.names).encode("utf-8", "surrogateescape"))
        digest.update(self.poses.nan_to_num(nan=-1e6).numpy().astype("<f4").tobytes())
        digest.update(self.pairs.numpy().astype("<i8").tobytes())
        return {
            "name": self.data.layout.prefix,
            "root": os.path.abspath(root),
            "split": self.data.split,
            "pictures": len(self.names),
            "identities": len(self.identities()),
            "pairs": len(self.pairs),
            "kind": self.kind,
            "size": list(self.size),
            "masks": self.has_masks,
            "licence": _licence(root),
            "digest": digest.hexdigest(),
        }

    def subset_identities(self, identities: Collection[str]) -> "PersonPairs":
        """The pairs of some identities only; decoded pictures are shared with this data set."""
        unknown = set(identities) - set(self.identities())
        if unknown:
            raise ValueError(f"no pair of identity {min(unknown)}; the first is {self.identities()[0]}")
        wanted = torch.tensor([identity(name) in set(identities) for name in self.names])
        subset = copy.copy(self)
        subset.pairs = self.pairs[wanted[self.pairs[:, 0]]]
        return subset


def _licence(root: Path) -> str:
    """First line of the data set's licence, empty where none lies in its folder."""
    for path in sorted(root.iterdir()):
        if path.name.upper().startswith(("LICENSE", "LICENCE")) and path.is_file():
            return next((line.strip() for line in read_text(path).splitlines() if line.strip()), "")
    return ""


def split_identities(dataset: PersonPairs, fraction: float, seed: int) -> tuple[PersonPairs, PersonPairs]:
    """Set aside a random share of the identities for validation: (training part, validation part).

    The two share no identity and neither is empty. The same seed makes the same choice on any machine.

    Args:
        dataset: what is parted.
        fraction: share of the identities that is set aside, between 0 and 1.
        seed: of the choice.

    Raises:
        ValueError: one of the two parts would be empty.
    """
    people = dataset.identities()
    count = round(len(people) * fraction)
    if not 0 < count < len(people):
        raise ValueError(f"fraction {fraction} of {len(people)} identities leaves one of the two parts empty")
    random.Random(seed).shuffle(people)
    return dataset.subset_identities(people[count:]), dataset.subset_identities(people[:count])


def check_dataset(root: str | Path, prefix: str | None = None) -> list[Problem]:
    """Every fault of a data set: both splits, tables, pictures and masks; empty when it is whole.

    More than three like faults of one table, or of the files of one folder, are one entry with their count.
    """
    return _check(root, prefix)[0]


def _check(root: str | Path, prefix: str | None) -> tuple[list[Problem], list[Split]]:
    problems: list[Problem] = []
    splits: list[Split] = []
    try:
        layout = find_layout(root, prefix)
    except DatasetError as error:
        return [error.problem], []
    for name in SPLITS:
        before = len(problems)
        try:
            split = open_split(root, name, layout.prefix, report=problems.append)
        except DatasetError as error:
            if len(problems) == before:  # otherwise the cause has been named
                problems.append(error.problem)
            continue
        splits.append(split)
        problems += _untrainable(split)
        files = [(read_image, split.image_path(i)) for i in range(len(split.names))]
        if split.has_masks:
            files += [(read_mask, split.mask_path(i)) for i in range(len(split.names))]
        for read, path in tqdm(files, desc=f"reading {name}", disable=None, leave=False):
            try:
                read(path, split.size, split.size)
            except DatasetError as error:
                problems.append(error.problem)
    people = [{identity(name) for name in split.names if not is_junk(name)} for split in splits]
    shared = sorted(set.intersection(*people)) if len(people) == len(SPLITS) else []
    if shared:
        message = f"{len(shared)} identities are in both splits, {', '.join(shared[:5])} among them"
        problems.append(Problem(layout.root, message, "keep each identity in one split, lest scores flatter"))
    return _gather(problems), splits


def _untrainable(split: Split) -> list[Problem]:
    """That no system takes pictures of this size."""
    depths = sorted({preset.generator.depth for preset in PRESETS.values()})
    if any(preset.generator.accepts(*split.size) for preset in PRESETS.values()):
        return []
    height, width = split.size
    message = f"the pictures are {height}x{width} (height x width), which no system can be trained on"
    step = 2 ** depths[0]
    remedy = f"resize pictures, masks and annotations to a height and width divisible by {step}"
    return [Problem(split.layout.images(split.split), message, remedy)]


def _gather(problems: list[Problem]) -> list[Problem]:
    """More than three like faults of one file, or of the files of one folder, as one with their count."""
    kinds: dict[tuple, list[Problem]] = {}
    for number, problem in enumerate(problems):
        place = problem.path.parent if problem.row is None else problem.path
        kinds.setdefault((place, problem.fault or number), []).append(problem)
    gathered = []
    for alike in kinds.values():
        if len(alike) > 3:
            alike = [replace(alike[0], count=sum(problem.count for problem in alike))]
        gathered += alike
    return gathered


def check(root: str | Path, prefix: str | None = None) -> int:
    """Print every fault of a data set and a summary of each split; 0 when it is whole, else 1."""
    problems, splits = _check(root, prefix)
    for problem in problems:
        print(problem)
    for split in splits:
        cameras = [camera(name) for name in split.names]
        same = sum(cameras[a] is not None and cameras[a] == cameras[b] for a, b in split.pairs.tolist())
        people = len({identity(name) for name in split.names if not is_junk(name)})
        height, width = split.size
        print(
            f"{printable(split.layout.prefix)} {split.split}: {len(split.names)} pictures of {people} identities, "
            f"{height}x{width} (height x width), {len(split.pairs)} pairs ({same} of one camera), "
            f"{'with' if split.has_masks else 'without'} masks"
        )
    print(f"{len(problems)} problems" if problems else "no problem found")
    return 1 if problems else 0
