"""The studio's geometry: Python writes cases from the library, node computes the same (``geometry.test.mjs``)."""

import json
import os
import re
import shutil
import subprocess
from base64 import b64encode
from contextlib import suppress
from math import isnan
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from figures import ON_128X64
from PIL import Image
from torch import Tensor

from sdgan_lib import estimation
from sdgan_lib.datasets import open_split
from sdgan_lib.errors import UserError
from sdgan_lib.generators import GeneratorConfig, make_generator
from sdgan_lib.heatmaps import heatmaps
from sdgan_lib.inference import look_inside
from sdgan_lib.motion import between
from sdgan_lib.plotting import CANDIDATE_COLOURS, JOINT_COLOURS
from sdgan_lib.pose import (
    FACE,
    JOINT,
    JOINTS,
    LEFT_RIGHT,
    LIMBS,
    SKELETON,
    body_size,
    flip_pose,
    rescale_pose,
    visible,
)
from sdgan_lib.protocol import PoseForm, points_of, read_pose, write_pose
from sdgan_lib.studio.page import PHOTOS
from sdgan_lib.warping import REGIONS, body_mask, limb_warps, warp_image

ROOT = Path(__file__).resolve().parent.parent
PEOPLE = ROOT / "data/people"
PAIRS = 24


def find_node() -> str:
    """A node to run the studio's modules with: the one on PATH, or the one that playwright brings."""
    if found := shutil.which("node"):
        return found
    playwright = pytest.importorskip(
        "playwright", reason="there is no node, neither on PATH nor with playwright"
    )
    return str(Path(playwright.__file__).parent / "driver/node")


def listed(pose: Tensor) -> list:
    """A pose as the studio has it: ``[x, y]`` or ``None`` for each joint."""
    return [xy if there else None for xy, there in zip(pose.tolist(), visible(pose).tolist(), strict=True)]


def packed(values: Tensor) -> str:
    return b64encode(np.ascontiguousarray(values.float().numpy(), "<f4").tobytes()).decode()


def pair_case(number: int, source: Tensor, target: Tensor, size: tuple[int, int]) -> dict:
    """What the library computes for one pair of poses ``[18, 2]``."""
    background = "torso" if number % 3 == 0 else "identity"
    warps = limb_warps(source[None], target[None], *size, background=background)
    height, width = size
    image = noise(size, number)
    smaller = [(height // 2, width // 2), (height // 8, width // 8), (height // 4 + 1, width // 3)]
    at = [warps.at(*other) for other in smaller]
    to_size = (200, 90)
    size_of_body = body_size(target.double()).item()
    return {
        "source": listed(source), "target": listed(target), "height": height, "width": width,
        "body_size": None if isnan(size_of_body) else size_of_body,
        "heatmaps": packed(heatmaps(target[None], *size)[0]) if number < 6 else None,
        "body_mask": packed(body_mask(target[None], *size)),
        "background": background,
        "maps": warps.maps[0].tolist(),
        "masks": packed(warps.masks[0]),
        "image": packed(image) if number < 6 else None,
        "warped": packed(warp_image(image[None], warps)[0]) if number < 6 else None,
        "at": [(*other, w.maps[0].tolist(), packed(w.masks[0])) for other, w in zip(smaller, at, strict=True)],
        "to_size": to_size,
        "rescaled": listed(rescale_pose(target, size, to_size)),
        "flipped": listed(flip_pose(target, width)),
    }  # fmt: skip


def noise(size: tuple[int, int], seed: int) -> Tensor:
    """A picture ``[3, H, W]`` in [-1, 1] no pixel of which looks like its neighbours."""
    return 2 * torch.rand(3, *size, generator=torch.Generator().manual_seed(seed)) - 1


def inside_case(source: Tensor, target: Tensor, size: tuple[int, int]) -> dict:
    """What a composing generator of random weights is given, its graph's outputs, and what is seen of them."""
    torch.manual_seed(0)
    generator = make_generator(GeneratorConfig("sdgan", width=4, depth=3, composition=True)).eval()
    image = noise(size, 0)
    target = target + torch.rand(
        target.shape
    )  # between whole pixels, where no pixel is as near to two joints
    with torch.inference_mode():
        made = generator.transfer(image[None], source[None], target[None])
    low, middle, picture = made.images
    outputs = {
        "picture": picture, "low": low, "middle": middle,
        "attention": made.attention[-1], "background": made.background.picture,
    }  # fmt: skip
    return {
        "source": listed(source), "target": listed(target), "height": size[0], "width": size[1],
        "image": packed(image), "outputs": {name: packed(values) for name, values in outputs.items()},
        "seen": [
            (label, *array.shape[:2], b64encode(array.tobytes()).decode())
            for label, array in look_inside(generator, image, source, target).items()
        ],
        "colours": CANDIDATE_COLOURS,
    }  # fmt: skip


def movenet_case(seed: int, height: int, width: int) -> dict:
    decoded = torch.rand(17, 3, generator=torch.Generator().manual_seed(seed))
    found = estimation._found(decoded[None], height, width)
    pose = found.pose[0].masked_fill(found.scores[0, :, None] < estimation.LEAST_SCORE, torch.nan)
    return {"decoded": decoded.tolist(), "height": height, "width": width, "pose": listed(pose)}


def views_case(height: int, width: int) -> dict:
    views = [view._asdict() for view in estimation._views(width, height)]
    return {"height": height, "width": width, "views": views}


def round_case(pose: Tensor, height: int, width: int) -> dict:
    there = pose[visible(pose)]
    return {
        "pose": listed(pose),
        "height": height,
        "width": width,
        "view": estimation._around(there, (width, height))._asdict(),
    }


def written(pose: Tensor, folder: Path) -> dict:
    """What the library writes into a file for each form of a pose."""
    for form in get_args(PoseForm):
        write_pose(pose, folder / form, form)
    return {form: json.loads((folder / form).read_text()) for form in get_args(PoseForm)}


def between_case(keys: Tensor, steps: int, closed: bool) -> dict:
    poses = between(keys, steps, closed)
    return {
        "keys": [*map(listed, keys)], "steps": steps, "closed": closed, "poses": [*map(listed, poses)],
    }  # fmt: skip


def crop_case(what: str, pose: Tensor, size: tuple[int, int] = estimation.TRAINED) -> dict:
    """Where the library crops a person out of a photo, None if it refuses."""
    cropped = None
    with suppress(UserError):
        _, inside, crop = estimation.crop_to_model(Image.new("RGB", (9, 9)), pose, size)
        height, width = (side / crop.scale for side in size)
        part = {"left": crop.left, "top": crop.top, "width": width, "height": height}
        cropped = {"crop": part, "pose": listed(inside)}
    return {"what": what, "pose": listed(pose), "size": size, "cropped": cropped}


def crop_cases(poses: Tensor) -> list[dict]:
    """People of a photo of their own size and place, whole, cut off by its border, and with joints reaching away."""
    without = {
        "one ankle": ["Rank"],
        "no ankle": ["Rank", "Lank"],
        "no leg, one hip": ["Rkne", "Lkne", "Rank", "Lank", "Lhip"],
        "a head and shoulders": [name for name in JOINTS if name[1:] in ("hip", "kne", "ank")],
        "no head": ["nose", "Reye", "Leye", "Rear", "Lear"],
        "an ankle alone": [name for name in JOINTS if name != "Rank"],
        "legs": [name for name in JOINTS if name[1:] not in ("hip", "kne", "ank")],
        "nobody": JOINTS,
    }
    cases = []
    for number, pose in enumerate(poses):
        photographed = (pose + 7) * (0.4 + number) - torch.tensor([90.5, 20.25])
        cases.append(crop_case("whole", photographed, (192, 112) if number % 2 else estimation.TRAINED))
        reaching = photographed.clone()
        reaching[[JOINT["Rwri"], JOINT["nose"]]] += 60 * (1 + number) * torch.tensor([[-1, -1], [1, -1]])
        cases.append(crop_case("reaching", reaching))
        for what, names in without.items():
            less = photographed.clone()
            less[[JOINT[name] for name in names]] = torch.nan
            cases.append(crop_case(what, less))
    return cases


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> Path:
    """The file of cases: held-out pairs, some with joints taken away, some in a larger picture."""
    split = open_split(PEOPLE, "test")
    random = torch.Generator().manual_seed(0)
    chosen = torch.randint(len(split.poses), (PAIRS, 2), generator=random)
    pairs = []
    for number, (source, target) in enumerate(chosen.tolist()):
        poses = split.poses[[source, target]].clone()
        if number % 2:
            poses[torch.rand(2, 18, generator=random) < 0.15] = torch.nan
        size = split.size
        if number % 4 == 3:
            size = (192, 112)
            poses = rescale_pose(poses, split.size, size)
        pairs.append(pair_case(number, poses[0], poses[1], size))
    assert any(None in pair["target"] for pair in pairs[::2]), "no pose with a missing joint of its own"
    keys = split.poses[torch.randint(len(split.poses), (5,), generator=random)]
    folder = tmp_path_factory.mktemp("studio")
    path = folder / "cases.json"
    person = poses[1].clone()
    person[JOINT["Lwri"]] = torch.nan
    path.write_text(
        json.dumps(
            {
                "joints": JOINTS, "limbs": [(name, *ends) for name, ends in LIMBS.items()], "bones": SKELETON,
                "colours": ["#{:02x}{:02x}{:02x}".format(*rgb) for rgb in JOINT_COLOURS],
                "left_right": LEFT_RIGHT, "regions": REGIONS, "face": FACE, "standing": ON_128X64, "pairs": pairs,
                "movenet": [movenet_case(i, *size) for i, size in enumerate([(128, 64), (75, 101), (480, 640)])],
                "between": [between_case(keys, 4, True), between_case(keys, 3, False), between_case(keys[:1], 2, True)],
                "views": [views_case(*size) for size in [(128, 64), (480, 640), (20, 4000), (301, 300), (77, 150)]],
                "round": [round_case(person, *size) for size in [(192, 112), (100, 50)]],
                "template": [[*size, listed(estimation.template(size))] for size in [(128, 64), (192, 112)]],
                "files": json.loads((ROOT / "tests/cases/poses.json").read_text()),
                "saved": {"pose": listed(person), **written(person, folder)},
                "inside": inside_case(split.poses[chosen[0, 0]], split.poses[chosen[0, 1]], split.size),
                "crops": crop_cases(split.poses[chosen[:4, 0]]), "photos": PHOTOS,
            },
            allow_nan=False,
        )
    )  # fmt: skip
    return path


@pytest.mark.parametrize(
    "case", json.loads((ROOT / "tests/cases/poses.json").read_text()), ids=lambda case: case["what"]
)
def test_poses_are_read_as_the_studio_reads_them(case, tmp_path):
    """The same file of cases goes to ``geometry.test.mjs``."""
    path = tmp_path / "pose.json"
    path.write_text(json.dumps(case["holds"]))
    if "fault" in case:
        with pytest.raises(UserError, match=re.escape(case["fault"])):
            read_pose(path)
    else:
        assert points_of(read_pose(path)) == case["pose"]


def test_the_geometry_is_the_librarys(cases):
    done = subprocess.run(
        [find_node(), "--test", "--test-reporter=tap", str(ROOT / "tests/studio/geometry.test.mjs")],
        env={**os.environ, "STUDIO_CASES": str(cases)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "# fail 0" in done.stdout and "# pass 0" not in done.stdout, done.stdout
