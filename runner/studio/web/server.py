"""The studio's web server: uvicorn on the loopback address, in a thread, until it is stopped."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from runner.errors import UsageError
from runner.studio.web.middleware import App

_BACKLOG = 512  # connections waiting to be accepted: a browser opens few, a script may open many
_SHUTDOWN_TIMEOUT = 2  # seconds to finish responses when the server stops


@contextmanager
def listening(port: int) -> Iterator[socket.socket]:
    """Listen on a port of 127.0.0.1, or on any free one if it is 0.

    Raises UsageError if the port is in use or not a valid one.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(_BACKLOG)
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"Cannot listen on 127.0.0.1:{port}: {getattr(error, 'strerror', None) or error}",
                hint="Choose another port: --port N, or any free one: --port 0",
            ) from None
        yield listener
    finally:
        listener.close()


@contextmanager
def serving(app: App, listener: socket.socket) -> Iterator[threading.Thread]:
    """Serve in a separate thread, which is yielded; the main thread receives the signals."""
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
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
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
