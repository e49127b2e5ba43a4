"""Stands between one runner and the server, counts what passes, and stops it at one point.

It reads PostgreSQL's framing: every message has a type and a length. A point lies before each
message of the client, after the server's answer to it, and between any two statements of it; there
a statement is slipped in that waits for an advisory lock, which the test holds. Statements that
only set up the session have none.
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

GATE = 0x67617465  # "gate": the key of the advisory lock
_WAIT_AT_THE_GATE = f"select pg_catalog.pg_advisory_xact_lock_shared({GATE}); "
# Statements about the session alone, which ends with it.
_SESSION = re.compile(
    r"close all|reset |set |deallocate |unlisten |discard |do 'begin set client_connection", re.I
)
_CANCEL = 80877102  # what a request to cancel has in place of a protocol version


class Proxy:
    """Serves one runner, at a socket in `folder`; the points are those of its first session.

    `reached` is set when it stands at the point `stop_at`, given by number or by how it begins. It
    goes on after `resume`, or, where it is `at_the_gate`, when that opens; `waits_there` tells of a
    backend whether it does. Without `inner` there are only the points around messages.
    """

    def __init__(
        self,
        folder: Path,
        server: Path,
        *,
        stop_at: int | str = 0,
        inner: bool = True,
        waits_there: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self.points: list[str] = []  # what each was, in the order in which they were passed
        self.reached = threading.Event()
        self.resume = threading.Event()
        self.cancelled = threading.Event()
        self.stopped = False
        self.at_the_gate = False
        self.pid = 0  # of the first session's backend
        self._stop_at = stop_at
        self.inner = inner
        self.waits_there = waits_there
        self._server = server
        self._sockets: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def point(self, what: str) -> None:
        """Count a point, and stay there if it is the one."""
        if self.count(what):
            self.reached.set()
            self.resume.wait()

    def count(self, what: str) -> bool:
        """Count a point; is it the one?"""
        self.points.append(what)
        if self.stopped:
            return False
        at = self._stop_at
        self.stopped = what.startswith(at) if isinstance(at, str) else len(self.points) == at
        return self.stopped

    def hang_up(self) -> None:
        """Close everything: for a process that was killed, the kernel does so."""
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
                speak = _Speech(self, client, server, counted=first).carry
                threading.Thread(target=speak, args=(self._server,), daemon=True).start()
                first = False


class _Speech:
    """One connection: a session, or a request to cancel."""

    def __init__(
        self, proxy: Proxy, client: socket.socket, server: socket.socket, *, counted: bool
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._counted = counted
        self._title = ""  # of the request that was sent last

    def carry(self, address: Path) -> None:
        with self._client, self._server, suppress(OSError, EOFError):
            self._server.connect(str(address))
            head = _exactly(self._client, 8)
            length, version = struct.unpack("!ii", head)
            self._server.sendall(head + _exactly(self._client, length - 8))
            if version == _CANCEL:
                self._server.recv(1)  # nothing: it closes when the signal is on its way
                self._proxy.cancelled.set()
                return
            while self._answer():
                self._request()

    def _request(self) -> None:
        """Carry a request to the server, with the points before and inside it."""
        kind, request = b"", b""
        while kind not in (b"Q", b"S", b"X"):  # Query, Sync, Terminate
            kind, message = _message(self._client)
            request += message
        self._title = ""
        if self._counted and kind != b"X":
            request = self._counted_request(kind, request)
        with suppress(OSError):  # it is gone; what it said before that is still to be read
            self._server.sendall(request)
        if self._proxy.at_the_gate and not self._proxy.reached.is_set():
            until(lambda: self._proxy.waits_there(self._proxy.pid))
            self._proxy.reached.set()

    def _counted_request(self, kind: bytes, request: bytes) -> bytes:
        proxy = self._proxy
        text = request[5:-1].decode() if kind == b"Q" else ""
        parts = statements.split(text)
        if parts and all(_SESSION.match(part.text) for part in parts):
            return request
        self._title = _title(text or request[6:].decode(errors="replace"))
        proxy.point(f"before {self._title}")
        later = parts[1:] if proxy.inner else []
        inside = [part for part in later if not _SESSION.match(part.text)]
        reached = [part for part in inside if proxy.count(f"before {_title(part.text)}")]
        if not reached:
            return request
        proxy.at_the_gate = True
        start = reached[0].start
        body = (text[:start] + _WAIT_AT_THE_GATE + text[start:]).encode() + b"\0"
        return kind + struct.pack("!i", len(body) + 4) + body

    def _answer(self) -> bool:
        """Carry an answer to the client, with the point before it; False: the server is gone."""
        answer, kind = b"", b""
        with suppress(EOFError, OSError):
            while kind != b"Z":  # ReadyForQuery
                kind, message = _message(self._server)
                answer += message
                if kind == b"K" and self._counted:  # BackendKeyData
                    (self._proxy.pid,) = struct.unpack("!i", message[5:9])
        if self._counted and self._title:
            self._proxy.point(f"after {self._title}")
        self._client.sendall(answer)
        return kind == b"Z"


def _message(source: socket.socket) -> tuple[bytes, bytes]:
    """Read one message: its type, and all of it."""
    head = _exactly(source, 5)
    (length,) = struct.unpack("!i", head[1:])
    return head[:1], head + _exactly(source, length - 4)


def _exactly(source: socket.socket, count: int) -> bytes:
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
