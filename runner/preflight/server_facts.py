"""What a server has beside its databases, and no dump contains: roles, memberships, settings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from runner.files.loader import Migration
from runner.postgres.connection import Connection
from runner.preflight.scratch import ScratchServer
from runner.queries import query
from runner.schema import snapshot
from runner.schema.snapshot import Snapshot

Facts = set[tuple[str, str, str]]  # rows of queries/of_the_server.sql: role, kind, statements
_ROLES = "select rolname::text from pg_catalog.pg_roles"


def read(connection: Connection, database: str) -> Facts:
    """Return the facts of the server that concern this database, for one named `database`."""
    with connection.transaction(force_rollback=True):
        connection.execute(snapshot.PIN.encode())
        rows = connection.execute(query("preflight/of_the_server"), {"database": database})
        return set(rows.fetchall())


@dataclass(frozen=True)
class Made:
    """The facts of a scratch server before and after files ran there."""

    before: Facts
    after: Facts


def made_by(
    files: Sequence[Migration], scratch: ScratchServer, like: Connection
) -> tuple[Snapshot, Made]:
    """Return the catalog that files produce, and the facts of the scratch server; see `read_of`."""
    name = like.info.dbname
    before: list[Facts] = []  # before each attempt; the first one may make roles that stay

    def start(connection: Connection) -> None:
        before.append(read(connection, name))

    def end(connection: Connection) -> tuple[Snapshot, Facts]:
        return snapshot.take(connection), read(connection, name)

    there, after = scratch.read_of(files, end, like=like, before=start)
    return there, Made(before[0], after)


def lost(connection: Connection, made: Made, files: Sequence[Migration]) -> tuple[list[str], str]:
    """Return the statements for what files made on the scratch server and this one lacks; a note.

    The server may be one of RUNNER_SCRATCH_URL, with superusers and members that no file makes. So
    what it had before is not made here, and the note names those roles that the files name, too.
    """
    here = read(connection, connection.info.dbname)
    known = {role for (role,) in connection.execute(_ROLES)}
    before = {row[0] for row in made.before if row[1] == "role"}
    statements = [
        f"{statement};"
        for role, kind, statement in sorted(made.after - made.before - here, key=_in_order)
        if kind == "membership"
        or (role not in known and not (kind == "role" and role in before))  # keeps what it has
    ]
    texts = "\n".join(file.text for file in files)
    missing = [
        " ".join(role.split())
        for role in sorted(before - known)
        if re.search(rf"(?<!\w){re.escape(role)}(?!\w)", texts)
    ]
    if not missing:
        return statements, ""
    return statements, (
        f"-- The files name roles that are missing here: {', '.join(missing)}. The scratch server "
        "had them before the files ran, so what the files make of them is not known: create them."
    )


def _in_order(row: tuple[str, str, str]) -> tuple[int, str]:
    return ("role", "membership", "setting").index(row[1]), row[2]
