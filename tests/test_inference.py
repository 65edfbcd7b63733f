"""From joints to a picture file: the generator's own picture, in the bytes of a PNG."""

import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from figures import standing
from PIL import Image

from sdgan_lib.checkpoints import load_generator
from sdgan_lib.generators import GeneratorConfig, make_generator
from sdgan_lib.heatmaps import sigma_for
from sdgan_lib.images import read_picture, to_uint8
from sdgan_lib.inference import animate, find_picture, generate, look_inside, render_png
from sdgan_lib.motion import WALK, fit_poses, read_poses
from sdgan_lib.plotting import CANDIDATE_COLOURS, JOINT_COLOURS, attention_picture
from sdgan_lib.pose import JOINT
from sdgan_lib.protocol import write_pose
from sdgan_lib.systems import SYSTEMS
from sdgan_lib.warping import BACKGROUND, deformable_skip_reference, limb_warps

PEOPLE, SHIPPED = "data/people", "data/checkpoints/sdgan.safetensors"


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG" and image.mode == "RGB"
        return np.asarray(image)


@pytest.fixture(scope="module")
def shipped():
    return load_generator(SHIPPED)


@pytest.fixture(scope="module")
def person():
    """A held-out person: file, picture, pose, and a pose of another picture in which joints are missing."""
    path, pose = find_picture(PEOPLE, "0251_c1s1_000001_01")
    _, target = find_picture(PEOPLE, "0251_c1s1_000003_01")
    target = target.clone()
    target[JOINT["Rwri"]] = torch.nan
    return path, read_picture(path), pose, target


def test_the_png_is_the_generators_picture(shipped, person):
    _, image, pose, target = person
    with torch.no_grad():
        expected = to_uint8(shipped.transfer(image[None], pose[None], target[None]).image)[0]
    found = pixels(render_png(shipped, image, pose, target))
    assert found.shape == (128, 64, 3)
    np.testing.assert_array_equal(found, expected)
    other = pixels(render_png(shipped, image, pose, pose))
    assert np.abs(found.astype(int) - other).mean() > 5, "the target pose makes no difference"


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_and_size(system):
    torch.manual_seed(0)
    generator = make_generator(GeneratorConfig(system, width=4, depth=3)).eval()
    image, (pose, target) = torch.rand(3, 64, 48) * 2 - 1, standing(2, (64, 48))
    with torch.no_grad():
        expected = to_uint8(generator.transfer(image[None], pose[None], target[None]).image)[0]
    np.testing.assert_array_equal(pixels(render_png(generator, image, pose, target)), expected)
    seen = look_inside(generator, image, pose, target)
    np.testing.assert_array_equal(seen.pop("full size"), expected)
    of_system = {
        "baseline": ["heat maps"],
        "pg2": ["heat maps", "coarse"],
        "deformable": ["heat maps", "warped source"],
        "sdgan": ["heat maps", "warped source", "1/4 of the size", "1/2 of the size", "attention"],
        "sdgan-flat": ["heat maps", "warped source", "attention"],
    }
    assert list(seen) == of_system[system]


def test_attention_is_drawn_of_one_picture():
    only_torso = torch.eye(12)[0, :, None, None].expand(-1, 4, 2)
    assert (attention_picture(only_torso) == CANDIDATE_COLOURS[0]).all()
    assert len(set(CANDIDATE_COLOURS)) == 12, "two candidates have one colour"
    with pytest.raises(ValueError, match=r"\[12, h, w\]"):
        attention_picture(only_torso[None])


def test_a_size_that_the_generator_does_not_take(shipped, person):
    _, image, pose, target = person
    for make in (render_png, look_inside):
        with pytest.raises(ValueError, match="divisible by 16"):
            make(shipped, image[:, :100], pose, target)


def heatmaps_by_hand(pose: torch.Tensor, height: int, width: int) -> np.ndarray:
    """The strongest joint's colour at every pixel, faded by the distance to it."""
    y, x = np.mgrid[:height, :width]
    best, colours = np.zeros((height, width)), np.zeros((height, width, 3))
    for (px, py), colour in zip(pose.tolist(), JOINT_COLOURS, strict=True):
        strength = np.nan_to_num(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma_for(height) ** 2)))
        colours[strength > best] = colour
        best = np.maximum(best, strength)
    return 0.85 * best[..., None] * colours


def test_inside_the_shipped_generator(shipped, person):
    _, image, pose, target = person
    target = target + torch.rand(
        18, 2, generator=torch.Generator().manual_seed(0)
    )  # no pixel as near to two joints
    seen = look_inside(shipped, image, pose, target)
    height, width = image.shape[-2:]
    with torch.no_grad():
        made = shipped.transfer(image[None], pose[None], target[None])
        warps = limb_warps(pose[None], target[None], height, width)
        warped = deformable_skip_reference(image[None], warps, "priority")
    shares = made.attention[-1][0].numpy()
    mixed = sum(
        share[..., None] * colour for share, colour in zip(shares, np.array(CANDIDATE_COLOURS), strict=True)
    )
    expected = {
        "heat maps": heatmaps_by_hand(target, height, width),
        "warped source": to_uint8(warped)[0],
        "1/4 of the size": to_uint8(made.images[0])[0],
        "1/2 of the size": to_uint8(made.images[1])[0],
        "full size": pixels(render_png(shipped, image, pose, target)),
        "attention": mixed,
        "silhouette": np.repeat(255 * (1 - shares[BACKGROUND])[..., None], 3, 2),
        "background": to_uint8(made.background.picture)[0],
    }
    assert list(seen) == list(expected)
    for label, array in expected.items():
        assert seen[label].dtype == np.uint8 and seen[label].shape == array.shape, label
        assert np.abs(seen[label] - array.astype(float)).max() <= 1, label
        assert array.std() > 10, f"{label}: nothing is seen"
    beside = seen["silhouette"][..., 0] == 0
    off = np.abs(seen["full size"].astype(int) - seen["background"])[beside]
    assert beside.mean() > 0.3 and off.max() <= 2, "beside the person stands not the background"


def test_generate_writes_that_picture_in_the_format_of_the_ending(shipped, person, tmp_path):
    path, image, pose, target = person
    write_pose(pose, tmp_path / "source.json")
    write_pose(target, tmp_path / "target.json")
    expected = pixels(render_png(shipped, image, pose.round(decimals=3), target.round(decimals=3)))
    for name, form in (("moved.png", "PNG"), ("deep/moved.jpg", "JPEG")):
        out = tmp_path / name
        poses = str(tmp_path / "target.json"), tmp_path / "source.json"
        generate(SHIPPED, str(path), *poses, out, PEOPLE, "cpu")
        with Image.open(out) as written:
            assert written.format == form
            difference = np.abs(np.asarray(written).astype(int) - expected)
        assert difference.max() == 0 if form == "PNG" else difference.mean() < 8


def test_each_frame_is_the_picture_of_its_pose(shipped, person):
    _, image, pose, _ = person
    poses = fit_poses(read_poses(WALK), pose)[:5]
    frames = animate(shipped, image, pose, poses, batch_size=2)
    assert frames.shape == (5, 3, 128, 64) and not frames.requires_grad
    with torch.no_grad():
        for frame, target in zip(frames, poses, strict=True):
            alone = shipped.transfer(image[None], pose[None], target[None]).image[0]
            torch.testing.assert_close(frame, alone, atol=1e-4, rtol=0)
    assert (frames[0] - frames[3]).abs().mean() > 0.02, "nobody moves"


def test_what_cannot_be_animated(shipped, person):
    _, image, pose, target = person
    with pytest.raises(ValueError, match="one pose or more"):
        animate(shipped, image, pose, pose[None][:0])
    with pytest.raises(ValueError, match=r"poses must have shape \[B, 18, 2\]"):
        animate(shipped, image, pose, target)
    with pytest.raises(ValueError, match="divisible by 16"):
        animate(shipped, image[:, :100], pose, target[None])


def test_the_import_stays_light():
    """What a served page waits for: neither plots nor tables nor widgets, nor torchvision, which takes seconds."""
    heavy = ("matplotlib", "pandas", "ipywidgets", "torchvision", "accelerate", "IPython")
    code = f"import sys, sdgan_lib.inference; print(*[name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
