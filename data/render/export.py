"""The data set: all identities and views as files in the Market-1501 protocol, as pose-gan lays it out.

Into OUT go ``people-dataset/{train,test}/NAME.jpg``, ``people-masks/{train,test}/NAME.png``,
``people-annotation-{train,test}.csv``, ``people-pairs-{train,test}.csv`` and ``people-views.csv``. NAME is
``identity_camera_sequence_frame_box``, as in ``0432_c5s1_105323_05``.
"""

import hashlib
import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from multiprocessing import active_children, connection, parent_process
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from sdgan_lib import protocol
from sdgan_lib.errors import UserError
from sdgan_lib.files import read_json, write_whole
from sdgan_lib.pose import from_annotation, to_annotation

from .bodies import model
from .scene import FRAMES, VIEWS, camera, place_name
from .shading import HEIGHTS, Rendered, render

JPEG = {"quality": 88, "subsampling": 0, "optimize": True}
VIEW_COLUMNS = ("name", "view", "pose", "heading", "place", "passer_by", "obstacle")
MOST_WORKERS = 1024
"""Processes that may draw at once."""


def image_name(identity: int, view: int) -> str:
    """``0007_c2s1_000003_01`` for identity 7, view 7: camera 2, frame 3."""
    return f"{identity:04d}_c{view // FRAMES + 1}s1_{view % FRAMES + 1:06d}_01"


def annotation(r: Rendered) -> tuple[list[int], list[int]]:
    """A picture's key points as the lists y and x in whole pixels, -1 for missing."""
    return to_annotation(torch.from_numpy(r.keypoints))


def _view_row(name: str, r: Rendered) -> list:
    p = r.plan
    obstacle = camera(p.identity, p.camera, r.image.shape[0]).occluder
    return [
        name,
        p.view,
        p.pose.kind,
        round(float(np.degrees(p.yaw))) % 360,
        place_name(p.identity, p.camera),
        int(p.company is not None),
        obstacle.kind if obstacle else "",
    ]


def _layout(out: Path) -> protocol.Layout:
    return protocol.Layout(out, "people")


class Job(NamedTuple):
    """One identity to draw: its number, its split, the data set's layout, the folder that notes what is finished.

    ``height`` is that of its pictures, in pixels; they are half as wide.
    """

    identity: int
    split: str
    layout: protocol.Layout
    parts: Path
    height: int = HEIGHTS[0]

    @property
    def part(self) -> Path:
        """What is noted of the identity: height, rows, as :func:`write_tables` takes them, and a digest."""
        return self.parts / f"{self.identity:04d}.json"

    @property
    def files(self) -> list[Path]:
        """Its pictures and masks: picture and mask of view 0, of view 1, and so on."""
        images, masks = self.layout.images(self.split), self.layout.masks(self.split)
        names = [image_name(self.identity, view) for view in range(VIEWS)]
        return [path for name in names for path in (images / f"{name}.jpg", masks / f"{name}.png")]

    def digest(self, rows: list[dict]) -> str:
        """SHA-256 of the rows and of every file as it lies on the disk."""
        digest = hashlib.sha256(json.dumps(rows).encode())
        for path in self.files:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()


def _finished(job: Job) -> list[dict] | None:
    """The rows of an identity that is drawn whole; None where it is of another height, or damaged in part."""
    try:
        noted = read_json(job.part)
        same_height = isinstance(noted, dict) and noted.get("height", HEIGHTS[0]) == job.height
        if same_height and noted["digest"] == job.digest(noted["rows"]):
            return noted["rows"]
    except (OSError, UserError, KeyError):
        pass
    return None


def draw_identity(job: Job) -> tuple[int, list[dict]]:
    """An identity's number and rows; it is drawn unless it lies there whole."""
    if (rows := _finished(job)) is not None:
        return job.identity, rows
    rows, files = [], iter(job.files)
    for view in range(VIEWS):
        r = render(job.identity, view, job.height)
        Image.fromarray(r.image).save(next(files), **JPEG)
        Image.fromarray(r.mask).save(next(files), optimize=True)
        ys, xs = annotation(r)
        name = image_name(job.identity, view)
        rows.append({"split": job.split, "y": ys, "x": xs, "view": _view_row(name, r)})
    write_whole(job.part, json.dumps({"height": job.height, "digest": job.digest(rows), "rows": rows}))
    return job.identity, rows


def check_workers(workers: int | None) -> None:
    """Raise a ``UserError`` for a number of processes with which nothing can be drawn; None is one per core."""
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise UserError(f"--workers {workers}: a number of 1 to {MOST_WORKERS} is wanted")


def draw_people(jobs: Sequence[Job], workers: int | None = None) -> list[dict]:
    """Draw identities, with a line of progress; those that lie there whole are not drawn again.

    Args:
        jobs: one per identity.
        workers: processes that draw, one per core by default; with 1 the drawing happens in this process.

    Returns:
        One row per picture, in the order of the jobs, as :func:`write_tables` takes them.

    Raises:
        UserError: the system ended a process that drew, or ``workers`` is no number of processes.
    """
    check_workers(workers)
    for folder in {path.parent for job in jobs for path in (*job.files, job.part)}:
        folder.mkdir(parents=True, exist_ok=True)
    model()  # read the body data once, before the processes start
    drawn = {}
    finished = _in_any_order(jobs, min(workers or os.cpu_count() or 1, len(jobs)))
    with tqdm(total=len(jobs) * VIEWS, unit="picture") as bar, closing(finished):
        for identity, rows in finished:
            drawn[identity] = rows
            bar.update(VIEWS)
    return [row for job in jobs for row in drawn[job.identity]]


def _in_any_order(jobs: Sequence[Job], workers: int) -> Iterator[tuple[int, list[dict]]]:
    """What :func:`draw_identity` returns, as it comes; closed early, it ends the processes that draw."""
    if workers == 1:
        yield from map(draw_identity, jobs)
        return
    others = active_children()
    pool = ProcessPoolExecutor(workers, initializer=_start_worker)
    try:
        for done in as_completed([pool.submit(draw_identity, job) for job in jobs]):
            yield done.result()
    except BrokenProcessPool as error:
        raise UserError(
            "a process that drew was ended by the system, for want of memory perhaps. Remedy: call it again, with "
            "fewer --workers; it goes on."
        ) from error
    except BaseException:  # interrupted, say: what is half drawn is drawn anew the next time
        for process in set(active_children()).difference(others):
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Leave Ctrl-C to the process that started this one, and end with it however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    connection.wait([parent_process().sentinel])
    os._exit(1)


def choose_test_pairs(names: list[str], pairs: Tensor, count: int, seed: int = 0) -> Tensor:
    """A fixed sample: half of one camera, half of two cameras, equally many from every identity.

    Args:
        names: N names of pictures.
        pairs: int ``[P, 2]``, indices into ``names``.
        count: how many pairs are wanted.
        seed: of the sample.

    Returns:
        int ``[count, 2]``, indices into ``names``.

    Raises:
        UserError: ``count`` cannot be shared out equally, or an identity has too few pairs.
    """
    rng = np.random.default_rng([17, seed])
    people: dict[str, dict[bool, list[list[int]]]] = {}
    for a, b in pairs.tolist():
        kinds = people.setdefault(protocol.identity(names[a]), {True: [], False: []})
        kinds[protocol.camera(names[a]) == protocol.camera(names[b])].append([a, b])
    each, rest = divmod(count, 2 * max(len(people), 1))
    if rest:
        raise UserError(
            f"{count} test pairs cannot be split into two halves over {len(people)} identities equally"
        )
    chosen = []
    for person, kinds in sorted(people.items()):
        for same, kind in kinds.items():
            if len(kind) < each:
                raise UserError(
                    f"identity {person} has {len(kind)} pairs of {'one camera' if same else 'two cameras'}, "
                    f"{each} are needed"
                )
            chosen += [kind[i] for i in sorted(rng.choice(len(kind), each, replace=False))]
    return torch.tensor(chosen, dtype=torch.int64).reshape(-1, 2)


def names_and_poses(rows: list[dict]) -> tuple[list[str], Tensor]:
    """Names of N pictures and their poses ``[N, 18, 2]``, NaN for a missing joint, from their rows."""
    poses = [from_annotation(row["y"], row["x"]) for row in rows]
    return [f"{row['view'][0]}.jpg" for row in rows], torch.stack(poses)


def view_lines(rows: list[dict]) -> str:
    """The lines of the table of views, without its header."""
    return "".join(",".join(map(str, row["view"])) + "\n" for row in rows)


def write_tables(out: Path, rows: list[dict], test_pairs: int) -> None:
    """Write annotations, pairs and views.

    Args:
        out: folder of the data set.
        rows: one per picture, as :func:`draw_people` returns them.
        test_pairs: how many pairs to choose for testing.

    Raises:
        UserError: as :func:`choose_test_pairs`.
    """
    layout = _layout(out)
    for split in protocol.SPLITS:
        names, poses = names_and_poses([row for row in rows if row["split"] == split])
        pairs = protocol.make_pairs(names, poses)
        if split == "test":
            pairs = choose_test_pairs(names, pairs, test_pairs)
        protocol.write_annotations(layout.annotations(split), names, poses)
        protocol.write_pairs(layout.pairs(split), names, pairs)
    write_whole(out / "people-views.csv", ",".join(VIEW_COLUMNS) + "\n" + view_lines(rows))


def export(
    out: Path,
    train: int = 250,
    test: int = 50,
    test_pairs: int = 1000,
    workers: int | None = None,
    height: int = HEIGHTS[0],
) -> None:
    """Draw identities 1 to ``train + test``; those that an earlier, interrupted call has finished are not drawn again.

    Args:
        out: folder of the data set.
        train: how many identities are for training, the first ones.
        test: how many are for testing.
        test_pairs: how many pairs to choose for testing.
        workers: processes that draw, one per core by default; with 1 the drawing happens in this process.
        height: of the pictures in pixels, one of :data:`data.render.shading.HEIGHTS`; they are half as wide.

    Raises:
        UserError: as :func:`choose_test_pairs` and :func:`draw_people`.
    """
    layout, parts = _layout(out), out / ".parts"
    people = range(1, train + test + 1)
    jobs = [Job(i, "train" if i <= train else "test", layout, parts, height) for i in people]
    write_tables(out, draw_people(jobs, workers), test_pairs)
    shutil.rmtree(parts)


def contact_sheet(identities: list[int], views: list[int], height: int, path: Path) -> None:
    """Write a PNG with one row per identity and one column per view."""
    rows = [
        np.concatenate([render(i, v, height).image for v in views], 1)
        for i in tqdm(identities, desc="contact sheet", unit="identity")
    ]
    Image.fromarray(np.concatenate(rows)).save(path)
