"""A database that cannot be reached or written: each case told apart, each wait with an end."""

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
from checkout import PATIENCE, Checkout, until
from conftest import Database
from psycopg.conninfo import make_conninfo

from runner.errors import DatabaseUnreachable
from runner.events import Event, Working
from runner.postgres import embedded
from runner.postgres.connection import _reason, connect
from runner.postgres.embedded import data_folder, launch, os_user, postmaster, wheel
from runner.postgres.target import Target, parse

one_server = pytest.mark.parametrize("server", ["pg18"], indirect=True)
MARKER = "Sw0rdf1sh"


def target(url: str) -> Target:
    return Target(parse(url), "--database-url", embedded=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- a server with a name for every refusal -----------------------------------------------------


@dataclass(frozen=True)
class Strict:
    """A server with three connections, on a socket and on TCP, and roles it treats differently."""

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
    with embedded.scratch(settings=settings) as server:
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
                "host all nobody_there all trust",
                "host all barred all reject",
            )
            hba.write_text(hba.read_text() + "\n".join(lines) + "\n")
            conn.execute("select pg_reload_conf()")
            conn.execute("create role barred login")
        yield strict


Url = Callable[[Strict], str]

# What is told of each: the case, its address, a piece of the reason, a piece of the advice
FINAL: dict[str, tuple[Url, str, str]] = {
    "wrong password": (
        lambda s: s.over_tcp("known", password=f"{MARKER}x"),
        "password authentication failed",
        "Check user and password.",
    ),
    "no password": (
        lambda s: s.over_tcp("known", password=""),
        "no password supplied",
        "The server asks for a password",
    ),
    "unknown user": (
        lambda s: s.over_tcp("nobody_there"),
        'role "nobody_there" does not exist',
        "Check the user in the URL.",
    ),
    "missing database": (
        lambda s: s.over_tcp("known", password=MARKER, dbname="none"),
        'database "none" does not exist',
        "Check the name, or create it first.",
    ),
    "closed database": (
        lambda s: s.over_tcp("known", password=MARKER, dbname="closed"),
        "not currently accepting connections",
        "allow_connections",
    ),
    "TLS asked for, none there": (
        lambda s: s.over_tcp("known", password=MARKER, sslmode="require"),
        "server does not support SSL, but SSL was required",
        "The server offers no TLS",
    ),
    "TLS required": (
        lambda s: s.over_tcp("encrypted"),
        "no encryption",
        "try sslmode=require",
    ),
    "shut out": (
        lambda s: s.over_tcp("barred"),
        "pg_hba.conf rejects connection",
        "without TLS",
    ),
}
PASSING: dict[str, tuple[Url, str, str]] = {
    "not running": (
        lambda s: s.over_tcp("known", port=str(free_port())),
        "Connection refused",
        "Is the server running, and is the port right?",
    ),
    "no socket": (
        lambda s: s.url(port="1"),
        "No such file or directory",
        "Its socket is not there",
    ),
    "unknown host": (
        lambda s: s.url(host="nowhere.invalid"),
        "nowhere.invalid",
        "Check the host in the URL.",
    ),
    "full for this role": (
        lambda s: s.over_tcp("tight"),
        'too many connections for role "tight"',
        "The server has no connection free",
    ),
}


@pytest.mark.parametrize("case", [*FINAL, *PASSING])
def test_each_refusal_has_its_own_words_and_exits_with_one(
    case: str, strict: Strict, tmp_path: Path
) -> None:
    url, reason, advice = {**FINAL, **PASSING}[case]
    checkout = Checkout(tmp_path)
    checkout.write(_0001_a="select 1;")
    # Waiting would take a minute: only what may pass is waited for.
    words = ["--wait", "60"] if case in FINAL else ["--wait", "0.2"]
    said = checkout.runner("apply", "--json", *words, DATABASE_URL=url(strict))
    assert said.code == 1
    error = said.document["error"]
    assert error["code"] == "connection"
    assert error["message"].startswith("Cannot connect to postgresql://")
    assert reason in error["message"]
    assert advice in error["hint"]
    assert ("Waited 0.2 s for it." in error["hint"]) is (case in PASSING)
    assert MARKER not in said.out + said.err


def test_a_full_server_is_told_and_waited_for(strict: Strict) -> None:
    """max_connections, as PostgreSQL itself counts."""
    place = target(strict.over_tcp("known", password=MARKER))
    taken = [psycopg.connect(strict.url()) for _ in range(3)]
    told: list[str] = []

    def report(event: Event) -> None:
        assert isinstance(event, Working)
        told.append(event.text)
        taken.pop().close()

    try:
        with pytest.raises(DatabaseUnreachable) as caught:
            connect(place)
        assert "too many clients already" in caught.value.message
        assert "The server has no connection free" in caught.value.hint
        assert "To wait for it: --wait SECONDS." in caught.value.hint
        with closing(connect(place, wait=PATIENCE, report=report)) as connection:
            assert connection.info.user == "known"
        assert "too many clients already" in told[0] or "reserved" in told[0]
    finally:
        for connection in taken:
            connection.close()


@one_server
def test_a_server_that_comes_up_later_is_waited_for(
    tmp_path: Path, empty_database: Database
) -> None:
    """Its socket appears while we wait: a link to the real one, which a client cannot tell."""
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
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert "1 applied now" in out
    (folder / name).unlink()
    folder.rmdir()


@one_server
def test_a_connection_lost_in_the_middle_is_told_and_the_next_run_goes_on(
    tmp_path: Path, empty_database: Database
) -> None:
    checkout = Checkout(tmp_path, empty_database)
    checkout.write(
        _0001_a="create table a ();",
        _0002_b="create table b (); select pg_terminate_backend(pg_backend_pid());",
    )
    said = checkout.runner("apply", "--json")
    assert said.code == 1
    error = said.document["error"]
    assert error["code"] == "connection"
    assert error["message"].startswith("The connection was lost: ")
    assert "Run the same command again" in error["hint"]
    checkout.write(_0002_b="create table b ();")
    assert checkout.runner("apply").code == 0
    assert checkout.applied() == ["0001_a", "0002_b"]


# --- what cannot be written ---------------------------------------------------------------------


@contextmanager
def standby(**settings: str) -> Iterator[postmaster.Postmaster]:
    """A server that believes it follows another, which never sends anything."""
    user = os_user.server_user()
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        data = folder / "postgres"
        programs = wheel.programs(user, 18, lambda _: None)
        user.give(folder)
        data_folder.make(user, programs, data, 18, durable=False)
        signal_file = data / "standby.signal"
        signal_file.touch(mode=0o644)
        running = launch.launch(user, programs, data, port=5432, tcp=False, settings=settings)
        try:
            yield running
        finally:
            running.end(signal.SIGQUIT)


def url_of(running: postmaster.Postmaster) -> str:
    return f"host={running.socket_dir} port={running.port} user=postgres dbname=postgres"


def promote(running: postmaster.Postmaster) -> None:
    (running.data_dir / "promote").touch(mode=0o644)
    os.kill(running.pid, signal.SIGUSR1)


def test_a_standby_is_noticed_before_anything_runs_and_may_be_looked_at(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.write(_0001_a="create table a ();", _0001_a__rollback="drop table a;")
    checkout.seed(a="select 1;")
    with standby() as running:
        checkout.environ["DATABASE_URL"] = url_of(running)
        for words in (["apply"], ["seed"], ["verify"]):
            said = checkout.runner(*words, "--json")
            assert said.code == 1, said
            error = said.document["error"]
            assert error["code"] == "connection"
            assert error["message"].endswith("is a standby, which only follows another server")
            assert "target_session_attrs=read-write" in error["hint"]
            assert "Nothing was done." in error["hint"]
        assert checkout.runner("status").code == 2
        said = checkout.yoyo("apply")
        assert said.code == 1
        assert "is a standby" in said.err
        promote(running)
        until(lambda: checkout.runner("apply").code == 0)


def test_a_server_that_takes_no_connections_yet_is_waited_for(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.write(_0001_a="create table a ();")
    with standby(hot_standby="off") as running:
        checkout.environ["DATABASE_URL"] = url_of(running)
        said = checkout.runner("apply")
        assert said.code == 1
        assert "not accepting connections" in said.err
        assert "The server is starting or stopping. To wait for it: --wait SECONDS." in said.err
        process = checkout.start_runner("apply", "--wait", "60")
        assert process.stderr
        assert "not accepting connections" in process.stderr.readline()
        promote(running)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
        assert "1 applied now" in out


@one_server
def test_a_session_that_may_only_read_is_noticed_before_anything_runs(
    tmp_path: Path, empty_database: Database
) -> None:
    checkout = Checkout(tmp_path, empty_database)
    checkout.write(_0001_a="create table a ();")
    name = empty_database.name
    checkout.do(f"alter database {name} set default_transaction_read_only = on")
    said = checkout.runner("apply")
    assert said.code == 1
    assert f"/{name}" in said.err
    assert "is read-only for this role: default_transaction_read_only is on" in said.err
    assert checkout.runner("status").code == 2
    assert checkout.value("select to_regnamespace('yoyo')") is None


# --- patience -----------------------------------------------------------------------------------


def test_waiting_knocks_again_with_growing_pauses_and_ends_on_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(round(seconds, 3))
        now[0] += seconds

    monkeypatch.setattr("runner.postgres.connection.time.sleep", sleep)
    monkeypatch.setattr("runner.postgres.connection.time.monotonic", lambda: now[0])
    told: list[Event] = []
    with pytest.raises(DatabaseUnreachable) as caught:
        connect(target(f"host={tmp_path}"), wait=10, report=told.append)
    assert pauses[:4] == [0.1, 0.15, 0.225, 0.338]
    assert max(pauses) == 2
    assert sum(pauses) == pytest.approx(10, abs=0.01)
    assert len(told) == len(pauses)
    assert "Waited 10 s for it." in caught.value.hint


def test_a_silent_host_does_not_outlast_the_patience(monkeypatch: pytest.MonkeyPatch) -> None:
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
        ("server closed the connection unexpectedly", "listen on that port", True),
        ("connection failed: Network is unreachable", "network", True),
        ("something new", "", False),
    ],
)
def test_what_no_server_here_says_has_its_advice_too(text: str, advice: str, passes: bool) -> None:
    reason = _reason(psycopg.OperationalError(text))
    assert advice in reason.advice
    assert reason.passes is passes


def test_what_may_pass_does_not_hide_what_will_not() -> None:
    """localhost has two addresses: one refuses, the other asks for another password."""
    tried = (
        "Multiple connection attempts failed. All failures were:\n"
        "- host: 'h', port: '1', hostaddr: '::1': connection failed: Connection refused\n"
        "- host: 'h', port: '1', hostaddr: '127.0.0.1': connection failed: "
        'FATAL:  password authentication failed for user "u"\n'
    )
    for text in (tried, "\n".join(reversed(tried.splitlines()))):
        assert not _reason(psycopg.OperationalError(text)).passes
