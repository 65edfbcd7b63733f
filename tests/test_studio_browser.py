"""The studio in a real JupyterLab in headless Chromium: joints are dragged, the picture and the sliders follow.

Where there is no Chromium these tests are skipped or fail as those of ``test_browser.py``.
"""

import os
import statistics
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
from figures import heic
from PIL import Image
from test_browser import PATIENCE, browser, lab, open_notebook, press, wait  # noqa: F401

from benchmarks.studio import delays
from sdgan_lib.inference import find_picture
from sdgan_lib.studio.offers import DATA

pytestmark = pytest.mark.slow

STUDIO = """
from sdgan_lib.checkpoints import load_generator
from sdgan_lib.datasets import open_split
from sdgan_lib.images import read_picture
from sdgan_lib.motion import WALK, fit_poses, read_poses
from sdgan_lib.studio.widget import PoseStudio

people = open_split("../data/people", "test")
number = people.names.index("0251_c1s1_000001_01.jpg")
others = {name: people.poses[i] for name, i in zip(("walk", "run", "side", "back", "reach"), (30, 77, 200, 345, 512))}
generator = load_generator("../data/checkpoints/sdgan.safetensors")
walk = fit_poses(read_poses(WALK), people.poses[number])
studio = PoseStudio(
    generator, read_picture(people.image_path(number)), people.poses[number], poses=others, motion=walk[::3]
)
studio.with_sliders()
"""
SLIDER = """
import numpy as np
from io import BytesIO
from PIL import Image
from sdgan_lib.inference import render_png
from sdgan_lib.widgets import PictureControls, slider

def render(level):
    pose = studio.source_pose.clone()
    pose[4, 0] += level
    png = render_png(generator, studio.source_image, studio.source_pose, pose)
    return np.asarray(Image.open(BytesIO(png)))

PictureControls(render, {"level": slider("yardstick", 3, 0, 9)}, scale=1)
"""
LATER = 2.5  # a picture comes at most this many times as late as the same generator's under a plain slider

WATCHER = """
const img = () => document.querySelector(".pose-studio img.picture");
window.studio = {
  // What is shown, as the digest of the PNG file's bytes.
  async shown() {
    const bytes = await (await fetch(img().src)).arrayBuffer();
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    return Array.from(new Uint8Array(digest), (byte) => byte.toString(16)).join("");
  },
  place: (name) =>
    document.querySelector(`[data-joint="${name}"]`).transform.baseVal[0].matrix,
  joint(name) {
    const { e, f } = studio.place(name);
    return [e, f];
  },
  // Counts the pictures from now on, in `pictures`.
  count() {
    studio.pictures = 0;
    new MutationObserver((changes) => (studio.pictures += changes.length))
      .observe(img(), { attributes: true, attributeFilter: ["src"] });
  },
};
"""


@pytest.fixture(scope="module")
def page(browser, lab):  # noqa: F811
    *_, root = lab
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in (STUDIO, SLIDER)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(notebook, root / "notebooks/studio.ipynb")
    page = open_notebook(browser, lab, "studio.ipynb")
    page.faults, page.hosts = [], set()
    page.on("console", lambda message: message.type == "error" and page.faults.append(message.text))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("request", lambda request: page.hosts.add(urlsplit(request.url).hostname))
    for cell in page.evaluate("lab.cells()"):
        assert not cell["errors"], f"{cell['source']}\n{cell['errors'][0]}"
    page.evaluate(WATCHER)
    page.wait_for_selector('[data-joint="Rwri"]')
    yield page
    page.close()


@pytest.fixture(autouse=True)
def from_the_start(page):
    """Each test begins with the first pose; what went wrong in the page is told afterwards."""
    page.locator('[data-tool="reset"]').click()
    settled(page)
    yield
    assert not page.faults, page.faults[0]
    assert not page.evaluate("lab.errors"), page.evaluate("lab.errors[0]")
    assert page.hosts <= {"127.0.0.1", None}, page.hosts


def settled(page) -> str:
    """What is shown when every pose has been answered."""
    quiet = """lab.status() === 'idle' && !document.querySelector('.pose-studio[aria-busy="true"]')"""
    for _ in range(2):  # a slider's change may not have reached the kernel at first
        page.wait_for_timeout(100)
        wait(page, quiet, PATIENCE, "busy")
    return page.evaluate("studio.shown()")


def middle_of(page, joint: str) -> tuple[float, float]:
    dot = page.locator(f'[data-joint="{joint}"] .dot')
    dot.scroll_into_view_if_needed()
    box = dot.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def pull(page, joint: str, dx: float, dy: float, steps: int = 6) -> None:
    """Drag a joint with the mouse, by pixels of the screen."""
    x, y = middle_of(page, joint)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y + dy, steps=steps)
    page.mouse.up()


def sliders(page) -> list[float]:
    return [float(text) for text in page.locator(".widget-readout").all_inner_texts()[:2]]


def test_a_dragged_joint_moves_the_picture_and_the_sliders(page):
    before, place = settled(page), page.evaluate("studio.joint('Rwri')")
    pull(page, "Rwri", -20, -45)
    assert settled(page) != before
    after = page.evaluate("studio.joint('Rwri')")
    assert after != place
    assert sliders(page) == pytest.approx(after, abs=0.06)


def test_undo_gives_the_same_picture_back_and_redo_the_later(page):
    first = settled(page)
    pull(page, "Rwri", -20, -45)
    second = settled(page)
    pull(page, "Lank", 15, -10)
    third = settled(page)
    assert len({first, second, third}) == 3
    page.keyboard.press("Control+z")
    assert settled(page) == second
    page.locator('[data-tool="undo"]').click()
    assert settled(page) == first
    page.locator('[data-tool="redo"]').click()
    page.locator('[data-tool="redo"]').click()
    assert settled(page) == third


def test_a_slider_moves_the_skeleton(page):
    page.locator('[data-joint="Rwri"]').focus()
    before, place = settled(page), page.evaluate("studio.joint('Rwri')")
    page.locator(".noUi-handle").first.focus()
    page.keyboard.press("PageUp")
    assert settled(page) != before
    after = page.evaluate("studio.joint('Rwri')")
    assert after[0] > place[0] and after[1] == place[1]
    assert sliders(page) == pytest.approx(after, abs=0.06)
    page.locator('[data-tool="undo"]').click()
    assert settled(page) == before


def test_the_dropdown_and_the_skeleton_choose_the_same_joint(page):
    page.locator('[data-joint="Lank"]').focus()
    settled(page)
    assert (
        page.locator(".jp-Notebook .widget-dropdown select").evaluate(
            "box => box.selectedOptions[0].textContent"
        )
        == "Lank"
    )
    page.locator(".jp-Notebook .widget-dropdown select").select_option("Lsho")
    settled(page)
    assert "chosen" in page.locator('[data-joint="Lsho"]').get_attribute("class")
    assert sliders(page) == pytest.approx(page.evaluate("studio.joint('Lsho')"), abs=0.06)


def test_keys_stay_in_the_studio(page):
    """Arrow keys and Delete move and hide the joint; the notebook's cells stay as they are."""
    cells = "[lab.cells().length, lab.panel().content.activeCellIndex]"
    before_keys = page.evaluate(cells)
    page.locator('[data-joint="Rank"]').focus()
    before, place = settled(page), page.evaluate("studio.joint('Rank')")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowUp")
    moved = settled(page)
    assert moved != before and page.evaluate("studio.joint('Rank')") != place
    page.keyboard.press("Delete")
    assert settled(page) != moved
    assert "hidden" in page.locator('[data-joint="Rank"]').get_attribute("aria-label")
    for key in ("ArrowDown", "x"):  # of JupyterLab: the next cell, cut the cell
        page.keyboard.press(key)
    page.locator('[data-tool="hide"]').focus()
    page.keyboard.press("x")
    page.locator('[data-joint="Rank"]').focus()
    assert page.evaluate(cells) == before_keys
    for _ in range(2):
        page.keyboard.press("Control+z")
    assert settled(page) == before


def test_a_motion_plays_in_place(page):
    before = settled(page)
    page.evaluate("studio.count()")
    page.locator('[data-tool="play"]').click()
    page.wait_for_function("studio.pictures >= 5", timeout=PATIENCE * 1000)
    page.locator('[data-tool="play"]').click()
    assert settled(page) == before


def test_a_photo_goes_to_the_kernel_and_files_come_back(page):
    """Bytes both ways: a photo in which a person is found, and the motion as a GIF; then the first person again."""
    before, number = settled(page), page.locator(".people button").count()
    photo = Image.new("RGB", (400, 560), (120, 130, 140))
    with Image.open(find_picture(DATA, "0251_c1s1_000004_01")[0]) as file:
        photo.paste(file.convert("RGB").resize((240, 480), Image.Resampling.BICUBIC), (80, 40))
    page.locator(".people input").set_input_files(
        {"name": "me.heic", "mimeType": "image/heic", "buffer": heic(photo)}
    )
    page.locator(".told", has_text="One person was found in me.heic").wait_for(timeout=PATIENCE * 1000)
    assert settled(page) != before and page.locator(".people button").count() == number + 1
    with page.expect_download(timeout=PATIENCE * 1000) as download:
        page.locator('[data-save="clip"]').click()
    with Image.open(download.value.path()) as clip:
        assert clip.format == "GIF" and clip.n_frames > 3
    page.locator(".people button").nth(1).click()
    page.wait_for_selector('.people button[aria-pressed="true"][data-person="1"]', timeout=PATIENCE * 1000)
    assert settled(page) == before


def test_inside_the_network_follows_while_it_is_open(page):
    """Closed, nothing is computed; opened, each picture is drawn in whole pixels, says what it is, and follows."""
    addresses = "[...document.querySelectorAll('[data-inside] img')].map((image) => image.src)"
    settled(page)
    assert page.evaluate(addresses) == []
    page.locator(".inside summary").click()
    page.wait_for_selector("[data-inside]", timeout=PATIENCE * 1000)
    shown, before = settled(page), page.evaluate(addresses)
    assert len(before) == 8
    for picture in page.locator("[data-inside]").all():
        box = picture.locator("img").bounding_box()
        assert box["width"] % 64 == 0 and box["height"] == 2 * box["width"]
        assert (
            len(picture.locator("figcaption").inner_text()) > len(picture.get_attribute("data-inside")) + 10
        )
    pull(page, "Rwri", -20, -45, steps=2)
    assert settled(page) != shown
    assert not set(page.evaluate(addresses)) & set(before)
    if folder := os.environ.get("SDGAN_SCREENSHOTS"):
        page.locator(".inside").screenshot(path=Path(folder) / "studio-inside.png")
    page.locator(".inside summary").click()
    settled(page)
    assert page.evaluate(addresses) == []


def test_the_picture_follows_the_pointer(page, record_property):
    """From a pointer's move to the picture, compared with a plain slider over the same generator."""
    handle = page.locator(".widget-slider", has_text="yardstick").locator(".noUi-handle").first
    handle.scroll_into_view_if_needed()
    keys = ("Home", "End", "PageDown", "PageUp", "PageDown", "Home", "End")
    yardstick = statistics.median([delay for key in keys if (delay := press(page, handle, key)[1])])

    seen = delays(page, 15)
    median = statistics.median(seen)
    record_property("delay_ms", round(median))
    print(f"studio: picture {median:.0f} ms after the pointer's move; under a slider: {yardstick:.0f} ms")
    assert median < LATER * yardstick, (seen, yardstick)


# By the browser's mouse each move waits for the page, and a busy machine's are slower than its pictures.
FAST_MOVES = """([x, y, dx, dy]) => {
  const skeleton = document.querySelector(".pose-studio svg.skeleton"), MOUSE = 1;
  for (let i = 1; i <= 100; i++) {
    const at = { pointerId: MOUSE, clientX: x + (dx * i) / 100, clientY: y + (dy * i) / 100 };
    skeleton.dispatchEvent(new PointerEvent("pointermove", at));
  }
}"""


def test_a_fast_pointer_makes_no_queue(page):
    """Of a hundred moves, each sooner than a picture can be there, most are skipped; the last one is shown."""
    page.evaluate("studio.count()")
    x, y = middle_of(page, "Rwri")
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(FAST_MOVES, [x, y, -30, -60])
    page.mouse.move(x - 30, y - 60)
    page.mouse.up()
    last, pictures = settled(page), page.evaluate("studio.pictures")
    place = page.evaluate("studio.joint('Rwri')")
    print(f"{pictures} pictures for 100 moves")
    assert 0 < pictures < 60
    page.evaluate("studio.count()")
    assert settled(page) == last and page.evaluate("studio.pictures") == 0, "nothing comes after"
    assert sliders(page) == pytest.approx(place, abs=0.06), "the last pose is the one that was asked for"
    page.locator('[data-tool="add"]').scroll_into_view_if_needed()
    if folder := os.environ.get("SDGAN_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / "studio-lab.png")
