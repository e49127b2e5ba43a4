"""What a server has beside its databases, and no dump contains: roles, memberships, settings."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runner.files.loader import Migration
from runner.postgres.connection import Connection
from runner.preflight.lacking import DEFAULT_PATH
from runner.preflight.scratch import OtherServer, ScratchServer
from runner.queries import query
from runner.schema import snapshot

Facts = set[tuple[str, str, str]]  # rows of queries/of_the_server.sql: role, kind, statements
_ROLES = "select rolname::text from pg_catalog.pg_roles"


def read(connection: Connection) -> Facts:
    """Return the facts of the server that concern a database."""
    with connection.transaction(force_rollback=True):
        connection.execute(snapshot.PIN.encode())
        return set(connection.execute(query("preflight/of_the_server")).fetchall())


def lost(
    connection: Connection, there: Facts, scratch: ScratchServer, files: Sequence[Migration]
) -> list[str]:
    """Return the statements that make missing roles, and missing settings of the database."""
    ((name, path),) = connection.execute(
        "select quote_ident(current_database()), current_setting('search_path')"
    )
    here = read(connection)
    known = {role for role, *_ in here} | {role for (role,) in connection.execute(_ROLES)}
    if isinstance(scratch.server, OtherServer):  # which has roles of other projects, too
        texts = "\n".join(file.text for file in files)
        there = {row for row in there if row[0] is None or re.search(rf"\b{row[0]}\b", texts)}
    found = []
    for role, kind, statements in sorted(there - here, key=_in_order):
        if role in known and kind != "membership":
            continue  # a role that is here keeps its attributes
        if role is None and "search_path" in statements and path != DEFAULT_PATH:
            continue  # of the scratch database
        found.append(f"{statements.replace('{database}', name)};")
    return found


def _in_order(row: tuple[str, str, str]) -> tuple[int, str]:
    return ("role", "membership", "setting").index(row[1]), row[2]
