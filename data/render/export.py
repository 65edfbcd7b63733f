"""The data set: all identities and views as files in the Market-1501 protocol, as pose-gan lays it out.

Into OUT go `people-dataset/{train,test}/NAME.jpg`, `people-masks/{train,test}/NAME.png`,
`people-annotation-{train,test}.csv`, `people-pairs-{train,test}.csv` and `people-views.csv`. NAME is
`identity_camera_sequence_frame_box`, as in `0432_c5s1_105323_05`.
"""

import json
import os
from contextlib import ExitStack
from itertools import permutations
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from .bodies import model
from .scene import FRAMES, VIEWS, camera, place_name
from .shading import Rendered, render

JPEG = {"quality": 88, "subsampling": 0, "optimize": True}
NEEDED = (2, 5, 8, 11)  # Rsho, Lsho, Rhip, Lhip: both images of a pair must show them
VIEW_COLUMNS = ("name", "view", "pose", "heading", "place", "passer_by", "obstacle")


def image_name(identity: int, view: int) -> str:
    """`0007_c2s1_000003_01` for identity 7, view 7: camera 2, frame 3."""
    return f"{identity:04d}_c{view // FRAMES + 1}s1_{view % FRAMES + 1:06d}_01"


def protocol(keypoints: np.ndarray) -> tuple[list[int], list[int]]:
    """Key points [18,2] (x, y; NaN missing) -> the lists y and x in whole pixels, -1 missing."""
    whole = np.where(np.isnan(keypoints), -1, np.rint(keypoints)).astype(int)
    return [int(v) for v in whole[:, 1]], [int(v) for v in whole[:, 0]]


def _view_row(name: str, r: Rendered) -> list:
    p = r.plan
    obstacle = camera(p.identity, p.camera, 128).occluder
    return [
        name,
        p.view,
        p.pose.kind,
        round(float(np.degrees(p.yaw))) % 360,
        place_name(p.identity, p.camera),
        int(p.company is not None),
        obstacle[0] if obstacle else "",
    ]


def _write(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    os.replace(part, path)


def _export_identity(job: tuple[int, str, str]) -> int:
    identity, split, out = job
    folder, parts = Path(out), Path(out) / ".parts"
    rows = []
    for view in range(VIEWS):
        r, name = render(identity, view), image_name(identity, view)
        Image.fromarray(r.image).save(folder / "people-dataset" / split / f"{name}.jpg", **JPEG)
        Image.fromarray(r.mask).save(folder / "people-masks" / split / f"{name}.png", optimize=True)
        ys, xs = protocol(r.keypoints)
        rows.append({"split": split, "y": ys, "x": xs, "view": _view_row(name, r)})
    _write(parts / f"{identity:04d}.json", json.dumps(rows))
    return identity


def make_pairs(names: list[str], usable: set[str]) -> list[tuple[str, str]]:
    """All ordered pairs of two different usable images of one identity, in the order of `names`."""
    people: dict[str, list[str]] = {}
    for name in names:
        if name in usable:
            people.setdefault(name.split("_")[0], []).append(name)
    return [pair for group in people.values() for pair in permutations(group, 2)]


def choose_test_pairs(pairs: list[tuple[str, str]], count: int, seed: int = 0) -> list[tuple[str, str]]:
    """A fixed sample: half of one camera, half of two cameras, equally many from every identity.

    Raises ValueError when `count` cannot be shared out equally or an identity has too few pairs.
    """
    rng = np.random.default_rng([17, seed])
    people = sorted({a.split("_")[0] for a, _ in pairs})
    each, rest = divmod(count, 2 * len(people))
    if rest:
        raise ValueError(
            f"{count} test pairs cannot be split into two halves over {len(people)} identities equally"
        )
    chosen = []
    for person in people:
        own = [p for p in pairs if p[0].startswith(person + "_")]
        for same in (True, False):
            kind = [p for p in own if (p[0].split("s")[0] == p[1].split("s")[0]) == same]
            if len(kind) < each:
                raise ValueError(
                    f"identity {person} has {len(kind)} pairs of {'one camera' if same else 'two cameras'}, "
                    f"{each} are needed"
                )
            chosen += [kind[i] for i in sorted(rng.choice(len(kind), each, replace=False))]
    return chosen


def write_tables(out: Path, rows: list[dict], test_pairs: int) -> None:
    """Annotations, pairs and views of all `rows`, one per image, as `_export_identity` notes them down."""
    for split in ("train", "test"):
        own = [r for r in rows if r["split"] == split]
        names = [f"{r['view'][0]}.jpg" for r in own]
        lines = [f"{n}: {r['y']}: {r['x']}\n" for n, r in zip(names, own, strict=True)]
        _write(out / f"people-annotation-{split}.csv", "name:keypoints_y:keypoints_x\n" + "".join(lines))
        usable = {n for n, r in zip(names, own, strict=True) if all(r["y"][j] >= 0 for j in NEEDED)}
        pairs = make_pairs(names, usable)
        if split == "test":
            pairs = choose_test_pairs(pairs, test_pairs)
        _write(out / f"people-pairs-{split}.csv", "from,to\n" + "".join(f"{a},{b}\n" for a, b in pairs))
    lines = [",".join(map(str, line)) + "\n" for line in (VIEW_COLUMNS, *(r["view"] for r in rows))]
    _write(out / "people-views.csv", "".join(lines))


def export(
    out: Path, train: int = 250, test: int = 50, test_pairs: int = 1000, workers: int | None = None
) -> None:
    """Draws identities 1..train+test into `out`; the first `train` are for training.

    Identities that an earlier, interrupted call has finished are not drawn again. `workers` processes draw
    (one per core by default); with 1 the drawing happens in this process. Raises ValueError where
    `choose_test_pairs` does.
    """
    parts = out / ".parts"
    parts.mkdir(parents=True, exist_ok=True)
    for kind in ("dataset", "masks"):
        for split in ("train", "test"):
            (out / f"people-{kind}" / split).mkdir(parents=True, exist_ok=True)
    people = [(i, "train" if i <= train else "test", str(out)) for i in range(1, train + test + 1)]
    todo = [job for job in people if not (parts / f"{job[0]:04d}.json").is_file()]
    workers = workers or os.cpu_count() or 1
    model()  # read the body data once, before the processes start
    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(total=len(people) * VIEWS, unit="image"))
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
    for i, _, _ in people:
        (parts / f"{i:04d}.json").unlink()
    parts.rmdir()


def contact_sheet(identities: list[int], views: list[int], height: int, path: Path) -> None:
    """A PNG with one row per identity and one column per view."""
    rows = [
        np.concatenate([render(i, v, height).image for v in views], 1)
        for i in tqdm(identities, desc="contact sheet", unit="identity")
    ]
    Image.fromarray(np.concatenate(rows)).save(path)
