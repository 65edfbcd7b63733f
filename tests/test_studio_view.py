"""The studio's view in Chromium with a model that is no notebook's: what a static page needs."""

import json
from io import BytesIO

import pytest
import torch
from figures import ON_128X64
from PIL import Image
from test_browser import browser  # noqa: F401

from sdgan_lib.pose import JOINT
from sdgan_lib.protocol import points_of, read_pose, write_pose
from sdgan_lib.studio import plain_module, view_module, view_style
from sdgan_lib.studio.widget import to_pose

pytestmark = pytest.mark.slow
START = [list(point) for point in ON_128X64]
START[JOINT["Lear"]] = None

PAGE = """<!doctype html><meta charset="utf-8"><style>{style}</style><div id="here"></div>
<script type="module">
{view}
{shim}
const state = {state};
window.model = new Model(state, {delay});
window.leave = render({{ model: window.model, el: document.getElementById("here") }});
</script>"""


@pytest.fixture
def open_view(browser):  # noqa: F811
    pages = []

    def opened(delay: int = 5, more: dict | None = None, **context):
        page = browser.new_context(viewport={"width": 800, "height": 900}, **context).new_page()
        state = {
            "pose": START, "start": START, "poses": [["raised", [[x, y - 3] for x, y in ON_128X64]]],
            "size": [128, 64], "scale": 3.5, "joint": "Rwri", "motion": [], "steps": 3,
            "asked": 0, "answered": 0, "fault": "", **(more or {}),
        }  # fmt: skip
        view = view_module().replace("export default", "") + plain_module("model.mjs")
        shim = plain_module("../../tests/studio/shim.mjs")
        page.faults = []
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.set_content(
            PAGE.format(style=view_style(), view=view, shim=shim, state=json.dumps(state), delay=delay)
        )
        page.wait_for_selector("[data-joint]")
        pages.append(page)
        return page

    yield opened
    for page in pages:
        assert not page.faults, page.faults[0]
        page.context.close()


def centre(page, joint):
    box = page.locator(f'[data-joint="{joint}"] .dot').bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def pull(page, joint, dx, dy, steps=5):
    x, y = centre(page, joint)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y + dy, steps=steps)
    page.mouse.up()


def asked(page):
    """The pose that the model has when every answer is there."""
    page.wait_for_function("!document.querySelector('[aria-busy=true]')")
    return page.evaluate("model.state.pose")


def moved(before, after):
    return {name for name, i in JOINT.items() if before[i] != after[i]}


def test_a_drag_moves_the_limb_and_with_ctrl_the_joint_alone(open_view):
    page = open_view()
    pull(page, "Rwri", -10, -30)
    first = asked(page)
    assert moved(START, first) == {"Rwri", "Relb"}
    page.keyboard.down("Control")
    pull(page, "Relb", 12, 0)
    page.keyboard.up("Control")
    assert moved(first, asked(page)) == {"Relb"}
    page.locator('[data-tool="alone"]').click()
    before = asked(page)
    pull(page, "Lsho", 9, 0)
    assert moved(before, asked(page)) == {"Lsho"}


def test_the_joint_goes_where_the_pointer_goes(open_view):
    page = open_view()
    x, y = centre(page, "Lwri")
    pull(page, "Lwri", -14, -21)
    place = asked(page)[JOINT["Lwri"]]
    assert place == pytest.approx([46 - 14 / 3.5, 58 - 21 / 3.5], abs=0.01)
    assert centre(page, "Lwri") == pytest.approx((x - 14, y - 21), abs=0.5)


def test_undo_by_keys_and_buttons(open_view):
    page = open_view()
    pull(page, "Rwri", -10, -30)
    first = asked(page)
    pull(page, "Lank", 20, -10)
    second = asked(page)
    page.keyboard.press("Control+z")
    assert asked(page) == first
    page.locator('[data-tool="undo"]').click()
    assert asked(page) == START
    assert page.locator('[data-tool="undo"]').is_disabled()
    page.keyboard.press("Control+Shift+z")
    page.locator('[data-tool="redo"]').click()
    assert asked(page) == second


def test_arrows_move_by_one_pixel_and_by_five(open_view):
    page = open_view()
    page.locator('[data-tool="alone"]').click()
    page.locator('[data-joint="Lank"]').focus()
    for key in ("ArrowLeft", "ArrowUp", "Shift+ArrowUp", "Shift+ArrowRight"):
        page.keyboard.press(key)
    assert asked(page)[JOINT["Lank"]] == [39 - 1 + 5, 110 - 1 - 5]
    assert moved(START, asked(page)) == {"Lank"}
    page.keyboard.press("Control+z")
    assert asked(page) == START, "keys on one joint are one step"


def test_delete_hides_and_enter_brings_back(open_view):
    page = open_view()
    joint = page.locator('[data-joint="Relb"]')
    joint.focus()
    page.keyboard.press("Delete")
    assert asked(page)[JOINT["Relb"]] is None
    assert joint.get_attribute("aria-label") == "right elbow, hidden"
    page.keyboard.press("Enter")
    assert asked(page) == START
    ghost = page.locator('[data-joint="Lear"]')
    assert ghost.is_visible(), "hidden joints are shown from the first one on"
    page.mouse.click(*centre(page, "Lear"))
    assert asked(page)[JOINT["Lear"]] is not None


def test_tools_move_the_whole_pose(open_view):
    page = open_view()
    page.locator('[data-tool="mirror"]').click()
    mirrored = asked(page)
    assert mirrored[JOINT["Rear"]] is None and mirrored[JOINT["Lear"]] is not None
    page.locator('[data-tool="mirror"]').click()
    assert asked(page) == START
    page.locator('[data-tool="larger"]').click()
    page.locator('[data-tool="smaller"]').click()
    back = asked(page)
    assert all(a is b or a == pytest.approx(b, abs=0.01) for a, b in zip(back, START, strict=True))
    page.locator('[data-tool="move"]').click()
    pull(page, "nose", 35, 0)
    shifted = [point and [point[0] + 10, point[1]] for point in back]
    assert all(a is b or a == pytest.approx(b, abs=0.01) for a, b in zip(asked(page), shifted, strict=True))
    page.locator('[data-tool="reset"]').click()
    assert asked(page) == START
    page.locator('[data-pose="raised"]').click()
    assert asked(page)[0] == [32, 17]


def test_one_pose_at_a_time_and_the_newest_last(open_view):
    page = open_view(delay=500)
    pull(page, "Rwri", -20, -60, steps=40)
    last = asked(page)
    assert last[JOINT["Rwri"]] == pytest.approx([18 - 20 / 3.5, 58 - 60 / 3.5], abs=0.01), (
        "where the pointer is"
    )
    assert page.evaluate("model.most") == 1, "never two at once"
    assert 2 <= page.evaluate("model.requests.length") < 30
    assert page.evaluate("model.requests.at(-1).pose") == last
    shown = page.evaluate("fetch(document.querySelector('img.picture').src).then((answer) => answer.json())")
    assert shown == last == page.evaluate("model.state.pose")


def test_touch_drags_too(open_view):
    page = open_view(has_touch=True)
    page.set_viewport_size({"width": 800, "height": 500})  # the page could scroll instead
    x, y = centre(page, "Rwri")
    client = page.context.new_cdp_session(page)
    for kind, *points in (
        ("touchStart", (x, y)), *(("touchMove", (x - k, y - 3 * k)) for k in range(2, 14)), ("touchEnd",),
    ):  # fmt: skip
        touches = [{"x": px, "y": py} for px, py in points]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})
    assert moved(START, asked(page)) == {"Rwri", "Relb"}


def test_a_pose_from_the_other_side_is_shown_and_can_be_undone(open_view):
    page = open_view()
    other = [list(point) if point else None for point in START]
    other[JOINT["Rwri"]] = [10, 60]
    x, y = centre(page, "Rwri")
    page.evaluate("pose => model.set('pose', pose)", other)
    assert centre(page, "Rwri") == pytest.approx((x - 8 * 3.5, y + 2 * 3.5), abs=0.5)
    page.evaluate("model.set('joint', 'Lank')")
    assert "chosen" in page.locator('[data-joint="Lank"]').get_attribute("class")
    page.locator('[data-tool="undo"]').click()
    assert asked(page) == START


def test_a_fault_is_shown(open_view):
    page = open_view()
    page.evaluate("model.set('fault', 'ValueError: no such luck')")
    assert "no such luck" in page.locator(".status").inner_text()


def test_every_joint_can_be_reached_by_keys_and_read(open_view):
    page = open_view()
    for name in JOINT:
        joint = page.locator(f'[data-joint="{name}"]')
        assert joint.get_attribute("tabindex") == "0" and joint.get_attribute("role") == "button"
    assert page.locator('[data-joint="Rwri"]').get_attribute("aria-label") == "right wrist, x 18, y 58"
    for button in page.locator("button").all():
        assert button.get_attribute("title") and button.inner_text()


def test_it_leaves_nothing_behind(open_view):
    page = open_view()
    page.evaluate("leave()")
    assert page.evaluate("document.getElementById('here').childElementCount") == 0
    assert page.evaluate("Object.values(model.listeners).flat().length") == 0


@pytest.mark.parametrize("width", [800, 360])
def test_it_fits_a_desk_and_a_phone(open_view, width):
    page = open_view()
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator(".skeleton").bounding_box()
    assert box["width"] > 200 and box["height"] == pytest.approx(2 * box["width"], rel=0.02)


def test_key_poses_are_added_chosen_and_taken_out(open_view):
    page = open_view()
    motion = lambda: page.evaluate("model.state.motion")  # noqa: E731
    page.locator('[data-tool="add"]').click()
    pull(page, "Rwri", -10, -30)
    second = asked(page)
    page.locator('[data-tool="add"]').click()
    assert motion() == [START, second]
    page.locator('[data-key="0"]').click()
    assert asked(page) == START
    page.locator('[data-tool="remove"]').click()
    assert motion() == [second]


def test_a_motion_plays_in_place_and_gives_the_pose_back(open_view):
    page = open_view()
    page.locator('[data-tool="add"]').click()
    pull(page, "Rwri", -10, -30)
    last = asked(page)
    page.locator('[data-tool="add"]').click()
    page.evaluate("model.requests.length = 0")
    page.locator('[data-tool="play"]').click()
    page.wait_for_function("model.requests.length >= 7")  # more than once through 2 keys x 3 steps
    page.locator('[data-tool="play"]').click()
    assert asked(page) == last
    poses = [request["pose"] for request in page.evaluate("model.requests")]
    wrists = {tuple(pose[JOINT["Rwri"]]) for pose in poses}
    assert len(wrists) == 4, "two keys, and two poses between them that are the same there and back"
    assert page.evaluate("model.most") == 1
    page.locator('[data-tool="undo"]').click()
    assert asked(page) == START, "what played is nothing to undo"
    page.wait_for_timeout(300)
    assert asked(page) == START, "nothing plays on"


def test_a_drag_stops_what_plays(open_view):
    page = open_view()
    page.evaluate("poses => model.set('motion', poses)", [START, [[x + 4, y] for x, y in ON_128X64]])
    page.locator('[data-tool="play"]').click()
    page.wait_for_function("model.requests.length >= 2")
    assert "Stop" in page.locator('[data-tool="play"]').inner_text()
    pull(page, "Lank", 10, -10)
    assert "Play" in page.locator('[data-tool="play"]').inner_text()
    count = page.evaluate("model.requests.length")
    page.wait_for_timeout(400)
    assert page.evaluate("model.requests.length") <= count + 1


# What stands around the skeleton

OTHER = [[2.5 * x + 200, 2.5 * y + 80] for x, y in ON_128X64]  # a pose in a larger picture
GRANTS = {"grants": ["person", "photo", "place", "clip"], "wish": [], "reply": []}

DROP = """([selector, name, text]) => {
  const dataTransfer = new DataTransfer();
  const event = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
  dataTransfer.items.add(new File([text], name));
  document.querySelector(selector).dispatchEvent(event);
  return event.defaultPrevented;
}"""


def told(page, text, fault=False):
    page.locator(f".told{'.fault' if fault else ':not(.fault)'}", has_text=text).wait_for()


def test_only_what_the_model_gives_is_shown(open_view):
    page = open_view(more={"poses": []})
    shown = [group.get_attribute("aria-label") for group in page.locator("[role=group]:visible").all()]
    assert shown == ["Skeleton: 18 joints to move", "Motion: key poses", "Save and open"]
    assert not page.locator('[data-tool="place"], [data-save="clip"]').count()
    assert page.evaluate(DROP, [".pose-studio", "me.jpg", "…"])
    told(page, "me.jpg is not a pose", fault=True)


def test_people_and_motions_are_chosen_and_replies_are_told(open_view):
    motion = [[[x, y + k] for x, y in OTHER] for k in (0, 25)]
    page = open_view(
        more=GRANTS
        | {"people": [["A", []], ["B", []]], "person": 0, "motions": [["Hop", motion]], "fit": True}
    )
    person = page.locator(".people button").nth(1)
    assert person.get_attribute("aria-label") == "Person 2: B"
    person.click()
    number, *wish = page.evaluate("model.wishes.at(-1)")
    assert wish == ["person", 1]
    page.evaluate("number => model.set('reply', [number, 'Here is B.', false, null])", number)
    told(page, "Here is B.")
    page.evaluate("model.set('reply', [-1, 'Of another view.', true, null])")
    told(page, "Here is B.")
    assert person.get_attribute("aria-pressed") == "false", "who is shown says the other side"
    page.evaluate("model.set('person', 1)")
    assert person.get_attribute("aria-pressed") == "true"

    page.locator('[data-motion="Hop"]').click()
    keys = page.evaluate("model.state.motion")
    assert [key[JOINT["Rwri"]] for key in keys] == [pytest.approx([18, y], abs=0.01) for y in (48, 58)]
    page.wait_for_function("model.requests.length >= 3")
    place = page.evaluate("model.requests.at(-1).pose")[JOINT["nose"]]
    page.evaluate(  # another person, while it plays
        "pose => { model.set('pose', pose); model.set('start', pose); }", [[x, y - 3] for x, y in ON_128X64]
    )
    assert "Play" in page.locator('[data-tool="play"]').inner_text()
    assert asked(page)[0] == [32, 17] != place
    assert page.locator('[data-tool="undo"]').is_disabled(), "what was before is another person's"
    with page.expect_download() as download:
        page.locator('[data-save="clip"]').click()
        page.evaluate(
            "model.set('reply', [model.wishes.at(-1)[0], 'Saved.', false, ['a.gif', 'image/gif', new Uint8Array([7])]])"
        )
    assert download.value.suggested_filename == "a.gif" and download.value.path().read_bytes() == b"\x07"


def test_poses_are_saved_in_three_forms_and_taken_back(open_view, tmp_path):
    page = open_view()
    pull(page, "Rwri", -10, -30)
    pose = asked(page)
    for form in ("points", "openpose", "coco"):
        with page.expect_download() as download:
            page.locator(f'[data-save="{form}"]').click()
        file = tmp_path / download.value.suggested_filename
        download.value.save_as(file)
        expected = to_pose(pose)
        if form == "coco":
            expected[JOINT["neck"]] = (expected[JOINT["Rsho"]] + expected[JOINT["Lsho"]]) / 2
        torch.testing.assert_close(read_pose(file), expected, equal_nan=True)
        page.locator('[data-tool="reset"]').click()
        assert asked(page) == START
        page.locator('[aria-label="Save and open"] input').set_input_files(file)
        told(page, f"The pose of {file.name}.")
        assert asked(page) == points_of(expected)
        page.locator('[data-tool="undo"]').click()
        assert asked(page) == START
        page.locator('[data-tool="undo"]').click()
    write_pose(torch.tensor(OTHER), tmp_path / "large.json", "openpose")
    assert page.evaluate(DROP, [".pose-studio", "large.json", (tmp_path / "large.json").read_text()])
    told(page, "brought to the person's size and place")
    assert asked(page) == [pytest.approx(point, abs=0.01) for point in map(list, ON_128X64)]
    before = asked(page)
    for text, what in (("[[1, 2]]", "1 entries instead of a list of 18"), ("{", "it is not JSON"),
                       (json.dumps([[900, 900], *[None] * 17]), "no hip and shoulder")):  # fmt: skip
        page.evaluate(DROP, [".pose-studio", "bad.JSON", text])
        told(page, what, fault=True)
    assert asked(page) == before
    assert not page.evaluate(DROP, ["body", "large.json", "[]"]), (
        "what is dropped elsewhere is not the studio's"
    )


def test_a_photo_is_handed_over_and_a_large_one_made_smaller(open_view):
    page = open_view(more=GRANTS)
    photo = page.locator(".people input")
    photo.set_input_files({"name": "a.heic", "mimeType": "", "buffer": b"as it is"})
    told(page, "Looking for people in a.heic")
    page.wait_for_function("model.wishes.length === 1")
    assert page.evaluate("new TextDecoder().decode(model.wishes[0][2])") == "as it is"
    content = BytesIO()
    Image.new("RGB", (4000, 600), "red").save(content, "BMP")
    photo.set_input_files({"name": "b.bmp", "mimeType": "image/bmp", "buffer": content.getvalue()})
    page.wait_for_function("model.wishes.length === 2")
    smaller = page.evaluate("[...new Uint8Array(model.wishes[1][2])]")
    with Image.open(BytesIO(bytes(smaller))) as image:
        assert image.size == (2048, 307) and image.getpixel((9, 9)) == pytest.approx((255, 0, 0), abs=3)
    photo.set_input_files({"name": "c.jpg", "mimeType": "image/jpeg", "buffer": bytes(7_000_000)})
    told(page, "c.jpg is larger than 6 MB", fault=True)
    assert page.evaluate("model.wishes.length") == 2


def test_the_skeleton_is_put_where_the_body_is(open_view):
    page = open_view(more=GRANTS | {"placing": False})
    page.locator('[data-tool="mirror"]').click()
    asked(page)
    count = page.evaluate("model.requests.length")
    place = page.locator('[data-tool="place"]')
    place.click()
    assert place.get_attribute("aria-pressed") == "true" and page.evaluate("model.state.placing")
    assert page.locator("figcaption", has_text="Drag each joint to its place").count()
    hidden = page.locator('[data-joint="Lear"]').get_attribute("aria-label")
    assert hidden == "left ear, hidden", "it begins as the person stands, not mirrored"
    page.keyboard.down("Control")
    pull(page, "Rank", -14, 0)
    page.keyboard.up("Control")
    assert page.evaluate("model.requests.length") == count, "no picture is asked for"
    place.click()
    _, kind, pose = page.evaluate("model.wishes.at(-1)")
    assert kind == "place" and moved(START, pose) == {"Rank"} and pose[JOINT["Rank"]] == [21, 110]
