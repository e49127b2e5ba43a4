"""Databases that cannot be reached or written to: distinct errors, limited waits."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from checkout import TIMEOUT, Checkout, until
from conftest import Database, one_server
from psycopg.conninfo import make_conninfo

from runner import embedded
from runner.embedded import data_folder, launch, os_user, wheel
from runner.errors import DatabaseUnreachable
from runner.events import Event, Working
from runner.postgres.connection import _reason, connect
from runner.postgres.target import Target, parse
from runner.preflight.temporary_server import temporary_server

MARKER = "Sw0rdf1sh"


def target(url: str) -> Target:
    return Target(parse(url), "--database-url", embedded=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- connection errors -----------------------------------------------------


@dataclass(frozen=True)
class Strict:
    """A server with three connections, over a socket and TCP, and differently restricted roles."""

    host: str
    port: int

    def url(self, user: str = "postgres", **parts: str) -> str:
        known = {"host": self.host, "port": str(self.port), "user": user, "dbname": "postgres"}
        return make_conninfo("", **{**known, **parts})

    def over_tcp(self, user: str, **parts: str) -> str:
        return self.url(user, host="127.0.0.1", **parts)


@pytest.fixture(scope="module")
def strict() -> Iterator[Strict]:
    port = free_port()
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "max_connections": "3",
        "superuser_reserved_connections": "1",
        "autovacuum": "off",
    }
    with temporary_server(settings=settings) as server:
        strict = Strict(str(server.socket_dir), port)
        with psycopg.connect(strict.url(), autocommit=True) as conn:
            conn.execute(f"create role known login password '{MARKER}'")
            conn.execute("create role encrypted login; create role tight login connection limit 0")
            conn.execute("create database closed allow_connections false")
            hba = server.data_dir / "pg_hba.conf"
            lines = (
                "host all known all scram-sha-256",
                "hostssl all encrypted all trust",
                "host all tight all trust",
                "host all no_such_role all trust",
                "host all barred all reject",
            )
            hba.write_text(hba.read_text() + "\n".join(lines) + "\n")
            conn.execute("select pg_reload_conf()")
            conn.execute("create role barred login")
        yield strict


Url = Callable[[Strict], str]

# Errors that no waiting resolves: the URL, a part of the message, a part of the hint.
PERMANENT: dict[str, tuple[Url, str, str]] = {
    "wrong password": (
        lambda s: s.over_tcp("known", password=f"{MARKER}x"),
        "password authentication failed",
        "Check user and password.",
    ),
    "no password": (
        lambda s: s.over_tcp("known", password=""),
        "no password supplied",
        "The server wants a password",
    ),
    "unknown user": (
        lambda s: s.over_tcp("no_such_role"),
        'role "no_such_role" does not exist',
        "Check the user in the URL.",
    ),
    "missing database": (
        lambda s: s.over_tcp("known", password=MARKER, dbname="none"),
        'database "none" does not exist',
        "Check the name, or create the database first.",
    ),
    "closed database": (
        lambda s: s.over_tcp("known", password=MARKER, dbname="closed"),
        "not currently accepting connections",
        "allow_connections",
    ),
    "TLS requested but not offered": (
        lambda s: s.over_tcp("known", password=MARKER, sslmode="require"),
        "server does not support SSL, but SSL was required",
        "The server offers no TLS",
    ),
    "TLS required": (
        lambda s: s.over_tcp("encrypted"),
        "no encryption",
        "try sslmode=require",
    ),
    "rejected by pg_hba.conf": (
        lambda s: s.over_tcp("barred"),
        "pg_hba.conf rejects connection",
        "without TLS",
    ),
}
# Errors that are retried until --wait is exhausted.
TRANSIENT: dict[str, tuple[Url, str, str]] = {
    "not running": (
        lambda s: s.over_tcp("known", port=str(free_port())),
        "Connection refused",
        "Is the server running, and is the port right?",
    ),
    "no socket": (
        lambda s: s.url(port="1"),
        "No such file or directory",
        "Its socket does not exist",
    ),
    "unknown host": (
        lambda s: s.url(host="nowhere.invalid"),
        "nowhere.invalid",
        "Check the host in the URL.",
    ),
    "connection limit of the role": (
        lambda s: s.over_tcp("tight"),
        'too many connections for role "tight"',
        "The server has no free connection",
    ),
}


@pytest.mark.parametrize("case", [*PERMANENT, *TRANSIENT])
def test_each_connection_error_has_its_own_message_and_hint(
    case: str, strict: Strict, tmp_path: Path
) -> None:
    url, reason, advice = {**PERMANENT, **TRANSIENT}[case]
    checkout = Checkout(tmp_path)
    checkout.write(_0001_a="select 1;")
    # A permanent error that was retried would take a minute.
    words = ["--wait", "60"] if case in PERMANENT else ["--wait", "0.2"]
    result = checkout.runner("apply", "--json", *words, DATABASE_URL=url(strict))
    assert result.code == 1
    error = result.document["error"]
    assert error["code"] == "connection"
    assert error["message"].startswith("Cannot connect to postgresql://")
    assert reason in error["message"]
    assert advice in error["hint"]
    assert ("Waited 0.2 s for it." in error["hint"]) is (case in TRANSIENT)
    assert MARKER not in result.out + result.err


def test_a_server_without_free_connections_is_reported_and_waited_for(strict: Strict) -> None:
    """The limit is max_connections."""
    address = target(strict.over_tcp("known", password=MARKER))
    taken = [psycopg.connect(strict.url()) for _ in range(3)]
    reported: list[str] = []

    def report(event: Event) -> None:
        assert isinstance(event, Working)
        reported.append(event.text)
        taken.pop().close()

    try:
        with pytest.raises(DatabaseUnreachable) as caught:
            connect(address)
        assert "too many clients already" in caught.value.message
        assert "The server has no free connection" in caught.value.hint
        assert "To wait for it: --wait SECONDS." in caught.value.hint
        with closing(connect(address, wait=TIMEOUT, report=report)) as connection:
            assert connection.info.user == "known"
        assert "too many clients already" in reported[0] or "reserved" in reported[0]
    finally:
        for connection in taken:
            connection.close()


@one_server
def test_a_server_that_starts_later_is_waited_for(tmp_path: Path, empty_database: Database) -> None:
    """Its socket appears during the wait; it is a link to the real one, which works the same."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    checkout = Checkout(tmp_path, empty_database)
    checkout.write(_0001_a="select 1;")
    server = empty_database.server
    process = checkout.start_runner(
        "apply", "--wait", "60", "-d", empty_database.conninfo(host=str(folder))
    )
    assert process.stderr
    line = process.stderr.readline()
    assert line.startswith("waiting for postgresql://")
    assert "No such file or directory" in line
    name = f".s.PGSQL.{server.port}"
    (folder / name).symlink_to(Path(server.host) / name)
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, err
    assert "1 applied now" in out
    (folder / name).unlink()
    folder.rmdir()


@one_server
def test_a_connection_lost_during_a_run_is_reported_and_the_next_run_continues(
    tmp_path: Path, empty_database: Database
) -> None:
    checkout = Checkout(tmp_path, empty_database)
    checkout.write(
        _0001_a="create table a ();",
        _0002_b="create table b (); select pg_terminate_backend(pg_backend_pid());",
    )
    result = checkout.runner("apply", "--json")
    assert result.code == 1
    error = result.document["error"]
    assert error["code"] == "connection"
    assert error["message"].startswith("The connection was lost: ")
    assert "Run the same command again" in error["hint"]
    checkout.write(_0002_b="create table b ();")
    assert checkout.runner("apply").code == 0
    assert checkout.applied() == ["0001_a", "0002_b"]


# --- read-only databases ---------------------------------------------------


@contextmanager
def standby(**settings: str) -> Iterator[embedded.Server]:
    """A standby of a primary that does not exist."""
    user = os_user.server_user()
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        data = folder / "postgres"
        programs = wheel.programs(user, 18, lambda _: None)
        user.take_ownership(folder)
        data_folder.initialize(user, programs, data, 18, durable=False)
        signal_file = data / "standby.signal"
        signal_file.touch(mode=0o644)
        running = launch.launch(user, programs, data, None, settings)
        try:
            yield running
        finally:
            running.stop(signal.SIGQUIT)


def url_of(running: embedded.Server) -> str:
    return f"host={running.socket_dir} port={running.port} user=postgres dbname=postgres"


def promote(running: embedded.Server) -> None:
    (running.data_dir / "promote").touch(mode=0o644)
    os.kill(running.pid, signal.SIGUSR1)


def test_a_standby_is_refused_before_anything_runs_but_can_be_read(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.write(_0001_a="create table a ();", _0001_a__rollback="drop table a;")
    checkout.seed(a="select 1;")
    with standby() as running:
        checkout.environ["DATABASE_URL"] = url_of(running)
        for words in (["apply"], ["seed"], ["verify"]):
            result = checkout.runner(*words, "--json")
            assert result.code == 1, result
            error = result.document["error"]
            assert error["code"] == "connection"
            assert error["message"].endswith("is a standby, which only follows another server")
            assert "target_session_attrs=read-write" in error["hint"]
            assert error["state"] == "No changes were made."
        assert checkout.runner("status").code == 2
        result = checkout.yoyo("apply")
        assert result.code == 1
        assert "is a standby" in result.err
        promote(running)
        until(lambda: checkout.runner("apply").code == 0)


def test_a_server_that_is_starting_is_waited_for(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.write(_0001_a="create table a ();")
    with standby(hot_standby="off") as running:
        checkout.environ["DATABASE_URL"] = url_of(running)
        result = checkout.runner("apply")
        assert result.code == 1
        assert "not accepting connections" in result.err
        assert "The server is starting or stopping. To wait for it: --wait SECONDS." in result.err
        process = checkout.start_runner("apply", "--wait", "60")
        assert process.stderr
        assert "not accepting connections" in process.stderr.readline()
        promote(running)
        out, err = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0, err
        assert "1 applied now" in out


@one_server
def test_a_read_only_session_is_refused_before_anything_runs(
    tmp_path: Path, empty_database: Database
) -> None:
    checkout = Checkout(tmp_path, empty_database)
    checkout.write(_0001_a="create table a ();")
    name = empty_database.name
    checkout.do(f"alter database {name} set default_transaction_read_only = on")
    result = checkout.runner("apply")
    assert result.code == 1
    assert f"/{name}" in result.err
    assert "is read-only for this role: default_transaction_read_only is on" in result.err
    assert checkout.runner("status").code == 2
    assert checkout.value("select to_regnamespace('yoyo')") is None


# --- timeouts --------------------------------------------------------------


def test_retry_intervals_grow_and_the_wait_ends_on_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(round(seconds, 3))
        now[0] += seconds

    monkeypatch.setattr("runner.postgres.retry.signals.sleep", sleep)
    monkeypatch.setattr("runner.postgres.retry.time.monotonic", lambda: now[0])
    reported: list[Event] = []
    with pytest.raises(DatabaseUnreachable) as caught:
        connect(target(f"host={tmp_path}"), wait=10, report=reported.append)
    assert pauses[:4] == [0.1, 0.15, 0.225, 0.338]
    assert max(pauses) == 2
    assert sum(pauses) == pytest.approx(10, abs=0.01)
    assert len(reported) == len(pauses)
    assert "Waited 10 s for it." in caught.value.hint


def test_connect_timeout_does_not_exceed_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    def refuse(**parameters: Any) -> None:
        given.append(parameters["connect_timeout"])
        raise psycopg.OperationalError("connection timeout expired")

    monkeypatch.setattr("runner.postgres.connection.Interruptible.connect", refuse)
    for url, wait in (("host=h", 0.0), ("host=h", 0.01), ("host=h connect_timeout=3", 0.0)):
        with pytest.raises(DatabaseUnreachable, match="timeout expired"):
            connect(target(url), wait=wait)
    assert given[0] == "10"
    assert given[1] == "2"
    assert given[-1] == "3"


@pytest.mark.parametrize(
    ("text", "advice", "passes"),
    [
        ('root certificate file "/x/root.crt" does not exist', "sslrootcert", False),
        ("SSL error: certificate verify failed", "sslrootcert", False),
        ('no pg_hba.conf entry for host "h", user "u", SSL encryption', "pg_hba.conf", False),
        ("FATAL:  Tenant or user not found", "postgres.PROJECT", False),
        ("FATAL:  no such database: x", "Check the name", False),
        ("FATAL:  the database system is starting up", "starting", True),
        ("FATAL:  the database system is shutting down", "starting", True),
        ("FATAL:  the database system is in recovery mode", "starting", True),
        ("FATAL:  the database system is not yet accepting connections", "starting", True),
        ("FATAL:  remaining connection slots are reserved for roles", "close some", True),
        ("FATAL:  no more connections allowed (max_client_conn)", "close some", True),
        ("FATAL:  MaxClientsInSessionMode: max clients reached", "close some", True),
        ("server closed the connection unexpectedly", "PostgreSQL that listens there", True),
        ("connection failed: Network is unreachable", "network", True),
        ("something new", "", False),
    ],
)
def test_messages_of_other_servers_and_poolers_get_a_hint(
    text: str, advice: str, passes: bool
) -> None:
    reason = _reason(psycopg.OperationalError(text))
    assert advice in reason.advice
    assert reason.transient is passes


def test_a_transient_error_does_not_hide_a_permanent_one() -> None:
    """localhost has two addresses: one refuses the connection, the other rejects the password."""
    tried = (
        "Multiple connection attempts failed. All failures were:\n"
        "- host: 'h', port: '1', hostaddr: '::1': connection failed: Connection refused\n"
        "- host: 'h', port: '1', hostaddr: '127.0.0.1': connection failed: "
        'FATAL:  password authentication failed for user "u"\n'
    )
    for text in (tried, "\n".join(reversed(tried.splitlines()))):
        assert not _reason(psycopg.OperationalError(text)).transient
