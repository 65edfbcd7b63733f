"""Small data sets of real picture files, for every test that reads data."""

import itertools
import json
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from figures import ON_128X64
from PIL import Image

signal.signal(
    signal.SIGINT, signal.default_int_handler
)  # a shell's background job, and its children, ignore Ctrl-C


def write_dataset(
    root: Path,
    prefix: str = "people",
    size: tuple[int, int] = (128, 64),
    cameras: int = 2,
    frames: int = 2,
    masks: bool = True,
    pairs: bool = True,
) -> Path:
    """Identities 0001-0003 for training, 0004-0005 for testing; each frame is one pixel further right."""
    height, width = size
    rng = np.random.default_rng(0)
    for split, people in (("train", (1, 2, 3)), ("test", (4, 5))):
        images, mask_folder = root / f"{prefix}-dataset" / split, root / f"{prefix}-masks" / split
        images.mkdir(parents=True)
        if masks:
            mask_folder.mkdir(parents=True)
        names, rows = [], ["name:keypoints_y:keypoints_x"]
        for person, camera, frame in itertools.product(people, range(1, cameras + 1), range(frames)):
            name = f"{person:04d}_c{camera}s1_{frame:06d}_01.jpg"
            if prefix == "fasion":
                name = f"fasionWOMENDressesid0000{person:04d}01_{camera}{'abcdef'[frame]}.jpg"
            names.append(name)
            pixels = np.full((height, width, 3), rng.integers(0, 255, 3), np.uint8)
            pixels[:: 2 + frame] //= 2
            Image.fromarray(pixels).save(images / name, quality=95)
            if masks:
                body = np.zeros((height, width), bool)
                body[height // 8 : -height // 8, width // 4 : -width // 4] = True
                Image.fromarray(body).save((mask_folder / name).with_suffix(".png"))
            xs = [(x + frame) * width // 64 for x, _ in ON_128X64]
            ys = [y * height // 128 for _, y in ON_128X64]
            rows.append(f"{name}: {json.dumps(ys)}: {json.dumps(xs)}")
        (root / f"{prefix}-annotation-{split}.csv").write_text("\n".join(rows) + "\n")
        if pairs:
            views = cameras * frames
            of_person = [names[i : i + views] for i in range(0, len(names), views)]
            lines = [f"{a},{b}" for group in of_person for a, b in itertools.permutations(group, 2)]
            (root / f"{prefix}-pairs-{split}.csv").write_text("\n".join(["from,to", *lines]) + "\n")
    return root


LONGEST_FIRST = (
    "05_adversarial_training.ipynb",
    "test_browser.py",
    "test_papermill.py",
    "02_two_stream_encoder.ipynb",
    "test_cli.py",
    "test_shipped.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, then the other notebooks, then the rest.

    Whole files go to one worker after the other, so a long one taken last would keep the others waiting.
    """

    def rank(item: pytest.Item) -> int:
        if item.path.name in LONGEST_FIRST:
            return LONGEST_FIRST.index(item.path.name)
        return len(LONGEST_FIRST) + (item.path.suffix != ".ipynb")

    items.sort(key=rank)


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Path]:
    """`make_dataset(prefix=..., size=..., ...)` writes a data set below tmp_path and returns its folder."""
    return lambda name="set", **options: write_dataset(tmp_path / name, **options)


@pytest.fixture
def people_root(make_dataset: Callable[..., Path]) -> Path:
    """The folder of a small, whole data set in the layout of the embedded people."""
    return make_dataset()
