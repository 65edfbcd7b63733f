"""The served studio: who gets in, how many, and the page in Chromium; one server for all of it.

Where there is no Chromium what needs it is skipped or fails as in ``test_browser.py``.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from urllib.error import HTTPError
from urllib.parse import urlsplit

import psutil
import pytest
from course import ROOT
from test_browser import browser  # noqa: F401
from test_studio_page import drag, pixels, rest

from sdgan_lib.cli import PEOPLE, SHIPPED
from sdgan_lib.cli import main as command

PATIENCE = 120  # seconds; a guard


def test_without_voila_it_is_named_with_the_remedy(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "voila.app", None)
    monkeypatch.delitem(sys.modules, "sdgan_lib.studio.serve", raising=False)
    assert command(["studio"]) == 1
    told = capsys.readouterr().err
    assert "Voilà, which is not installed" in told and "Remedy: run make lab again" in told


@pytest.mark.slow
def test_what_cannot_be_served_is_told_at_once(capsys, tmp_path):
    assert command(["studio", "--checkpoint", str(tmp_path / "none.safetensors")]) == 1
    assert "none.safetensors: no such checkpoint" in capsys.readouterr().err
    assert command(["studio", "--visitors", "0"]) == 1
    assert "--visitors 0: a number of 1 or more" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert command(["studio", "--port", str(port)]) == 1
    assert f"--port {port}: Address already in use" in capsys.readouterr().err


class Studio:
    """A server for one visitor at a time, its address and the token."""

    def __init__(self, folder):
        folder = folder / """it's "here" & there"""
        folder.mkdir()
        (folder / "generator's.safetensors").symlink_to(ROOT / SHIPPED)
        (folder / "people $1").symlink_to(ROOT / PEOPLE)
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "sdgan_lib", "studio", "--no-open-browser", "--visitors", "1"),
                *("--checkpoint", "generator's.safetensors", "--data", "people $1"),
            ],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.told = self.process.stdout.readline()
        self.address = re.search(r"http://\S+", self.told)[0]
        self.root, self.token = self.address.split("?token=")
        self.cookie = f"sdgan-studio-{urlsplit(self.root).port}"

    def ask(self, path, token=None, **headers):
        """Status, headers and text of an answer; with a token, as one who has come in."""
        if token is not None:
            headers["Cookie"] = f"{self.cookie}={token}"
        request = urllib.request.Request(self.root + path, headers=headers)
        try:
            with urllib.request.build_opener(Stay).open(request, timeout=PATIENCE) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except HTTPError as answer:
            return answer.code, answer.headers, answer.read().decode()

    def kernels(self):
        return [
            child
            for child in psutil.Process(self.process.pid).children()
            if child.status() != psutil.STATUS_ZOMBIE
        ]


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    studio = Studio(tmp_path_factory.mktemp("served"))
    yield studio
    studio.process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("token", [None, "", "wrong"])
def test_who_has_no_token_is_refused_in_plain_words(studio, token):
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "a" * 24,
    }
    kernel = "00000000-0000-0000-0000-000000000000"
    for path in (
        "",
        "?token=wrong",
        "?token=%ff",
        "voila/static/voila.js",
        "nowhere",
        f"api/kernels/{kernel}",
    ):
        status, headers, text = studio.ask(path, token)
        assert status == 403 and "Use the whole address" in text and "Set-Cookie" not in headers, path
    assert studio.ask(f"api/kernels/{kernel}/channels", token, **upgrade)[0] == 403
    assert not studio.kernels()


@pytest.mark.slow
def test_the_token_becomes_a_cookie_that_opens_the_rest(studio):
    status, headers, _ = studio.ask(f"?token={studio.token}")
    assert status == 302 and headers["Location"] == "/", "the token does not stay in the address"
    assert f"{studio.cookie}={studio.token}" in headers["Set-Cookie"]
    assert "HttpOnly" in headers["Set-Cookie"] and "SameSite=Lax" in headers["Set-Cookie"]
    assert studio.ask("voila/static/voila.js", studio.token)[0] == 200
    status, _, text = studio.ask("voila/files/studio.ipynb", studio.token)
    assert status == 403 and "open_studio" not in text


@pytest.mark.slow
def test_only_this_machine_is_answered(studio):
    listening = [
        connection.laddr
        for connection in psutil.Process(studio.process.pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert [address.ip for address in listening] == ["127.0.0.1"]
    assert len(studio.token) >= 32 and studio.told.count("\n") == 1


@pytest.fixture(scope="module")
def visit(browser, studio):  # noqa: F811
    """The page of the one visitor."""
    page = browser.new_page(viewport={"width": 1000, "height": 1100})
    page.faults, page.asked = [], []
    page.on("console", lambda line: line.type == "error" and page.faults.append(line.text))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("request", lambda request: page.asked.append(urlsplit(request.url)))
    page.goto(studio.address, wait_until="commit")
    page.wait_for_selector("#start", state="detached", timeout=PATIENCE * 1000)
    rest(page)
    yield page
    page.close()


@pytest.mark.slow
def test_a_dragged_joint_moves_the_picture_and_the_sliders(visit):
    assert "token" not in visit.url
    before = pixels(visit)
    drag(visit, "Rwri", -20, -90)
    assert (pixels(visit) != before).any()
    place = visit.evaluate("""() => {
      const { e, f } = document.querySelector('[data-joint="Rwri"]').transform.baseVal[0].matrix;
      return [e, f];
    }""")
    readouts = visit.locator(".widget-readout")
    assert [float(text) for text in readouts.all_inner_texts()[:2]] == pytest.approx(place, abs=0.06)
    visit.locator('[data-tool="undo"]').click()
    rest(visit)
    assert (pixels(visit) == before).all()
    assert {address.hostname for address in visit.asked} <= {"127.0.0.1", None}
    assert not visit.faults


@pytest.mark.slow
def test_one_more_than_the_limit_is_told_so_and_gets_no_kernel(studio, visit):
    status, _, text = studio.ask("", studio.token)
    assert status == 503 and "One person is" in text and "full" in text
    assert len(studio.kernels()) == 1


@pytest.mark.slow
def test_a_kernel_that_died_is_told_with_the_remedy(studio, visit):
    (kernel,) = studio.kernels()
    kernel.kill()
    visit.locator("#gone", has_text="The Python behind this page has ended").wait_for(timeout=PATIENCE * 1000)
    visit.get_by_role("button", name="Open it anew").click()
    visit.wait_for_selector("#start", state="detached", timeout=PATIENCE * 1000)
    rest(visit)
    assert visit.locator("#gone").is_hidden() and studio.kernels() != [kernel]


@pytest.mark.slow
def test_who_leaves_frees_the_kernel(studio, visit):
    (kernel,) = studio.kernels()
    visit.goto(f"{studio.root}voila/static/voila.js")
    kernel.wait(PATIENCE)
    visit.wait_for_timeout(100)  # in which the browser tells what it asked for
    assert any(address.path.startswith("/voila/api/shutdown/") for address in visit.asked), (
        "only noticed later"
    )


@pytest.mark.slow
def test_an_interrupt_ends_it_in_one_line_even_while_somebody_comes(studio):
    visitor = socket.create_connection(("127.0.0.1", urlsplit(studio.root).port))
    visitor.sendall(
        f"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {studio.cookie}={studio.token}\r\n\r\n".encode()
    )
    deadline = time.monotonic() + PATIENCE
    while not (kernels := studio.kernels()):
        assert time.monotonic() < deadline, "no kernel starts"
        time.sleep(0.1)
    studio.process.send_signal(signal.SIGINT)
    out, err = studio.process.communicate(timeout=PATIENCE)
    assert (out, err, studio.process.returncode) == ("The pose studio is closed.\n", "", 0)
    assert not any(kernel.is_running() for kernel in kernels)
    visitor.close()
