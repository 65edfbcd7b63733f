"""The embedded people as committed: counts, names, annotations, pairs, masks, size, and what their README says."""

import csv
import functools
import itertools
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.render import export, more, scene
from data.render.backgrounds import names as panoramas
from sdgan_lib.pose import JOINTS, REQUIRED

ROOT = Path(__file__).parents[1]
PEOPLE = ROOT / "data/people"
IDENTITIES = {"train": 250, "test": 50}
VIEWS = 20
NAME = re.compile(r"(\d{4})_c([1-4])s1_00000([1-5])_01")


@functools.cache
def stems(split: str) -> list[str]:
    return sorted(p.stem for p in (PEOPLE / "people-dataset" / split).glob("*.jpg"))


@functools.cache
def annotations(split: str) -> dict[str, np.ndarray]:
    """Name -> int [18,2], x and y, read as the protocol says and in no other way."""
    lines = (PEOPLE / f"people-annotation-{split}.csv").read_text().splitlines()
    assert lines[0] == "name:keypoints_y:keypoints_x"
    out = {}
    for line in lines[1:]:
        name, ys, xs = line.split(": ")
        assert name not in out
        out[name] = np.array([json.loads(xs), json.loads(ys)]).T
    return out


def pairs(split: str) -> list[tuple[str, str]]:
    with open(PEOPLE / f"people-pairs-{split}.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["from", "to"]
    return [(a, b) for a, b in rows]


@pytest.mark.parametrize("split", ["train", "test"])
def test_names_and_counts(split):
    matches = [NAME.fullmatch(s) for s in stems(split)]
    assert all(matches)
    views = Counter(m[1] for m in matches)
    assert len(views) == IDENTITIES[split] and set(views.values()) == {VIEWS}
    assert sorted(p.stem for p in (PEOPLE / "people-masks" / split).glob("*.png")) == stems(split)
    assert sorted(annotations(split)) == [f"{s}.jpg" for s in stems(split)]


def test_nobody_is_in_both_splits():
    train, test = ({s[:4] for s in stems(split)} for split in ("train", "test"))
    assert len(train) == 250 and len(test) == 50 and not train & test


@pytest.mark.parametrize("split", ["train", "test"])
def test_pictures_and_masks(split):
    for stem in stems(split):
        with Image.open(PEOPLE / f"people-dataset/{split}/{stem}.jpg") as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 128)), stem
            image.load()
        with Image.open(PEOPLE / f"people-masks/{split}/{stem}.png") as mask:
            assert (mask.format, mask.mode, mask.size) == ("PNG", "1", (64, 128)), stem
            assert 100 < np.asarray(mask).sum() < 0.6 * 128 * 64, stem


@pytest.mark.parametrize("split", ["train", "test"])
def test_key_points(split):
    table, inside = annotations(split), []
    for i, (name, points) in enumerate(table.items()):
        assert points.shape == (18, 2) and points.dtype.kind == "i", name
        missing = points[:, 0] < 0
        assert (points[missing] == -1).all() and (points[~missing] >= 0).all(), name
        assert (points[:, 0] < 64).all() and (points[:, 1] < 128).all(), name
        if i % 5:
            continue
        mask = np.asarray(Image.open(PEOPLE / f"people-masks/{split}/{name[:-4]}.png"))
        for x, y in points[[2, 5, 8, 11]]:
            if x >= 0:
                inside.append(mask[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].any())
    assert np.mean(inside) > 0.97
    present = np.mean([points[:, 0] >= 0 for points in table.values()], axis=0)
    assert (present[[1, 2, 5, 8, 11]] > 0.95).all(), "shoulders and hips are seldom hidden"
    assert (present[[14, 15]] < 0.8).all() and (present[[14, 15]] > 0.3).all(), "eyes are hidden from behind"


def test_train_pairs_are_all_there_are():
    table = annotations("train")
    usable = [name for name, points in table.items() if (points[[2, 5, 8, 11], 0] >= 0).all()]
    people = itertools.groupby(sorted(usable), key=lambda name: name[:4])
    want = {pair for _, names in people for pair in itertools.permutations(list(names), 2)}
    got = pairs("train")
    assert len(got) == len(set(got)) and set(got) == want


def test_test_pairs_are_balanced():
    table, got = annotations("test"), pairs("test")
    assert len(got) == len(set(got)) == 1000
    assert all(a[:4] == b[:4] and a != b for a, b in got)
    same = [a[:7] == b[:7] for a, b in got]
    assert sum(same) == 500
    assert Counter(a[:4] for a, _ in got) == {f"{i:04d}": 20 for i in range(251, 301)}
    assert all((table[name][[2, 5, 8, 11], 0] >= 0).all() for pair in got for name in pair)


def views() -> list[dict[str, str]]:
    with open(PEOPLE / "people-views.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_views_tell_headings_that_go_all_round():
    rows = views()
    assert [r["name"] for r in rows] == stems("train") + stems("test")
    headings = np.array([int(r["heading"]) for r in rows])
    assert (np.histogram(headings, 12, (0, 360))[0] > 400).all()
    for frames in headings.reshape(-1, 5):
        turns = np.sort(frames)
        assert np.diff([*turns, turns[0] + 360]).max() < 100
    special = np.mean([r["pose"] in ("sit", "crouch", "carry") for r in rows])
    company = np.mean([r["passer_by"] == "1" or r["obstacle"] != "" for r in rows])
    assert 0.04 < special < 0.1 and 0.05 < company < 0.12


def test_size():
    files = [
        p for folder in (PEOPLE, ROOT / "data/render/panoramas") for p in folder.rglob("*") if p.is_file()
    ]
    assert sum(p.stat().st_size for p in files) < 35e6


def test_tables_can_be_written_again(tmp_path):
    """Annotations, views and the seed of the test pairs give all five tables, byte for byte."""
    rows, of_name = [], {f"{row['name']}.jpg": list(row.values()) for row in views()}
    for split in IDENTITIES:
        for name, points in annotations(split).items():
            xs, ys = points.T.tolist()
            rows.append({"split": split, "y": ys, "x": xs, "view": of_name[name]})
    export.write_tables(tmp_path, rows, 1000)
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == sorted(path.name for path in PEOPLE.glob("*.csv")) and len(written) == 5
    for name in written:
        assert (tmp_path / name).read_bytes() == (PEOPLE / name).read_bytes(), name


# ---- the README: every number in it is what the data say


def stated(rows: list[dict[str, str]], points: np.ndarray, masks: np.ndarray) -> list[str]:
    """What the README says in numbers, from the rows of the views, key points [N, 18, 2] and masks [N, H, W]."""
    total, people = len(rows), sum(IDENTITIES.values())
    height, width = masks.shape[1:]
    missing = points[..., 0] < 0
    unusable = missing[:, REQUIRED].any(1).sum()

    def share(flags) -> float:
        return 100 * float(np.mean(flags))

    def lacking(*words: str) -> float:
        return share(missing[:, [i for i, name in enumerate(JOINTS) if name.endswith(words)]])

    poses = Counter(row["pose"] for row in rows)
    of_pose = {pose: 100 * n / total for pose, n in poses.items()}
    standing = set(poses) - {"walk", "run", "carry", "crouch", "sit"}
    company, obstacle = ([row[k] not in ("0", "") for row in rows] for k in ("passer_by", "obstacle"))
    headings = np.array([int(row["heading"]) for row in rows])
    eighths = np.bincount(((headings + 22.5) % 360 // 45).astype(int), minlength=8)
    turns = np.sort(headings.reshape(-1, scene.FRAMES))
    apart = np.diff(np.concatenate([turns, turns[:, :1] + 360], 1))
    tall = [np.ptp(np.nonzero(mask.any(1))[0]) + 1 for mask in masks]
    low, middle, high = np.percentile(tall, [5, 50, 95])
    body = [(mask, point) for mask, joints in zip(masks, points, strict=True) for point in joints[1:14]]
    inside = [mask[y, x] for mask, (x, y) in body if x >= 0]
    train, test = IDENTITIES.values()
    same = sum(a[:7] == b[:7] for a, b in pairs("test"))
    least = max(lacking(word) for word in ("Rsho", "Lsho", "Rhip", "Lhip", "Relb", "Lelb"))
    assert least < 0.5
    spelled = {5: "five", 9: "nine", 10: "ten", 15: "fifteen"}
    return [
        f"{total:,} pictures of {people} people who do not exist: {height}x{width} JPEGs",
        f"identities (disjoint, {people} different bodies) | {train} (0001–{train:04d}) | "
        f"{test} ({train + 1:04d}–{people:04d}) |",
        f"pictures ({scene.CAMERAS} cameras x {scene.FRAMES} frames each) | {train * VIEWS:,} | {test * VIEWS:,} |",
        f"| {len(pairs('train')):,}: all ordered pairs",
        f"| {len(pairs('test')):,}, fixed: {same} of one camera, {len(pairs('test')) - same} of two cameras, "
        f"{same // test} + {(len(pairs('test')) - same) // test} per identity |",
        f"The {spelled[scene.FRAMES]} frames of one identity and camera",
        f"Measured on all {total:,} pictures",
        f"{eighths.min()} to {eighths.max()} pictures in each of eight directions",
        f"within a camera the {spelled[scene.FRAMES]} headings lie some {np.median(apart):.0f}° apart",
        f"walking {of_pose['walk']:.1f} %, running {of_pose['run']:.1f} %, standing in {spelled[len(standing)]} ways",
        f"…) {sum(of_pose[p] for p in standing):.1f} %, carrying a box {of_pose['carry']:.1f} %, "
        f"crouching {of_pose['crouch']:.1f} %, sitting {of_pose['sit']:.1f} %.",
        f"a passer-by in {share(company):.1f} %, an obstacle before the person in {share(obstacle):.1f} %, "
        f"one or the other in {share(np.array(company) | np.array(obstacle)):.1f} %.",
        "{:.0f} % panoramas, {:.0f} % streets".format(
            *(
                share([row["place"].startswith("street") is street for row in rows])
                for street in (False, True)
            )
        ),
        f"covers {share(masks):.0f} % of the frame on average",
        f"{low:.0f}, {middle:.0f} and {high:.0f} px high at the 5th, 50th and 95th percentile",
        f"{missing.sum(1).mean():.1f} of {len(JOINTS)} on average",
        f"nose {lacking('nose'):.0f} %, eyes {lacking('eye'):.0f} %, ears {lacking('ear'):.0f} %, "
        f"ankles {lacking('ank'):.1f} %, wrists {lacking('wri'):.1f} %, knees {lacking('kne'):.1f} %",
        "shoulders, hips and elbows at most 0.5 %",
        f"{unusable} pictures lack a shoulder or a hip",
        f"{share(inside):.2f} % of the body joints that are given lie in the mask",
        f"identity and view (0–{VIEWS - 1})",
        f"with {spelled[scene.SS**2]} times oversampling",
        f"JPEG quality {export.JPEG['quality']}",
        f"goes on with identities from {more.FIRST:04d} on, up to {more.MOST:,} of them",
        f"Backgrounds: {spelled[len(panoramas())]} panoramas serve all identities",
    ]


NOT_OF_THE_DATA = (
    r"`+[^`]*`+",  # code, names of files
    r"\n    [^\n]*",  # commands and lists of files
    r"Market-1501",
    r"A joint is −1",
    r"1-bit",
    r"\d{4}'s camera \d",
    r"0\.1 to 0\.2 s per picture and core|some 30 people a minute and core",
    r"CC0 1\.0|publicdomain/zero/1\.0|\(0\.6\.2\)|1\.7\.0",  # licences and packages
)


def unsaid(text: str, sentences: list[str]) -> list[str]:
    """What is wrong with a README: sentences that it lacks, and numbers that no sentence accounts for."""
    for pattern in NOT_OF_THE_DATA:
        text = re.sub(pattern, " ", text)
    text = " ".join(text.split())
    wrong = [f"not in the README: {sentence}" for sentence in sentences if sentence not in text]
    for sentence in sentences:
        text = text.replace(sentence, " ")
    return wrong + [
        f"unaccounted: {text[max(0, m.start() - 30) : m.end() + 30]}" for m in re.finditer(r"\d+", text)
    ]


def test_the_readme_says_what_the_data_say():
    points = np.stack([annotations(split)[f"{stem}.jpg"] for split in IDENTITIES for stem in stems(split)])
    masks = [PEOPLE / f"people-masks/{split}/{stem}.png" for split in IDENTITIES for stem in stems(split)]
    sentences = stated(views(), points, np.stack([np.asarray(Image.open(path)) for path in masks]))
    text = (PEOPLE / "README.md").read_text()
    assert not unsaid(text, sentences)
    of_the_data = re.sub("|".join(NOT_OF_THE_DATA), lambda match: "#" * len(match[0]), text)
    digits = [match.start() for match in re.finditer(r"\d", of_the_data)]
    assert len(digits) > 100
    for i in digits:  # any other digit is noticed
        assert unsaid(text[:i] + str((int(text[i]) + 1) % 10) + text[i + 1 :], sentences), text[
            i - 20 : i + 20
        ]
