"""Fixtures of tests/sql: a database with two organizations.

Most tests share one database: they work inside a transaction that is never committed, and the rows
are compared at the end of the session. A test that has to commit uses `own_database`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import Database, Server
from psycopg import Connection
from psycopg.rows import TupleRow

from .fixture_rows import TABLES, fill


@pytest.fixture(scope="session")
def filled_template(server: Server, template: str) -> Iterator[str]:
    """The name of a template database with the schema and both organizations."""
    with server.database(of=template) as database:
        with database.connect() as conn:
            fill(conn)
        yield database.name


@pytest.fixture(scope="session")
def _database(server: Server, filled_template: str) -> Iterator[Database]:
    with server.database(of=filled_template) as database, database.connect() as conn:
        before = _rows(conn)
        yield database
        assert _rows(conn) == before, "a test has committed to the shared database"


@pytest.fixture(scope="session")
def _connection(_database: Database) -> Iterator[Connection[TupleRow]]:
    with _database.connect() as conn:
        yield conn


@pytest.fixture
def conn(_connection: Connection[TupleRow]) -> Iterator[Connection[TupleRow]]:
    """A superuser connection in a transaction that is rolled back after the test."""
    yield _connection
    _connection.rollback()
    _connection.autocommit = True
    _connection.execute("discard all")
    _connection.autocommit = False


@pytest.fixture
def new_conn(_database: Database) -> Iterator[Connection[TupleRow]]:
    """Like `conn`, but a new session, in which no function has been compiled yet."""
    with _database.connect() as conn:
        yield conn
        conn.rollback()


@pytest.fixture
def own_database(server: Server, filled_template: str) -> Iterator[Database]:
    """A separate database with both organizations, for a test that commits."""
    with server.database(of=filled_template) as database:
        yield database


def _rows(conn: Connection[TupleRow]) -> list[TupleRow]:
    rows = [
        row
        for table in TABLES
        for row in conn.execute(f"select to_jsonb(t)::text from public.{table} as t order by 1")
    ]
    conn.rollback()
    return rows
