"""The embedded people as committed: counts, names, annotations, pairs, masks, size."""

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


def test_views_tell_headings_that_go_all_round():
    with open(PEOPLE / "people-views.csv", newline="") as file:
        rows = list(csv.DictReader(file))
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
