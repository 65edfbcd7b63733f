"""The data set: all identities and views as files in the Market-1501 protocol, as pose-gan lays it out.

Into OUT go ``people-dataset/{train,test}/NAME.jpg``, ``people-masks/{train,test}/NAME.png``,
``people-annotation-{train,test}.csv``, ``people-pairs-{train,test}.csv`` and ``people-views.csv``. NAME is
``identity_camera_sequence_frame_box``, as in ``0432_c5s1_105323_05``.
"""

import json
import os
import shutil
from contextlib import ExitStack
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from sdgan_lib import protocol
from sdgan_lib.errors import UserError
from sdgan_lib.files import write_whole
from sdgan_lib.pose import from_annotation, to_annotation

from .bodies import model
from .scene import FRAMES, VIEWS, camera, place_name
from .shading import Rendered, render

JPEG = {"quality": 88, "subsampling": 0, "optimize": True}
VIEW_COLUMNS = ("name", "view", "pose", "heading", "place", "passer_by", "obstacle")


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


def _parts(out: Path) -> Path:
    """Folder of what is known of each finished identity, until all are."""
    return out / ".parts"


def _export_identity(job: tuple[int, str, Path]) -> int:
    identity, split, out = job
    layout, rows = _layout(out), []
    for view in range(VIEWS):
        r, name = render(identity, view), image_name(identity, view)
        Image.fromarray(r.image).save(layout.images(split) / f"{name}.jpg", **JPEG)
        Image.fromarray(r.mask).save(layout.masks(split) / f"{name}.png", optimize=True)
        ys, xs = annotation(r)
        rows.append({"split": split, "y": ys, "x": xs, "view": _view_row(name, r)})
    write_whole(_parts(out) / f"{identity:04d}.json", json.dumps(rows))
    return identity


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


def write_tables(out: Path, rows: list[dict], test_pairs: int) -> None:
    """Write annotations, pairs and views.

    Args:
        out: folder of the data set.
        rows: one per picture, as ``_export_identity`` notes them down.
        test_pairs: how many pairs to choose for testing.

    Raises:
        UserError: as :func:`choose_test_pairs`.
    """
    layout = _layout(out)
    for split in protocol.SPLITS:
        own = [r for r in rows if r["split"] == split]
        names = [f"{r['view'][0]}.jpg" for r in own]
        poses = torch.stack([from_annotation(r["y"], r["x"]) for r in own])
        pairs = protocol.make_pairs(names, poses)
        if split == "test":
            pairs = choose_test_pairs(names, pairs, test_pairs)
        protocol.write_annotations(layout.annotations(split), names, poses)
        protocol.write_pairs(layout.pairs(split), names, pairs)
    lines = [",".join(map(str, line)) + "\n" for line in (VIEW_COLUMNS, *(r["view"] for r in rows))]
    write_whole(out / "people-views.csv", "".join(lines))


def export(
    out: Path, train: int = 250, test: int = 50, test_pairs: int = 1000, workers: int | None = None
) -> None:
    """Draw identities 1 to ``train + test``; those that an earlier, interrupted call has finished are not drawn again.

    Args:
        out: folder of the data set.
        train: how many identities are for training, the first ones.
        test: how many are for testing.
        test_pairs: how many pairs to choose for testing.
        workers: processes that draw, one per core by default; with 1 the drawing happens in this process.

    Raises:
        UserError: as :func:`choose_test_pairs`.
    """
    layout, parts = _layout(out), _parts(out)
    parts.mkdir(parents=True, exist_ok=True)
    for split in protocol.SPLITS:
        layout.images(split).mkdir(parents=True, exist_ok=True)
        layout.masks(split).mkdir(parents=True, exist_ok=True)
    people = [(i, "train" if i <= train else "test", out) for i in range(1, train + test + 1)]
    todo = [job for job in people if not (parts / f"{job[0]:04d}.json").is_file()]
    workers = workers or os.cpu_count() or 1
    model()  # read the body data once, before the processes start
    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(total=len(people) * VIEWS, unit="picture"))
        bar.update((len(people) - len(todo)) * VIEWS)
        done = (
            map(_export_identity, todo)
            if workers == 1
            else stack.enter_context(Pool(workers)).imap_unordered(_export_identity, todo)
        )
        for _ in done:
            bar.update(VIEWS)
    rows = [row for i, _, _ in people for row in json.loads((parts / f"{i:04d}.json").read_text())]
    write_tables(out, rows, test_pairs)
    shutil.rmtree(parts)


def contact_sheet(identities: list[int], views: list[int], height: int, path: Path) -> None:
    """Write a PNG with one row per identity and one column per view."""
    rows = [
        np.concatenate([render(i, v, height).image for v in views], 1)
        for i in tqdm(identities, desc="contact sheet", unit="identity")
    ]
    Image.fromarray(np.concatenate(rows)).save(path)
