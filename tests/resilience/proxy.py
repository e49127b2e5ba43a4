"""A proxy between one runner and the server that can pause the connection at a chosen point.

It reads PostgreSQL's message framing: every message has a type and a length. There is a point
before each message of the client, after the server's answer to it, and between any two statements
in it; to pause there, a statement is inserted that waits for an advisory lock, which the test
holds. Statements that only set up the session have no points.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from checkout import until

from runner.files import statements

PAUSE_LOCK = 0x70617573  # "paus": the key of the advisory lock
_WAIT_FOR_PAUSE_LOCK = f"select pg_catalog.pg_advisory_xact_lock_shared({PAUSE_LOCK}); "
# Statements that change only the session, and end with it.
_SESSION = re.compile(
    r"close all|reset |set |deallocate |unlisten |discard |do 'begin set client_connection", re.I
)
_CANCEL = 80877102  # a cancel request has this in place of a protocol version


class Proxy:
    """Serves one runner on a socket in `folder`; only its first session has points.

    The point to pause at, `stop_at`, is given by its number (from 1; 0: none) or by how its
    description begins; `reached` is set there. The connection continues after `resume` is set or,
    if it is `paused_in_sql`, once the test releases PAUSE_LOCK. `is_waiting` returns whether the
    backend with this pid waits for that lock. Without `inner` there are no points between the
    statements of a message.
    """

    def __init__(
        self,
        folder: Path,
        server: Path,
        *,
        stop_at: int | str = 0,
        inner: bool = True,
        is_waiting: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self.points: list[str] = []  # descriptions, in the order in which they were passed
        self.reached = threading.Event()
        self.resume = threading.Event()
        self.cancelled = threading.Event()
        self.stopped = False
        self.paused_in_sql = False
        self.pid = 0  # of the first session's backend
        self._stop_at = stop_at
        self.inner = inner
        self.is_waiting = is_waiting
        self._server = server
        self._sockets: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def pass_point(self, description: str) -> None:
        """Count a point, and pause there if it is the chosen one."""
        if self.count(description):
            self.reached.set()
            self.resume.wait()

    def count(self, description: str) -> bool:
        """Count a point; return whether it is the chosen one."""
        self.points.append(description)
        if self.stopped:
            return False
        at = self._stop_at
        self.stopped = description.startswith(at) if isinstance(at, str) else len(self.points) == at
        return self.stopped

    def close(self) -> None:
        """Close all connections, as the kernel does for a process that was killed."""
        self.resume.set()
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _serve(self) -> None:
        first = True
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                self._sockets += [client, server]
                forward = _Connection(self, client, server, counted=first).forward
                threading.Thread(target=forward, args=(self._server,), daemon=True).start()
                first = False


class _Connection:
    """One connection: a session or a cancel request."""

    def __init__(
        self, proxy: Proxy, client: socket.socket, server: socket.socket, *, counted: bool
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._counted = counted
        self._title = ""  # of the last request

    def forward(self, address: Path) -> None:
        with self._client, self._server, suppress(OSError, EOFError):
            self._server.connect(str(address))
            head = _read_exactly(self._client, 8)
            length, version = struct.unpack("!ii", head)
            self._server.sendall(head + _read_exactly(self._client, length - 8))
            if version == _CANCEL:
                self._server.recv(1)  # returns when the server has sent the signal and closes
                self._proxy.cancelled.set()
                return
            while self._forward_answer():
                self._forward_request()

    def _forward_request(self) -> None:
        """Forward a request to the server, with the points before and inside it."""
        kind, request = b"", b""
        while kind not in (b"Q", b"S", b"X"):  # Query, Sync, Terminate
            kind, message = _read_message(self._client)
            request += message
        self._title = ""
        if self._counted and kind != b"X":
            request = self._counted_request(kind, request)
        with suppress(OSError):  # the server is gone, but its last answer can still be read
            self._server.sendall(request)
        if self._proxy.paused_in_sql and not self._proxy.reached.is_set():
            until(lambda: self._proxy.is_waiting(self._proxy.pid))
            self._proxy.reached.set()

    def _counted_request(self, kind: bytes, request: bytes) -> bytes:
        proxy = self._proxy
        text = request[5:-1].decode() if kind == b"Q" else ""
        parts = list(statements.split(text))
        if parts and all(_SESSION.match(part.text) for part in parts):
            return request
        self._title = _title(text or request[6:].decode(errors="replace"))
        proxy.pass_point(f"before {self._title}")
        later = parts[1:] if proxy.inner else []
        inside = [part for part in later if not _SESSION.match(part.text)]
        reached = [part for part in inside if proxy.count(f"before {_title(part.text)}")]
        if not reached:
            return request
        proxy.paused_in_sql = True
        start = reached[0].start
        body = (text[:start] + _WAIT_FOR_PAUSE_LOCK + text[start:]).encode() + b"\0"
        return kind + struct.pack("!i", len(body) + 4) + body

    def _forward_answer(self) -> bool:
        """Forward an answer to the client, with the point before it; False: the server is gone."""
        answer, kind = b"", b""
        with suppress(EOFError, OSError):
            while kind != b"Z":  # ReadyForQuery
                kind, message = _read_message(self._server)
                answer += message
                if kind == b"K" and self._counted:  # BackendKeyData
                    (self._proxy.pid,) = struct.unpack("!i", message[5:9])
        if self._counted and self._title:
            self._proxy.pass_point(f"after {self._title}")
        self._client.sendall(answer)
        return kind == b"Z"


def _read_message(source: socket.socket) -> tuple[bytes, bytes]:
    """Read one message; return its type and all of its bytes."""
    head = _read_exactly(source, 5)
    (length,) = struct.unpack("!i", head[1:])
    return head[:1], head + _read_exactly(source, length - 4)


def _read_exactly(source: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = source.recv(min(count, 65536))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _title(text: str) -> str:
    words = [
        word for line in text.splitlines() if not line.startswith("--") for word in line.split()
    ]
    return " ".join(words)[:60].strip("\0")
