"""The files of sql/citus/, and requests as PostgREST sends them: claims reach the workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import SQL_DIR, Caller, migration_files
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.files import statements

OVERLAY = SQL_DIR / "citus"
FILES = sorted(f for f in OVERLAY.glob("*.sql") if not f.name.endswith(".rollback.sql"))
ROLLBACKS = sorted(OVERLAY.glob("*.rollback.sql"), reverse=True)

Rows = list[TupleRow]


def run(conn: Connection[TupleRow], *files: Path) -> None:
    """Run each file in a transaction, one statement at a time: Citus takes no more in a message."""
    for file in files:
        with conn.transaction():
            execute(conn, file.read_text(encoding="utf-8"))


def execute(conn: Connection[TupleRow], text: str) -> None:
    for statement in statements.split(text):
        conn.execute(statement.text.encode())


def apply_base(conn: Connection[TupleRow]) -> None:
    run(conn, *migration_files())


@contextmanager
def request(conn: Connection[TupleRow], who: Caller) -> Iterator[None]:
    """A transaction with role and claims, which is committed."""
    with conn.transaction():
        conn.execute(f"set local role {who.role}")
        conn.execute("select set_config('request.jwt.claims', %s, true)", [who.claims])
        conn.execute("select app.pre_request()")
        yield


def rows(conn: Connection[TupleRow], text: str, values: list[object] | None = None) -> Rows:
    return conn.execute(text.encode(), values).fetchall()


def value(conn: Connection[TupleRow], text: str, values: list[object] | None = None) -> object:
    [[one]] = rows(conn, text, values)
    return one
