"""Every notebook, all exercises solved, in a real JupyterLab in headless Chromium: cells run, sliders move pictures.

Skipped, with the reason, where there is no Chromium; with SDGAN_BROWSER=required that is a failure.
"""

import os
import statistics

import nbformat
import pytest
from course import NOTEBOOKS, PARAMETERS, ROOT, exercises_of, solve, verdicts
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from benchmarks.studio import CHROMIUM, TOKEN, find_chromium, jupyterlab

WATCHER = (ROOT / "tests/lab.js").read_text(encoding="utf-8")
REQUIRED = os.environ.get("SDGAN_BROWSER") == "required"
RUN_SECONDS = 600  # a guard; on two cores of their own the longest takes half a minute
PATIENCE = 180  # the same for what takes seconds
DELAYS = 5  # a picture comes at most this many times as late as that of the yardstick, a slider beside it
pytestmark = pytest.mark.slow

WIDGET = """
import numpy as np
from sdgan_lib.widgets import PictureControls, slider
def render(level):
    {body}
PictureControls(render, {{"level": slider({label!r}, 3, 0, 9)}})
"""
YARDSTICK = WIDGET.format(body="return np.full((9, 9, 3), 20 * int(level), np.uint8)", label="yardstick")


def missing(reason: str):
    """Skip, or fail where the browser is required."""
    (pytest.fail if REQUIRED else pytest.skip)(reason)


@pytest.fixture(scope="module")
def browser():
    chromium = find_chromium()
    if chromium is None:
        missing("no Chromium found: install one (Debian: apt install chromium) or name it in SDGAN_CHROMIUM")
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        missing("playwright is not installed: pip install playwright")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=chromium, args=[*CHROMIUM])
        except Error as error:
            missing(f"{chromium} does not start: {error}")
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory, browser):
    """Address, token and folder of a JupyterLab on copies of the notebooks: solved, fast parameters, the yardstick."""
    root = tmp_path_factory.mktemp("lab")
    (root / "notebooks").mkdir()
    for name in ("data", "sdgan_lib"):
        (root / name).symlink_to(ROOT / name)
    for path in NOTEBOOKS:
        notebook = solve(load_notebook_node(str(path)), path.stem)
        notebook = parameterize_notebook(notebook, PARAMETERS[path.stem]["fast"])
        notebook.cells.append(nbformat.v4.new_code_cell(YARDSTICK))
        nbformat.write(notebook, root / "notebooks" / path.name)
    with jupyterlab(root) as address:
        yield address, TOKEN, root


def wait(page, expression: str, seconds: float, what: str) -> None:
    from playwright.sync_api import TimeoutError

    try:
        page.wait_for_function(expression, timeout=seconds * 1000, polling=50)
    except TimeoutError:
        pytest.fail(f"after {seconds:g} s: {what} (kernel: {page.evaluate('lab.status()')})")


def open_notebook(browser, lab, name: str):
    """A page with the notebook open, its kernel idle and all cells run."""
    address, token, _ = lab
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.add_init_script(WATCHER)
    page.goto(f"{address}/lab/tree/notebooks/{name}?token={token}&reset", wait_until="domcontentloaded")
    wait(page, "window.lab?.panel()", PATIENCE, "the notebook is not open")
    wait(page, "lab.status() === 'idle'", PATIENCE, "the kernel is not ready")
    page.evaluate("lab.listen(); lab.run()")
    wait(page, "lab.done && lab.status() === 'idle'", RUN_SECONDS, "cells are still running")
    return page


def press(page, handle, key: str) -> tuple[str, float | None]:
    """Press a key on a slider's handle; what is shown then, and the milliseconds until it was (None: no change)."""
    handle.evaluate("element => lab.watch(element, 2000)")
    handle.focus()
    page.keyboard.press(key)
    page.wait_for_function("lab.latency !== undefined", timeout=10_000, polling=20)
    wait(page, "lab.status() === 'idle'", PATIENCE, f"busy after {key}")
    page.wait_for_timeout(100)  # a last picture that the kernel has sent already
    return handle.evaluate("element => lab.bytes(element)"), page.evaluate("lab.latency")


def check(page) -> list[tuple[str, list[float]]]:
    """All cells ran without an error and every slider moves its picture: each slider's label and pictures' delays.

    Every slider goes to both ends and steps back and forth; a delay is from the key to the picture, in ms.
    """
    for cell in page.evaluate("lab.cells()"):
        assert not cell["errors"], f"{cell['source']}\n{cell['errors'][0]}"
        assert cell["count"] or not cell["source"].strip(), f"not run:\n{cell['source']}"
    assert not page.evaluate("lab.errors"), page.evaluate("lab.errors[0]")
    found = []
    for slider in page.locator(".jp-Notebook .widget-slider").all():
        label = slider.locator(".widget-label").inner_text()
        handle = slider.locator(".noUi-handle").first
        handle.scroll_into_view_if_needed()
        seen = [press(page, handle, key) for key in ("Home", "End", "PageDown", "PageUp", "PageDown")]
        assert not page.evaluate("lab.errors"), f"slider {label!r}: {page.evaluate('lab.errors[0]')}"
        assert len({picture for picture, _ in seen}) > 1, f"slider {label!r} does not move its picture"
        found.append((label, [delay for _, delay in seen if delay is not None]))
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_in_the_browser(browser, lab, path, record_property):
    page = open_notebook(browser, lab, path.name)
    try:
        found = check(page)
        texts = [text for cell in page.evaluate("lab.cells()") for text in cell["texts"]]
    finally:
        page.close()
    assert verdicts(texts) == "✓" * len(exercises_of(path))
    assert len(found) > 1, "a notebook without a slider"
    median, yardstick = delays(found)
    record_property("delay_ms", round(median))
    print(
        f"{path.stem}: {len(found) - 1} sliders, picture after {median:.0f} ms; yardstick: {yardstick:.0f} ms"
    )
    assert not late(found)


def delays(found: list[tuple[str, list[float]]]) -> tuple[float, float]:
    """Median delay of the pictures of all sliders, and of the last one's, the yardstick's."""
    *sliders, (last, own) = found
    assert last == "yardstick"
    yardstick = statistics.median(own)
    return statistics.median([delay for _, some in sliders for delay in some] or [yardstick]), yardstick


def late(found: list[tuple[str, list[float]]]) -> bool:
    """Whether pictures come too late, on a machine as fast and as busy as the yardstick says."""
    median, yardstick = delays(found)
    return median > DELAYS * yardstick


# The check itself can fail


def test_late_pictures_are_told_from_a_busy_machine():
    assert late([("x", [300.0, 320.0]), ("yardstick", [40.0, 50.0])])
    assert not late([("x", [300.0, 320.0]), ("yardstick", [140.0, 150.0])])


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (WIDGET.format(body="return np.full((9, 9, 3), 7, np.uint8)", label="dead"), "does not move"),
        (
            WIDGET.format(body="return np.full((9, 9, 3), 7 // (9 - int(level)), np.uint8)", label="x"),
            "ZeroDivisionError",
        ),
        ("raise RuntimeError('no such luck')", "no such luck"),
    ],
    ids=["dead slider", "error under the slider", "error in a cell"],
)
def test_a_fault_is_found(browser, lab, cell, words):
    *_, root = lab
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(notebook, root / "notebooks/faulty.ipynb")
    page = open_notebook(browser, lab, "faulty.ipynb")
    try:
        with pytest.raises(AssertionError, match=words):
            check(page)
    finally:
        page.close()
