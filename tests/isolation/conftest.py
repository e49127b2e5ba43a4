"""The ground that proofs are tested on: one database, in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import Server
from psycopg import Connection
from psycopg.rows import TupleRow


@pytest.fixture(scope="session")
def _shared_ground(server: Server, template: str) -> Iterator[Connection[TupleRow]]:
    with server.database(of=template) as database, database.connect() as conn:
        # A clone does not inherit what the files took from PUBLIC on the database itself.
        conn.execute(f'revoke temporary on database "{database.name}" from public')
        conn.commit()
        yield conn


@pytest.fixture
def ground(_shared_ground: Connection[TupleRow]) -> Iterator[Connection[TupleRow]]:
    """A superuser's connection to a freshly applied database; nothing done in it stays."""
    yield _shared_ground
    _shared_ground.rollback()
