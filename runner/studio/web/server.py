"""The studio's own small web server: on the loopback address, in a thread, until it is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from runner.errors import UsageError
from runner.studio.web.middleware import App

_BACKLOG = 512  # requests that may wait to be accepted: a page asks for few, a script for many
_GRACE = 2  # seconds for what is being answered when it stops


@contextmanager
def listening(port: int) -> Iterator[socket.socket]:
    """Listen on 127.0.0.1; 0 takes any free port. Raises UsageError for one that is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(_BACKLOG)
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"Nothing can listen on 127.0.0.1:{port}: "
                f"{getattr(error, 'strerror', None) or error}",
                hint="Take another port: --port N, or any free one: --port 0",
            ) from None
        yield listener
    finally:
        listener.close()


@contextmanager
def serving(app: App, listener: socket.socket) -> Iterator[threading.Thread]:
    """Serve in a thread of its own, so that signals come to whoever waits for it."""
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        lifespan="off",
        ws="none",
        http="h11",
        loop="asyncio",
        server_header=False,
        date_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_GRACE,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="studio", daemon=True
    )
    thread.start()
    try:
        yield thread
    finally:
        server.should_exit = True
        thread.join()
