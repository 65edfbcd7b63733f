"""The studio's widget without a browser: poses go in, pictures come out, sliders and skeleton share one pose."""

import re
import subprocess
import sys
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
import torch
import traitlets
from figures import heic, standing
from PIL import Image

from sdgan_lib.datasets import open_split
from sdgan_lib.errors import UserError
from sdgan_lib.estimation import LIGHTNING, load_estimator, template, whole_photo
from sdgan_lib.generators import GeneratorConfig, make_generator
from sdgan_lib.inference import find_picture, look_inside, render_png
from sdgan_lib.motion import between, fit_poses
from sdgan_lib.plotting import draw_skeleton
from sdgan_lib.pose import JOINT, visible
from sdgan_lib.protocol import points_of
from sdgan_lib.studio import view_module, view_style
from sdgan_lib.studio.offers import DATA, MOTIONS, PEOPLE, POSES, Offer
from sdgan_lib.studio.widget import JointSliders, PoseStudio, open_studio, to_pose

SIZE = (64, 32)


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    return make_generator(GeneratorConfig("deformable", width=4, depth=3)).eval()


@pytest.fixture
def person():
    picture = torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(1)) * 2 - 1
    pose = standing(1, SIZE)[0]
    pose[JOINT["Lwri"]] = torch.nan
    return picture, pose


@pytest.fixture
def studio(generator, person):
    return PoseStudio(generator, *person, poses={"other": standing(1, SIZE, seed=1)[0]})


def pointed(studio, joint, to):
    """The pose as the view sends it after a joint was moved alone."""
    points = [list(point) if point else None for point in studio.pose]
    points[JOINT[joint]] = to
    return points


def test_the_picture_is_the_generators(studio, generator, person):
    picture, pose = person
    assert studio.picture == render_png(generator, picture, pose, to_pose(points_of(pose)))
    before = studio.picture
    studio.pose = pointed(studio, "Rwri", [3, 4.5])
    assert studio.picture != before
    assert studio.picture == render_png(generator, picture, pose, studio.pose_tensor)
    np.testing.assert_array_equal(studio.array.shape, (*SIZE, 3))


def test_poses_go_to_the_view_and_back(person):
    pose = person[1]
    assert points_of(pose)[JOINT["Lwri"]] is None
    torch.testing.assert_close(to_pose(points_of(pose)), pose, atol=6e-4, rtol=0, equal_nan=True)
    once = points_of(pose)
    assert points_of(to_pose(once)) == once


def test_the_view_is_answered_once_with_its_own_number(studio):
    """As the view sends it: pose and number in one message."""
    seen = []
    studio.observe(lambda change: seen.append((studio.answered, studio.picture)), "answered")
    studio.set_state({"pose": pointed(studio, "Rwri", [3, 4.5]), "asked": 1})
    assert [number for number, _ in seen] == [1]
    assert (
        seen[0][1]
        == studio.picture
        == render_png(studio.generator, studio.source_image, studio.source_pose, studio.pose_tensor)
    )
    studio.set_state({"asked": 2})  # the same pose again
    assert studio.answered == 2


def test_each_pose_is_drawn_once(studio, monkeypatch):
    count = []
    monkeypatch.setattr(
        "sdgan_lib.studio.widget.render_png", lambda *args: (count.append(1), render_png(*args))[1]
    )
    studio.set_state({"pose": pointed(studio, "Rwri", [3, 4.5]), "asked": 1})
    assert studio.sliders.pose[JOINT["Rwri"]].tolist() == [3, 4.5]
    studio.sliders.controls["x"].value = 9
    assert len(count) == 2


def test_inside_is_computed_while_it_is_open_and_follows(studio, monkeypatch):
    calls = []
    for make in (render_png, look_inside):
        counted = lambda *args, make=make: (calls.append(make.__name__), make(*args))[1]  # noqa: E731
        monkeypatch.setattr(f"sdgan_lib.studio.widget.{make.__name__}", counted)
    studio.set_state({"pose": pointed(studio, "Rwri", [3, 4.5]), "asked": 1})
    assert calls == ["render_png"] and studio.inside == []

    picture = studio.picture
    studio.set_state({"wants_inside": True})  # as the view sends it: no new pose
    assert calls == ["render_png", "look_inside"] and studio.picture == picture
    first = studio.inside
    messages = []
    studio.observe(lambda change: messages.append((studio.asked, studio.inside, studio.picture)), "answered")
    studio.set_state({"pose": pointed(studio, "Rwri", [9, 30]), "asked": 2})
    given = studio.generator, studio.source_image, studio.source_pose, studio.pose_tensor
    assert messages == [(2, studio.inside, render_png(*given))], "both come with the answer"
    assert calls == ["render_png", "look_inside", "look_inside"], "one forward pass a pose"
    assert [label for label, _ in studio.inside] == ["heat maps", "warped source", "full size"]
    for (label, png), (_, before), array in zip(
        studio.inside, first, look_inside(*given).values(), strict=True
    ):
        with Image.open(BytesIO(png)) as image:
            np.testing.assert_array_equal(np.asarray(image), array, err_msg=label)
        assert png != before, f"{label} has not followed"

    studio.set_state({"wants_inside": False})
    studio.set_state({"pose": pointed(studio, "Rwri", [12, 30]), "asked": 3})
    assert studio.inside == [] and calls[3:] == ["render_png"]


def test_the_same_pose_gives_the_same_picture(studio):
    start, picture = studio.pose, studio.picture
    studio.pose = pointed(studio, "Rank", [20, 50])
    studio.pose = start
    assert studio.picture == picture


def test_an_error_is_shown_and_raised_and_answered(studio, monkeypatch):
    def broken(*args):
        raise RuntimeError("no such luck")

    with monkeypatch.context() as patch:
        patch.setattr("sdgan_lib.studio.widget.render_png", broken)
        with pytest.raises(RuntimeError, match="no such luck"):
            studio.set_state({"pose": pointed(studio, "Rwri", [3, 4]), "asked": 1})
    assert studio.fault == "RuntimeError: no such luck" and studio.answered == studio.asked == 1
    studio.pose = pointed(studio, "Rwri", [5, 6])
    assert studio.fault == ""


@pytest.mark.parametrize(
    "bad", [[], [[1, 2]] * 17, [[1, 2, 3]] * 18, [[float("nan"), 1.0]] * 18, [["1", 2]] * 18]
)
def test_what_is_no_pose_is_refused(studio, bad):
    before = studio.pose
    with pytest.raises(traitlets.TraitError, match="18 times"):
        studio.pose = bad
    assert studio.pose == before


def test_a_slider_moves_the_skeleton_and_the_picture(studio):
    before = studio.picture
    studio.sliders.controls["x"].value = 5
    assert studio.pose_tensor[JOINT["Rwri"], 0] == 5 and studio.picture != before


def test_a_slider_that_rounds_what_it_is_given_moves_nothing(studio):
    """As sliders in the browser do: they send back the multiple of their step."""
    studio.pose = pointed(studio, "Rwri", [3.043, 4.557])
    controls = studio.sliders.controls
    controls["x"].value = 3.0
    controls["y"].value = 4.6
    assert studio.pose[JOINT["Rwri"]] == [3.043, 4.557]
    controls["x"].value = 3.1
    assert studio.pose[JOINT["Rwri"]] == [3.1, 4.557], "the other coordinate stays as it was"


def test_the_sliders_alone_show_the_picture_with_its_skeleton(studio):
    sliders = JointSliders(studio)
    sliders.controls["x"].value = 5
    np.testing.assert_array_equal(sliders.picture, draw_skeleton(studio.array, studio.pose_tensor))
    assert sliders.image in sliders.children


def test_the_sliders_beside_the_studio_have_a_picture_only_on_a_static_page(studio):
    assert studio.sliders.image not in studio.sliders.children
    picture = b64decode(studio.sliders._repr_mimebundle_()["image/png"])
    with Image.open(BytesIO(picture)) as image:
        assert image.size == (3 * SIZE[1], 3 * SIZE[0])


@pytest.mark.parametrize("picture", [True, False])
def test_the_sliders_follow_the_skeleton(studio, picture):
    sliders = JointSliders(studio, picture)
    studio.pose = pointed(studio, "Rwri", [3, 4.5])
    assert (sliders.values["x"], sliders.values["y"]) == (3, 4.5)
    if picture:
        np.testing.assert_array_equal(sliders.picture, draw_skeleton(studio.array, studio.pose_tensor))
    studio.pose = pointed(studio, "Rwri", None)
    assert sliders.values["missing"] and sliders.controls["x"].disabled


def test_both_choose_the_same_joint(studio):
    studio.sliders.controls["joint"].value = "Lank"
    assert studio.joint == "Lank"
    studio.joint = "nose"
    assert studio.sliders.values["joint"] == "nose"
    assert studio.sliders.values["x"] == pytest.approx(studio.pose[JOINT["nose"]][0], abs=1e-3)


def test_choosing_a_joint_and_hiding_it_by_sliders(studio):
    studio.sliders.controls["joint"].value = "Rank"
    studio.sliders.controls["missing"].value = True
    assert studio.pose[JOINT["Rank"]] is None and not visible(studio.pose_tensor)[JOINT["Rank"]]


def test_what_was_moved_inside_kept_stands_as_before(studio):
    pose, picture = studio.pose, studio.picture
    with studio.sliders.kept() as sliders:
        sliders.controls["y"].value = 9
        assert studio.picture != picture
    assert studio.pose == pose and studio.picture == picture


def test_a_static_picture_stands_beside_the_widget(studio):
    bundle = studio._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == repr(studio) == "PoseStudio(17 joints, Rwri chosen)"
    picture = b64decode(bundle["image/png"])
    assert picture.startswith(b"\x89PNG")
    studio.pose = pointed(studio, "Rank", [20, 50])
    assert b64decode(studio._repr_mimebundle_()["image/png"]) != picture, "it shows the present pose"


def test_the_view_has_what_it_needs(studio):
    state = studio.get_state()
    assert state["size"] == list(SIZE) and state["start"] == state["pose"] == points_of(studio.source_pose)
    assert state["poses"][0][0] == "other" and len(state["poses"][0][1]) == 18
    assert state["source"][:4] == state["picture"][:4] == b"\x89PNG"
    used = set(re.findall(r'model\.[gs]et\("(\w+)"', view_module()))
    assert used <= set(state), f"the view asks for {used - set(state)}"


def test_the_module_has_no_imports_and_every_rule_its_class():
    assert not re.search(r"^\s*import\b|\brequire\(", view_module(), flags=re.M)
    selectors = re.findall(r"^\s*([^\s@}/*-][^{};]*)\{", view_style(), flags=re.M)
    assert selectors
    for selector in ",".join(selectors).split(","):
        assert selector.strip().startswith(".pose-studio"), selector


def test_the_files_are_there_without_widgets():
    code = "import sys\nsys.modules['ipywidgets'] = sys.modules['anywidget'] = None\n"
    code += "from sdgan_lib.studio import view_module\nassert 'data-joint' in view_module()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_motion_plays_its_keys_and_what_lies_between(studio, person):
    with pytest.raises(ValueError, match="no key pose"):
        studio.frames()
    keys = torch.stack([studio.pose_tensor, to_pose(studio.poses[0][1])])
    studio.motion = [*map(points_of, keys)]
    torch.testing.assert_close(
        studio.frames(), between(keys, 6, closed=True), atol=1e-3, rtol=0, equal_nan=True
    )
    studio.steps = 1
    with Image.open(BytesIO(studio.clip(scale=2))) as film:
        assert (film.format, film.n_frames, film.size) == ("GIF", 2, (2 * SIZE[1], 2 * SIZE[0]))
    with pytest.raises(traitlets.TraitError, match="18 times"):
        studio.motion = [[1, 2]]


def test_another_person_takes_the_place(studio, generator, person):
    picture, pose = -person[0], person[1]
    before = studio.picture, studio.source
    studio.show_person(picture, pose)  # in the same pose
    assert studio.picture == render_png(generator, picture, pose, studio.pose_tensor)
    assert before[0] != studio.picture and before[1] != studio.source
    studio.wants_inside = True
    other = standing(1, SIZE, seed=2)[0]
    studio.show_person(picture, other, pose)
    assert dict(studio.inside)["full size"] == studio.picture
    assert studio.start == studio.pose == points_of(pose)
    assert studio.picture == render_png(generator, picture, other, studio.pose_tensor)
    with pytest.raises(ValueError, match=r"\[3, 64, 32\]"):
        studio.show_person(picture[:, :32], pose)


# What the view may wish for


@pytest.fixture(scope="module")
def lightning():
    return load_estimator(LIGHTNING)


def wished(studio, *wish):
    """The reply to a wish as the view makes it."""
    studio.set_state({"wish": [0.5, *wish]})
    number, *reply = studio.reply
    assert number == 0.5 and studio.wish == [], "a photo is not kept in the notebook"
    return reply


def in_a_photo(*people, kind="JPEG"):
    """Embedded people beside one another, in pictures half as tall from one to the next."""
    photo = Image.new("RGB", (800, 560), (120, 130, 140))
    for i, name in enumerate(people):
        with Image.open(find_picture(DATA, name)[0]) as file:
            size = (256, 512) if i == 0 else (160, 320)
            photo.paste(file.convert("RGB").resize(size, Image.Resampling.BICUBIC), (60 + 400 * i, 30))
    if kind == "HEIC":
        return heic(photo)
    content = BytesIO()
    photo.save(content, kind)
    return content.getvalue()


def test_people_are_chosen_and_the_motion_goes_along(generator, person):
    others = [Offer("A", *person), Offer("B", -person[0], 0.8 * person[1])]
    keys = standing(2, SIZE, seed=3)
    studio = PoseStudio(generator, *person, people=others, fit=True, motion=keys)
    assert [name for name, _ in studio.people] == ["A", "B"] and studio.person == 0
    assert studio.people[0][1] == studio.source
    assert wished(studio, "person", 1) == ["", False]
    assert studio.person == 1 and studio.source == studio.people[1][1]
    assert studio.start == studio.pose == points_of(others[1].pose)
    assert studio.picture == render_png(generator, others[1].picture, others[1].pose, studio.pose_tensor)
    expected = fit_poses(keys, others[1].pose)
    torch.testing.assert_close(
        torch.stack([*map(to_pose, studio.motion)]), expected, atol=2e-3, rtol=0, equal_nan=True
    )
    studio.show_person(*person)
    assert studio.person == -1


def test_people_of_a_photo_can_be_chosen_and_nobody_is_lost(studio, lightning):
    studio._estimator = lightning
    photo = in_a_photo("0251_c1s1_000004_01", "0260_c2s1_000003_01")
    told, fault = wished(studio, "photo", memoryview(photo), "us.jpg")
    assert not fault and told.startswith("2 people were found in us.jpg: choose one. The first has 1")
    assert [name for name, _ in studio.people] == ["us.jpg, 1 of 2", "us.jpg, 2 of 2", "The person"]
    assert studio.person == 0 and not studio.placing and studio.source == studio.people[0][1]
    size = visible(studio.source_pose).sum()
    assert size >= 12 and (studio.source_pose[JOINT["neck"], 1] < studio.source_pose[JOINT["Rhip"], 1])
    assert wished(studio, "person", 2) == ["", False] and studio.source == studio.people[2][1]
    told, _ = wished(studio, "photo", in_a_photo("0251_c1s1_000004_01", kind="HEIC"), "me.heic")
    assert told.startswith("One person was found in me.heic")
    assert [name for name, _ in studio.people] == ["me.heic, 1 of 1", "The person"], "the last photo's"


def test_where_nobody_is_found_the_skeleton_is_put_by_hand(studio, lightning):
    studio._estimator = lightning
    told, fault = wished(studio, "photo", in_a_photo(kind="TIFF"), "wall.tif")
    assert not fault and "Nobody was found in wall.tif" in told and studio.placing
    assert visible(studio.source_pose).all() and studio.person == 0
    colours = np.asarray(Image.open(BytesIO(studio.source)))
    assert np.abs(colours.astype(int) - (120, 130, 140)).max() <= 1, "the whole photo, its edge repeated"
    points = pointed(studio, "Rwri", [5, 30])
    told, fault = wished(studio, "place", points)
    assert not fault and not studio.placing and studio.person == 0
    assert studio.start == studio.pose == points_of(studio.source_pose) == points
    wished(studio, "person", 1)
    wished(studio, "person", 0)
    assert studio.pose == points


def test_the_whole_photo_lies_in_the_middle_of_the_picture():
    photo = Image.new("RGB", (4000, 300), (200, 0, 0))
    photo.paste((0, 0, 200), (2000, 0, 4000, 300))
    picture, pose, crop = whole_photo(photo)
    assert picture.shape == (3, 128, 64) and torch.equal(pose, template())
    assert (picture[0, :, :31] > 0.5).all() and (picture[2, :, 33:] > 0.5).all()
    torch.testing.assert_close(
        crop.to(torch.tensor([1999.5, 149.5])), torch.tensor([31.5, 63.5]), atol=0.02, rtol=0
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"no picture", "cannot be read, it is truncated or not a picture (cannot identify image file)"),
     (b"\x89PNG\r\n\x1a\n", "it is truncated"),
     (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "EPS is not read")],
)  # fmt: skip
def test_a_file_that_is_no_photo_is_told_and_all_stays(studio, content, text):
    before = studio.get_state(["people", "person", "pose", "picture", "source"])
    told, fault = wished(studio, "photo", content, "a.jpg")
    assert fault and told.startswith("a.jpg: ") and text in told and "Remedy: " in told
    assert studio.get_state(["people", "person", "pose", "picture", "source"]) == before


def test_the_motion_is_made_as_a_file(studio):
    studio.motion, studio.steps = [studio.pose, studio.poses[0][1]], 1
    told, fault, (name, kind, content) = wished(studio, "clip")
    assert (told, fault, name, kind) == ("Saved as motion.gif.", False, "motion.gif", "image/gif")
    assert content == studio.clip()


def test_what_goes_wrong_with_a_wish_is_told_and_raised(studio, monkeypatch):
    monkeypatch.setattr(studio, "clip", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        studio.set_state({"wish": [0.5, "clip"]})
    assert studio.reply == [0.5, "ZeroDivisionError: division by zero", True] and studio.wish == []


def test_a_studio_opens_with_people_poses_and_motions():
    studio = open_studio()
    assert studio.size == [128, 64] and studio.fit and len(studio.people) == PEOPLE and studio.person == 0
    names = [name for name, _ in studio.people]
    annotated = open_split(DATA, "test").names
    assert all(f"{name}.jpg" in annotated for name in names), "held out"
    assert len({name.split("_")[0] for name in names}) == PEOPLE, "twelve persons"
    assert [name for name, _ in studio.motions] == [*MOTIONS.values()]
    assert {len(keys) for _, keys in studio.motions} == {12}
    assert [name for name, _ in studio.poses][: len(POSES) + 1] == [*POSES, "As 1"]
    assert studio.poses[len(POSES) + 4][1] == points_of(find_picture(DATA, names[4])[1])
    with pytest.raises(UserError, match=r"nowhere.*Remedy"):
        open_studio(data="nowhere")
