"""Fixtures for tests of verify: one database, in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import Server
from psycopg import Connection
from psycopg.rows import TupleRow


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
