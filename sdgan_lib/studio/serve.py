"""The studio as a page that Python answers: ``python -m sdgan_lib studio``, made with Voilà.

Voilà runs ``served/studio.ipynb``, one kernel per visitor, and shows it in the page ``served/index.html.j2``. What is
added here: a gate that every request passes, with a fresh token each time, a limit of visitors, and an end without
remains.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import secrets
import shutil
import signal
import socket
import threading
import webbrowser
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from sdgan_lib.errors import UserError

try:
    import tornado.web
    from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
    from tornado.httpserver import HTTPServer
    from tornado.httputil import HTTPMessageDelegate, HTTPServerRequest
    from tornado.routing import Router
    from traitlets import Int
    from traitlets.config import Config
    from voila.app import Voila

    from sdgan_lib.studio.widget import open_studio
except ImportError as error:
    raise UserError(
        f"the studio is served by Voilà, which is not installed ({error}). Remedy: run make lab again, or "
        "pip install -e '.[notebooks]'"
    ) from error

SERVED = Path(__file__).parent / "served"
STATIC = Path(__file__).parent / "static"
HERE = "127.0.0.1"

IMPORTS = "--IPKernelApp.exec_lines=import sdgan_lib.studio.widget"
"""What a kernel runs as it starts."""

GONE = 30
"""Seconds after which the kernel of a visitor ends from whom nothing has been heard."""

EXTENSIONS = ["@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8", "anywidget"]
"""Of JupyterLab, those that the page needs."""

# The browser itself refuses whatever would come from elsewhere. Widgets come as modules in blobs.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' blob: data:; font-src 'self' data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def serve(checkpoint: Path, data: Path, port: int = 0, visitors: int = 4, open_browser: bool = True) -> None:
    """Serve the studio on this machine alone until Ctrl-C, and say at which address.

    Args:
        checkpoint: trained generator, see :func:`sdgan_lib.checkpoints.load_generator`.
        data: folder of the data set whose test split has the people.
        port: where it listens; 0 for a free one.
        visitors: how many may be there at a time, each with a kernel of some 400 MB; one more waits for the next.
        open_browser: whether to open the page.

    Raises:
        UserError: for a port that is taken, and what :func:`sdgan_lib.studio.widget.open_studio` raises: it is told
            before anybody comes.
    """
    if visitors < 1:
        raise UserError(f"--visitors {visitors}: a number of 1 or more is wanted")
    try:
        sock = socket.create_server((HERE, port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"--port {port}: {reason}. Remedy: choose another, or leave it out for a free one."
        ) from error
    with sock:
        sock.setblocking(False)
        open_studio(checkpoint, data)
        os.environ["SDGAN_STUDIO_CHECKPOINT"] = str(checkpoint.absolute())
        os.environ["SDGAN_STUDIO_DATA"] = str(data.absolute())
        os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # kernels are of this Python, whatever the user has
        for name, level in (("tornado.general", logging.CRITICAL), ("tornado.application", logging.ERROR)):
            logging.getLogger(name).setLevel(level)  # what is refused, or has gone, is told in the page
        app = Server(sock, config=settings(visitors), open_browser=open_browser)
        app.initialize([])
        app.start()


def settings(visitors: int) -> Config:
    """Voilà's, whatever else is configured on this machine."""
    return Config(
        {
            "Voila": {
                "config_file_paths": [],
                "token": "",  # the gate has one
                "log_level": logging.ERROR,
                "tornado_settings": {
                    "headers": {"Content-Security-Policy": POLICY},
                    "disable_check_xsrf": True,  # no other site's request has the gate's cookie
                    "ws_ping_timeout": 30_000,  # not longer than the interval, as the default is
                    "log_function": lambda handler: None,  # of requests
                },
            },
            "VoilaConfiguration": {
                "template": "base",
                "allow_template_override": "NO",
                "extension_allowlist": EXTENSIONS,
                "file_allowlist": [],
                "multi_kernel_manager_class": Kernels,
                "show_tracebacks": True,  # of which the page shows the last line
            },
            # A kernel that died would come back empty, and the page would not notice.
            "KernelManager": {"autorestart": False},
            "Kernels": {
                "limit": visitors,
                "cull_idle_timeout": GONE,
                "cull_interval": 5,
                "transport_encryption": "auto",  # between server and kernels
            },
        }
    )


class Server(Voila):
    """Voilà behind the gate.

    Args:
        sock: where it is to listen.
        options: Voilà's.
    """

    def __init__(self, sock: socket.socket, **options):
        address, port = sock.getsockname()
        super().__init__(notebook_path=str(SERVED / "studio.ipynb"), ip=address, port=port, **options)
        self.sock = sock

    def setup_template_dirs(self) -> None:
        super().setup_template_dirs()
        self.template_paths[:0] = [str(SERVED), str(STATIC)]

    def listen(self) -> None:
        asyncio.run(self.answer())

    async def answer(self) -> None:
        """Answer requests until SIGINT or SIGTERM, then end every kernel."""
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopped.set))
        gate = Gate(self.app, self.port)
        HTTPServer(gate).add_socket(self.sock)
        address = f"http://{self.ip}:{self.port}/?token={gate.token}"
        print(f"The pose studio is open at {address} (Ctrl-C ends it)", flush=True)
        if self.open_browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        await stopped.wait()
        await self.kernel_manager.shutdown_all()
        shutil.rmtree(self.connection_dir)
        print("The pose studio is closed.")


class Gate(Router):
    """What every request passes, for a page, a file, a kernel: with the token or the cookie that it brings, or not.

    Args:
        app: what lies behind it.
        port: of the server, whose cookie has its number, as browsers do not tell the ports of a machine apart.
    """

    def __init__(self, app: tornado.web.Application, port: int):
        self.app, self.token, self.cookie = app, secrets.token_urlsafe(24), f"sdgan-studio-{port}"

    def find_handler(self, request: HTTPServerRequest, **kwargs) -> HTTPMessageDelegate | None:
        """The handler of a request that may pass; else that of a page which says how to get in."""
        if self.cookie in request.cookies and self.knows(request.cookies[self.cookie].value.encode()):
            return self.app.find_handler(request, **kwargs)
        if request.method == "GET" and self.knows(request.query_arguments.get("token", [b""])[-1]):
            return self.app.get_handler_delegate(
                request, Entrance, {"cookie": self.cookie, "token": self.token}
            )
        return self.app.get_handler_delegate(request, Refusal)

    def knows(self, token: bytes) -> bool:
        return hmac.compare_digest(token, self.token.encode())


class Entrance(tornado.web.RequestHandler):
    """Gives a visitor who has the token a cookie instead, and the page without the token in its address."""

    def initialize(self, cookie: str, token: str) -> None:
        self.cookie, self.token = cookie, token

    def get(self) -> None:
        self.set_cookie(self.cookie, self.token, httponly=True, samesite="Lax")
        self.redirect("/")


class Refusal(tornado.web.RequestHandler):
    """Whatever is asked without the token."""

    def prepare(self) -> None:
        self.set_status(403)
        self.finish(self.settings["voila_jinja2_env"].get_template("403.html").render())


class Kernels(AsyncMappingKernelManager):
    """One kernel per visitor, as far as the limit; and a spare one, which has imported all, for the next."""

    limit = Int(4, config=True)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.visits: list[asyncio.Future[str]] = []
        self.spare: asyncio.Future[str] | None = None

    async def start_kernel(self, **kwargs) -> str:
        """The kernel for a visitor; raises an HTTPError where there is none."""
        if self.is_full():
            raise tornado.web.HTTPError(503, str(self.limit))
        visit, self.spare = self.spare if self.is_there(self.spare) else self.warm(), None
        self.visits.append(visit)
        kernel_id = await visit
        self.get_kernel(kernel_id).last_activity = datetime.now(
            UTC
        )  # it was idle as long as nobody wanted it
        return kernel_id

    async def cull_kernels(self) -> None:
        """Every few seconds: end the kernels of those who have gone, forget those that died, see to a spare one."""
        await super().cull_kernels()
        if not self.is_there(self.spare) and not self.is_full():
            self.spare = self.warm()

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        spare = self.spare.result() if self.is_there(self.spare) and self.spare.done() else None
        with suppress(KeyError, tornado.web.HTTPError):  # it is being ended by its visitor meanwhile
            if not await self.get_kernel(kernel_id).is_alive():
                await self.shutdown_kernel(kernel_id)
            elif kernel_id != spare:
                await super().cull_kernel_if_idle(kernel_id)

    async def shutdown_kernel(self, kernel_id: str, now: bool = True, restart: bool = False) -> None:
        """At once: a kernel that is asked to end tells its interruption where the studio was started."""
        await super().shutdown_kernel(kernel_id, now=True, restart=restart)

    async def shutdown_all(self, now: bool = True) -> None:
        starting = [visit for visit in (*self.visits, self.spare) if visit is not None]
        await asyncio.gather(*starting, return_exceptions=True)  # so that none stays behind
        await super().shutdown_all(now=True)

    def warm(self) -> asyncio.Future[str]:
        """The id of a kernel that is being started, which imports what takes long before it answers."""
        return asyncio.ensure_future(super().start_kernel(extra_arguments=[IMPORTS]))

    def is_there(self, visit: asyncio.Future[str] | None) -> bool:
        """Whether a kernel is being started, or has been and has not ended."""
        return visit is not None and (
            not visit.done() or (visit.exception() is None and visit.result() in self)
        )

    def is_full(self) -> bool:
        """Whether there are as many visitors as there may be."""
        self.visits = [*filter(self.is_there, self.visits)]
        return len(self.visits) >= self.limit
