"""Connecting: each kind of failure has its own message, and none contains the password."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from checkout import Checkout
from conftest import Server, one_server
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from runner.errors import DatabaseUnreachable
from runner.postgres import signals
from runner.postgres.connection import connect
from runner.postgres.target import Target, parse

MARKER = "Sw0rdf1sh"


def refused(parameters: dict[str, Any]) -> DatabaseUnreachable:
    """Connect, check what every connection error must contain, and return the error."""
    with pytest.raises(DatabaseUnreachable) as caught:
        connect(Target(parameters, "DATABASE_URL in .env", embedded=False))
    error = caught.value
    assert MARKER not in error.message + error.hint
    assert "The address came from DATABASE_URL in .env." in error.hint
    assert error.state == "No changes were made."
    assert "\n" not in error.message
    return error


def test_stopped_server_is_reported(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        port = str(taken.getsockname()[1])
        error = refused({"host": "127.0.0.1", "port": port, "user": "u", "password": MARKER})
    assert f"Cannot connect to postgresql://u:***@127.0.0.1:{port}/: Connection refused" in (
        error.message
    )
    assert "Is the server running" in error.hint
    error = refused({"host": str(tmp_path), "user": "u"})
    assert "No such file or directory" in error.message
    assert "Its socket does not exist" in error.hint


def test_unknown_host_is_reported() -> None:
    error = refused({"host": "nowhere.invalid", "user": "u", "password": MARKER})
    assert "nowhere.invalid" in error.message
    assert "Check the host in the URL." in error.hint


@pytest.mark.parametrize(
    ("key", "value"), [("port", "many"), ("sslmode", "x"), ("connect_timeout", "soon")]
)
def test_invalid_parameter_is_reported(key: str, value: str) -> None:
    error = refused({"host": "localhost", key: value, "password": MARKER})
    assert value in error.message


@one_server
def test_missing_database_is_reported(server: Server) -> None:
    error = refused(conninfo_to_dict(server.conninfo("no_such_database")))
    assert 'database "no_such_database" does not exist' in error.message
    assert "Check the name, or create the database first." in error.hint


@pytest.fixture
def login(server: Server) -> Iterator[str]:
    """A role that needs a password; skipped where pg_hba.conf is not writable."""
    with psycopg.connect(server.conninfo(server.maintenance), autocommit=True) as conn:
        ((path,),) = conn.execute("show hba_file").fetchall()
        hba = Path(path)
        if not os.access(hba, os.W_OK):
            pytest.skip(f"{hba} of the given server is not writable")
        before = hba.read_text()
        role = f"scram_{os.getpid()}"
        conn.execute(f"create role {role} login password '{MARKER}'")
        try:
            rules = "".join(
                f"{line} all {role} {rest} scram-sha-256\n"
                for line, rest in (("local", ""), ("host", "all"))
            )
            hba.write_text(rules + before)
            conn.execute("select pg_reload_conf()")
            yield role
        finally:
            hba.write_text(before)
            conn.execute("select pg_reload_conf()")
            conn.execute(f"drop role {role}")


def test_wrong_password_is_reported_and_not_shown(server: Server, login: str) -> None:
    parameters: dict[str, Any] = {
        **conninfo_to_dict(server.conninfo(server.maintenance)),
        "user": login,
        "password": MARKER,
    }
    with closing(connect(Target(parameters, "", embedded=False))) as conn:
        assert conn.info.user == login
    error = refused({**parameters, "password": f"not {MARKER}"})
    assert f'password authentication failed for user "{login}"' in error.message
    assert "Check user and password." in error.hint
    error = refused({**parameters, "password": ""})
    assert "The server wants a password" in error.hint


@one_server
def test_no_command_shows_a_wrong_password(server: Server, login: str, tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.environ["DATABASE_URL"] = make_conninfo(
        server.conninfo(server.maintenance), user=login, password=f"{MARKER}x"
    )
    checkout.write(_0001_a="select 1;")
    checkout.seed(a="select 1;")
    for args in (
        ["apply"],
        ["status"],
        ["seed"],
        ["rollback"],
        ["up"],
        ["url"],
        ["status", "--json"],
    ):
        result = checkout.runner(*args)
        assert result.code == (0 if args == ["url"] else 1), result
        assert MARKER not in result.out + result.err
        assert "Traceback" not in result.err
    result = checkout.yoyo("apply")
    assert result.code == 1
    assert "password authentication failed" in result.err
    assert MARKER not in result.out + result.err
    assert "Traceback" not in result.err


@one_server
def test_signal_in_a_transaction_of_another_thread_ends_it_in_order(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """psycopg counts its transactions: it must not miss a begin or an end."""
    target = Target(parse(server.conninfo(server.maintenance)), "", embedded=False)
    connections: list[psycopg.Connection[Any]] = []

    def work() -> None:
        with connect(target) as connection, connection.transaction():
            connections.append(connection)
            os.kill(os.getpid(), signal.SIGINT)
            while not signals.pending_signal():
                pass
            with connection.transaction():
                connection.execute("select pg_sleep(60)")

    pool = ThreadPoolExecutor(1)
    with signals.installed(), signals.deferred(), pool, pytest.raises(signals.Interrupt):
        pool.submit(work).result()
    assert connections[0].closed
    assert [record.getMessage() for record in caplog.records] == []
