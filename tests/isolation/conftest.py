"""Fixtures for tests of verify: one database, in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import Server
from promises import PROJECT
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.isolation.probes import generic
from runner.isolation.probes.reads import Probe


@pytest.fixture(scope="session")
def _shared_connection(server: Server, template: str) -> Iterator[Connection[TupleRow]]:
    with server.database(of=template) as database, database.connect() as conn:
        # A clone has the default privileges of a new database, so repeat the revoke of 0001.
        conn.execute(f'revoke temporary on database "{database.name}" from public')
        conn.commit()
        yield conn


@pytest.fixture
def connection(_shared_connection: Connection[TupleRow]) -> Iterator[Connection[TupleRow]]:
    """A superuser's connection to a database with the schema; rolled back after the test."""
    yield _shared_connection
    _shared_connection.rollback()


@pytest.fixture(scope="module")
def _rows(server: Server, template: str) -> Iterator[Probe]:
    with server.database(of=template) as database, database.connect() as conn:
        conn.execute(f'revoke temporary on database "{database.name}" from public')
        conn.commit()
        yield generic.prepared(conn, PROJECT.config)
        conn.rollback()


@pytest.fixture
def rows(_rows: Probe) -> Iterator[Probe]:
    """The rows of two tenants, in a transaction; changes are rolled back after the test."""
    with _rows.findings.connection.transaction(force_rollback=True):
        yield _rows
