"""The facts of a server become statements, whatever text its roles and databases have stored."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from runner import embedded
from runner.preflight import server_facts
from runner.preflight.temporary_server import temporary_server

STORED = {  # as pg_db_role_setting has it, and how the statement sets it
    "public;create/**/role/**/injected": "'public;create/**/role/**/injected'",
    'Shop, "$user", "a, ""b", select': "'shop', '$user', 'a, \"b', 'select'",
    '""': "''",
    "": "''",
}


@pytest.fixture(scope="module")
def server() -> Iterator[embedded.Server]:
    with temporary_server(18) as server:
        yield server


def test_a_stored_list_is_set_as_literals(server: embedded.Server) -> None:
    """A text that is no list becomes one literal, and runs as no statement."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute("create role lists")
        connection.execute("""create database "a{database}';x" """)
        connection.execute("alter role lists set local_preload_libraries = 'Lib', '$libdir/b'")
        libraries = "alter role lists set local_preload_libraries = 'Lib', '$libdir/b'"
        for stored, literals in STORED.items():
            connection.execute("select set_config('search_path', %s, false)", [stored])
            connection.execute("alter role lists set search_path from current")
            connection.execute("alter database postgres set search_path from current")
            connection.execute("alter database postgres set app.mode = '{database}'")
            facts = server_facts.read(connection, "a{database}';x")
            settings = {row[2] for row in facts if row[1] == "setting"}
            there = """alter database "a{database}';x" set """
            assert settings == {
                f"alter role lists set search_path = {literals}",
                libraries,
                f"{there}search_path = {literals}",
                f"{there}app.mode = '{{database}}'",
            }
            for statement in settings:
                connection.execute(statement.encode())
            assert server_facts.read(connection, "a{database}';x") == facts
        assert connection.execute("select to_regrole('injected')").fetchone() == (None,)
