import io
from base64 import b64decode

import numpy as np
import pytest
import torch
from figures import standing
from PIL import Image

from sdgan_lib.images import encode_png
from sdgan_lib.plotting import draw_skeleton
from sdgan_lib.pose import JOINT, visible
from sdgan_lib.widgets import PictureControls, PoseControls, slider

BLANK = np.zeros((128, 64, 3), np.uint8)


def bar(length, bright=True):
    """A picture [4, 10, 3] with a bar."""
    picture = np.zeros((4, 10, 3), np.uint8)
    picture[:, : int(length)] = 255 if bright else 90
    return picture, f"{length:.0f} long"


def shown(controls) -> np.ndarray:
    """What the browser is given."""
    return np.asarray(Image.open(io.BytesIO(controls.image.value)))


def test_the_picture_follows_every_control():
    controls = PictureControls(bar, {"length": slider("length", 2, 0, 10)}, scale=2)
    np.testing.assert_array_equal(controls.picture, bar(2)[0])
    controls.controls["length"].value = 7
    np.testing.assert_array_equal(controls.picture, bar(7)[0])
    np.testing.assert_array_equal(shown(controls), bar(7)[0].repeat(2, 0).repeat(2, 1))
    assert controls.text == "7 long"
    assert controls.values == {"length": 7.0}


def test_a_picture_without_text():
    controls = PictureControls(lambda length: bar(length)[0], {"length": slider("length", 2, 0, 10)})
    assert controls.text == ""


def test_an_error_in_the_picture_is_raised_where_the_control_is_set():
    def broken(length):
        if length > 5:
            raise RuntimeError("too long")
        return bar(length)

    controls = PictureControls(broken, {"length": slider("length", 2, 0, 10)})
    with pytest.raises(RuntimeError, match="too long"):
        controls.controls["length"].value = 6


def test_what_was_moved_inside_stands_as_before_even_after_an_error():
    controls = PictureControls(bar, {"length": slider("length", 2, 0, 10)})
    with pytest.raises(RuntimeError), controls.kept() as same:
        assert same is controls
        controls.controls["length"].value = 7
        np.testing.assert_array_equal(controls.picture, bar(7)[0])
        raise RuntimeError
    assert controls.values == {"length": 2.0}
    np.testing.assert_array_equal(controls.picture, bar(2)[0])


def test_a_static_picture_stands_beside_the_widget():
    controls = PictureControls(bar, {"length": slider("length", 2, 0, 10)})
    bundle = controls._repr_mimebundle_()
    picture = b64decode(bundle["image/png"])  # a mime bundle holds text: it goes to the notebook as it is
    assert picture == controls.image.value == encode_png(bar(2)[0].repeat(3, 0).repeat(3, 1))
    assert bundle["text/plain"] == repr(controls) == "PictureControls(length)"
    assert "application/vnd.jupyter.widget-view+json" in bundle


@pytest.mark.parametrize(
    ("step", "format"), [(1, ".0f"), (5, ".0f"), (0.5, ".1f"), (0.25, ".1f"), (0.01, ".2f")]
)
def test_a_slider_shows_as_many_digits_as_its_step_needs(step, format):
    assert slider("s", 0, -1, 1, step).readout_format == format


@pytest.fixture
def pose():
    pose = standing(1, (128, 64))[0]
    pose[JOINT["Lwri"]] = torch.nan
    return pose


def test_a_joint_moves_and_the_others_stay(pose):
    seen = []
    controls = PoseControls(pose, (128, 64), lambda p: (seen.append(p), draw_skeleton(BLANK, p))[1])
    controls.controls["x"].value = 60
    controls.controls["y"].value = 5
    others = [i for i in range(18) if i != JOINT["Rwri"]]
    torch.testing.assert_close(controls.pose[JOINT["Rwri"]], torch.tensor([60.0, 5.0]))
    torch.testing.assert_close(controls.pose[others], pose[others], equal_nan=True)
    torch.testing.assert_close(seen[-1], controls.pose, equal_nan=True)
    np.testing.assert_array_equal(controls.picture, draw_skeleton(BLANK, controls.pose))
    assert pose[JOINT["Rwri"], 0] != 60, "the caller's pose is left alone"


def test_every_joint_that_was_moved_inside_is_put_back(pose):
    controls = PoseControls(pose, (128, 64), lambda p: draw_skeleton(BLANK, p))
    before, picture = controls.values, controls.picture
    with controls.kept():
        controls.controls["x"].value = 60
        controls.controls["joint"].value = "Lank"
        controls.controls["missing"].value = True
        assert not np.array_equal(controls.picture, picture)
    torch.testing.assert_close(controls.pose, pose, equal_nan=True)
    assert controls.values == before and not controls.controls["x"].disabled
    np.testing.assert_array_equal(controls.picture, picture)
    controls.controls["x"].value = 50
    assert controls.pose[JOINT["Rwri"], 0] == 50


def test_choosing_a_joint_moves_nothing_and_shows_where_it_is(pose):
    controls = PoseControls(pose, (128, 64), lambda p: draw_skeleton(BLANK, p))
    before = controls.picture
    for name in ("nose", "Lwri", "Rank", "Rwri"):
        controls.controls["joint"].value = name
        if name != "Lwri":
            torch.testing.assert_close(
                torch.tensor([controls.values["x"], controls.values["y"]]), pose[JOINT[name]]
            )
    torch.testing.assert_close(controls.pose, pose, equal_nan=True)
    assert controls.picture is before


def test_a_joint_goes_missing_and_comes_back(pose):
    controls = PoseControls(pose, (128, 64), lambda p: draw_skeleton(BLANK, p))
    place = (controls.values["x"], controls.values["y"])
    controls.controls["missing"].value = True
    assert not visible(controls.pose)[JOINT["Rwri"]] and controls.controls["x"].disabled
    controls.controls["missing"].value = False
    torch.testing.assert_close(controls.pose[JOINT["Rwri"]], torch.tensor(place))
    assert not controls.controls["x"].disabled

    controls.controls["joint"].value = "Lwri"
    assert controls.values["missing"] and controls.controls["y"].disabled
    controls.controls["missing"].value = False
    torch.testing.assert_close(controls.pose[JOINT["Lwri"]], torch.tensor([31.5, 63.5]))


def test_a_joint_outside_the_picture_waits_at_the_border(pose):
    pose[JOINT["Rwri"]] = torch.tensor([-5.0, 140.0])
    controls = PoseControls(pose, (128, 64), lambda p: draw_skeleton(BLANK, p))
    assert (controls.values["x"], controls.values["y"]) == (0, 127)
    torch.testing.assert_close(controls.pose, pose, equal_nan=True)
