"""From a pointer's move to the new picture, in each of the pose studio's three hosts, in headless Chromium."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from math import cos, pi, sin
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.error import URLError

from benchmarks.measure import Result, Settings, result
from sdgan_lib.checkpoints import SHIPPED
from sdgan_lib.errors import UserError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MOVES = 30
PATIENCE = 180  # seconds; a guard, for a server to answer or a studio to open

CHROMIUM = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
"""How Chromium is started."""

TOKEN = "course"
"""Of the JupyterLab that :func:`jupyterlab` starts."""

# Milliseconds from the next pointer move to the next picture that has been decoded, promised in `delay`.
WATCH = """(patience) => {
  const image = () => document.querySelector(".pose-studio img.picture");
  const before = image().src;
  window.delay = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error("no picture after a move")), patience);
    document.addEventListener("pointermove", () => {
      const moved = performance.now();
      const look = () => {
        if (image().src !== before && image().complete && image().naturalWidth) resolve(performance.now() - moved);
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    }, { capture: true, once: true });
  });
}"""

STUDIO = """
from sdgan_lib.studio.widget import open_studio

open_studio(data={data!r}).with_sliders()
"""


def bench_studio(settings: Settings) -> list[Result]:
    """A wrist dragged in a circle, one move after the other; a host whose parts are missing is named and left out."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        print("studio: not measured, as playwright is not installed (pip install -e '.[test]')")
        return []
    if (chromium := find_chromium()) is None:
        print("studio: not measured, as there is no Chromium (Debian and Ubuntu: apt install chromium)")
        return []
    results = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*CHROMIUM])
        for host, (opened, target) in HOSTS.items():
            try:
                with TemporaryDirectory() as folder, opened(browser, Path(folder), settings) as page:
                    found = delays(page)
            except (UserError, ImportError, Error) as error:
                print(f"studio: {host} not measured: {error}")
                continue
            results.append(result("studio", host, "pointer to picture", found, "ms", at_most=target))
        browser.close()
    return results


def find_chromium() -> str | None:
    """The program that is driven: SDGAN_CHROMIUM, or what is installed."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return os.environ.get("SDGAN_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def delays(page: Page, moves: int = MOVES) -> list[float]:
    """Milliseconds from each move of a dragged wrist to the next picture, which the next move waits for."""
    dot = page.locator('[data-joint="Rwri"] .dot')
    dot.scroll_into_view_if_needed()
    box = dot.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    found = []
    for move in range(1, moves + 1):
        turn = 2 * pi * move / moves
        page.evaluate(WATCH, 1000 * PATIENCE)
        page.mouse.move(x + 40 * sin(turn), y + 40 * (cos(turn) - 1))
        found.append(page.evaluate("delay"))
        page.wait_for_timeout(30)
    page.mouse.up()
    return found


@contextmanager
def jupyterlab(root: Path) -> Iterator[str]:
    """The address of a JupyterLab on a folder, with settings of its own and the token :data:`TOKEN`."""
    settings = root / "settings/@jupyterlab"
    for plugin, text in {
        "apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}',
        "docmanager-extension/plugin": '{"autosave": false}',
        "notebook-extension/tracker": '{"windowingMode": "none"}',
    }.items():
        file = settings / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "jupyter-data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    environment = {**os.environ, **{key: str(root / name) for key, name in folders.items()}}
    environment |= {"JUPYTER_TOKEN": TOKEN, "JUPYTER_PREFER_ENV_PATH": "1"}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}"]
    command += ["--LabApp.expose_app_in_browser=True"]
    log = root / "lab.log"
    with log.open("w") as out:
        server = subprocess.Popen(command, cwd=root, env=environment, stdout=out, stderr=out)
    address = f"http://127.0.0.1:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + PATIENCE
    try:
        while True:
            if server.poll() is not None or time.monotonic() > end:
                raise UserError(f"JupyterLab does not answer: {log.read_text()[-2000:]}")
            try:
                opener.open(f"{address}/api/status?token={TOKEN}", timeout=2).close()
                break
            except (URLError, OSError):
                time.sleep(0.2)
        yield address
    finally:
        end_process(server)


def end_process(process: subprocess.Popen) -> None:
    """Ask a process to end, and end it if it does not."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()


@contextmanager
def shown(browser: Browser, address: str) -> Iterator[Page]:
    """A page at an address."""
    page = browser.new_page(viewport={"width": 1280, "height": 1100})
    page.set_default_timeout(1000 * PATIENCE)
    try:
        page.goto(address, wait_until="commit")
        yield page
    finally:
        page.close()


@contextmanager
def in_jupyterlab(browser: Browser, folder: Path, settings: Settings) -> Iterator[Page]:
    """The studio in a notebook's output."""
    import nbformat

    cell = nbformat.v4.new_code_cell(STUDIO.format(data=str(settings.data.absolute())))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(
        nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel}), folder / "studio.ipynb"
    )
    with (
        jupyterlab(folder) as address,
        shown(browser, f"{address}/lab/tree/studio.ipynb?token={TOKEN}&reset") as page,
    ):
        page.wait_for_function(
            "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
        )
        page.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait_for_selector(".pose-studio img.picture")
        yield page


@contextmanager
def served(browser: Browser, folder: Path, settings: Settings) -> Iterator[Page]:
    """The studio as ``python -m sdgan_lib studio`` serves it."""
    command = [sys.executable, "-m", "sdgan_lib", "studio", "--no-open-browser", "--data", str(settings.data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            found = re.search(r"http://\S+", process.stdout.readline())
            if found is None:
                raise UserError(process.stderr.read().strip())
            with shown(browser, found[0]) as page:
                page.wait_for_selector("#start", state="detached")
                yield page
        finally:
            end_process(process)


@contextmanager
def one_file(browser: Browser, folder: Path, settings: Settings) -> Iterator[Page]:
    """The studio as one HTML file, opened from the disk."""
    from sdgan_lib.studio.page import build_page

    build_page(SHIPPED, folder / "index.html", settings.data)
    with shown(browser, (folder / "index.html").as_uri()) as page:
        page.wait_for_selector("#start", state="detached")
        yield page


HOSTS: dict[str, tuple[Callable[[Browser, Path, Settings], AbstractContextManager[Page]], int]] = {
    "JupyterLab": (in_jupyterlab, 150),
    "served": (served, 150),
    "one HTML file": (one_file, 250),
}
"""Name of a host -> how its studio is opened, and the milliseconds that a picture may take."""
