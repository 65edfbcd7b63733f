"""More people to train on: the embedded data set and, in its training split, identities that it does not hold.

OUT becomes a data set of its own, in the same protocol: a copy of the embedded people, whose held-out identities stay
the ones to test on, and the drawn ones from :data:`FIRST` on. The folder ``OUT/.drawn`` notes each finished identity
with a digest of its files, so a call goes on where another stopped, and mends what was damaged since. The tables come
last: until they lie there, OUT is no data set that can be opened.
"""

from pathlib import Path

import torch

from sdgan_lib import protocol
from sdgan_lib.datasets import Split, open_split
from sdgan_lib.errors import Problem, UserError, printable
from sdgan_lib.files import write_whole

from .export import Job, check_workers, draw_people, names_and_poses, view_lines

PEOPLE = Path(__file__).parents[1] / "people"
"""The embedded data set: identities 1 to 250 for training, 251 to 300 held out."""
FIRST = 301
"""The first identity that is drawn; those before are the embedded data set's own."""
MOST = 3_000
"""How many can be drawn: with more, the table of pairs would pass ``sdgan_lib.files.TEXT_LIMIT``."""


def draw_more(out: Path, identities: int, workers: int | None = None) -> str:
    """Draw identities for training only, beside a copy of the embedded data set.

    Args:
        out: folder that becomes the data set: a new or empty one, or one that an earlier call has begun. A finished one
            grows when more identities are asked for.
        identities: how many to draw, 1 to :data:`MOST`.
        workers: as for :func:`data.render.export.draw_people`.

    Returns:
        What lies there now, and how to train on it.

    Raises:
        UserError: a number that cannot be meant, a folder that holds anything else, an embedded data set that holds
            identities from :data:`FIRST` on, or a fault in it.
    """
    if not 1 <= identities <= MOST:
        raise UserError(f"--identities {identities}: a number of 1 to {MOST} is wanted")
    check_workers(workers)
    layout, drawn = protocol.Layout(out, "people"), out / ".drawn"
    people = range(FIRST, FIRST + identities)
    _check_folder(out, drawn, people)
    embedded = {split: open_split(PEOPLE, split, layout.prefix) for split in protocol.SPLITS}
    for split in embedded.values():
        _check_apart(split)
    drawn.mkdir(parents=True, exist_ok=True)  # first of all: what makes the folder one of this program's
    for split in embedded.values():
        _copy(split, layout)
    rows = draw_people([Job(i, "train", layout, drawn) for i in people], workers)
    _write_tables(layout, embedded["train"], rows)
    known, held_out = (len({protocol.identity(name) for name in split.names}) for split in embedded.values())
    return printable(
        f"{out}: {known + identities} people to train on ({known} embedded, {identities} drawn), {held_out} held out. "
        f"Train on them: python -m sdgan_lib train --data {out}"
    )


def _check_folder(out: Path, drawn: Path, people: range) -> None:
    """Raise a UserError unless ``out`` is new, empty, or holds no other identities than these."""
    if out.resolve().is_relative_to(PEOPLE.resolve()):
        message = "is or lies in the embedded data set, to which nothing is added"
        raise UserError(Problem(out, message, "choose a new folder with --out"))
    if not drawn.is_dir():
        if out.exists() and any(not protocol.is_stray(path.name) for path in out.iterdir()):
            message = "not empty, and not begun by this command"
            raise UserError(Problem(out, message, "choose a new folder with --out"))
        return
    last = max((int(part.stem) for part in drawn.glob("*.json") if part.stem.isdecimal()), default=FIRST)
    if last not in people:
        message = (
            f"holds identities up to {last:04d} already, {people.start:04d} to {people[-1]:04d} are asked for"
        )
        remedy = f"give --identities {last - FIRST + 1} or more, or choose a new folder with --out"
        raise UserError(Problem(out, message, remedy))


def _check_apart(split: Split) -> None:
    """Raise a UserError where the embedded data set holds an identity that would be drawn."""
    last = max(int(protocol.identity(name)) for name in split.names)
    if last >= FIRST:
        message = f"holds identity {last:04d}; the ones drawn for training start at {FIRST:04d}"
        raise UserError(Problem(PEOPLE, message, "restore the data set (git checkout -- data/people)"))


def _copy(split: Split, layout: protocol.Layout) -> None:
    """Copy a split's pictures and masks to where other bytes or none lie."""
    images, masks = layout.images(split.split), layout.masks(split.split)
    for folder in (images, masks):
        folder.mkdir(parents=True, exist_ok=True)
    for i in range(len(split.names)):
        for path, folder in ((split.image_path(i), images), (split.mask_path(i), masks)):
            copy, content = folder / path.name, path.read_bytes()
            if not copy.is_file() or copy.read_bytes() != content:
                copy.write_bytes(content)


def _write_tables(layout: protocol.Layout, known: Split, rows: list[dict]) -> None:
    """The tables of a training split of embedded and drawn identities; those of the test split as they are."""
    for path in (PEOPLE / "LICENSE", known.layout.annotations("test"), known.layout.pairs("test")):
        write_whole(layout.root / path.name, path.read_bytes())
    names, poses = names_and_poses(rows)
    names, poses = [*known.names, *names], torch.cat([known.poses, poses])
    protocol.write_annotations(layout.annotations("train"), names, poses)
    protocol.write_pairs(layout.pairs("train"), names, protocol.make_pairs(names, poses))
    views = "people-views.csv"
    write_whole(layout.root / views, (PEOPLE / views).read_text() + view_lines(rows))
