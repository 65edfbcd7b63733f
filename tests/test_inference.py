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
from sdgan_lib.images import read_picture, to_uint8
from sdgan_lib.inference import animate, find_picture, generate, render_png
from sdgan_lib.motion import WALK, fit_poses, read_poses
from sdgan_lib.pose import JOINT
from sdgan_lib.protocol import write_pose
from sdgan_lib.systems import SYSTEMS

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


def test_a_size_that_the_generator_does_not_take(shipped, person):
    _, image, pose, target = person
    with pytest.raises(ValueError, match="divisible by 16"):
        render_png(shipped, image[:, :100], pose, target)


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
