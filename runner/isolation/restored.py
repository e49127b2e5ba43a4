"""Make what a restore of a dump has lost, as the files say: roles, privileges, policies, settings.

pg_dump writes no roles, and of the database itself neither privileges nor settings. What names a
missing role, such as a policy, fails when the dump is read. A dump with --no-acl has no privileges
at all, and PUBLIC then has those of a new object. The comparison is that of drift.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from runner.errors import NO_CHANGES, PlanError
from runner.events import Working
from runner.files.loader import Migration
from runner.isolation import drift
from runner.migrate.migrator import Migrator
from runner.migrate.plan import compare
from runner.postgres.connection import Connection
from runner.preflight import forced, foreign, order, server_facts
from runner.preflight.diff import Difference
from runner.preflight.scratch import scratch_server, version_like
from runner.schema import fingerprint, snapshot

_PRIVILEGE = re.compile(r"[a-z ]+ to (.+)")  # the trait of a fact in schema/queries/catalog.sql
_KIND = re.compile(r"(?s)((?:create|alter|comment on) \w+|\w+) .*")
_NO_SUCH_ROLE = "42704"
_SHOWN = 40  # lines of what is left to do


def heal(
    migrator: Migrator, files: Sequence[Migration], *, verbose: bool = False
) -> tuple[list[str], dict[str, list[str]]]:
    """Make what a restore has lost; return lines and the key of the JSON document.

    The lines count the statements that ran, or are these if `verbose`. The caller holds the lock.
    Raises PlanError, with a list, for what differs beyond that, and what this role may not make.
    """
    connection, plan = migrator.connection, compare(files, migrator.records())
    if not plan.applied():
        raise PlanError(
            "This database has no records of migrations, so it is no restored copy of one that has",
            hint="Was schema yoyo in the dump? To record what is here: python -m runner baseline",
        )
    migrator.report(Working("building the catalog from the files"))
    tables = foreign.tables(connection)
    here = snapshot.take(connection)
    with TemporaryDirectory() as folder, scratch_server(version_like(here), other=True) as scratch:
        applied = drift.applied(migrator, plan, Path(folder))
        there, made_there = server_facts.made_by(applied, scratch, connection)
        lost, note = server_facts.lost(connection, made_there, applied)
        there = forced.as_owner(there, applied, scratch, connection)
    differ = foreign.separate_foreign(tables, here, there)[0]
    fixes = [d.fix or drift.statement(d) for d in differ if _is_lost(d)]
    made = order.parts(order.joined(filter(None, fixes)))[0]
    made.sort(key=lambda statement: " owner to " in statement)  # who gave it away may grant no more
    done: list[str] = []
    refused: dict[str, str] = {}  # statements, as they are listed
    later: list[str] = []  # need a role that could not be made
    for statement in [*lost, *made]:
        error = _execute(connection, statement)
        if error is None:
            done.append(statement)
        elif error.sqlstate == _NO_SUCH_ROLE and statement in made:
            later.append(statement)
        else:
            refused[statement] = f"{statement}  -- {error.diag.message_primary}"
    left = foreign.separate_foreign(tables, snapshot.take(connection), there)[0] if done else differ
    known = {*refused, *later}
    left = [d for d in left if not _is_made_by(known, d)]
    done = [statement for statement in done if not any(_is_made_by({statement}, d) for d in left)]
    if known or left:
        listed = [*filter(None, [note]), *refused.values()]
        raise _unfinished(listed, len(later), left, done)
    with connection.transaction():  # what `status` compares with, on this version of the server
        connection.execute(fingerprint.store_sql().encode())
    kinds = Counter(_KIND.sub(r"\1", statement) for statement in done)
    lines = done if verbose else [f"{count:>6,}  {kind}" for kind, count in kinds.items()]
    lines += [note] if note else []
    return [*lines, "restored: the database is what its files make"], {"restored": done}


def _is_lost(d: Difference) -> bool:
    """Return whether a restore causes a difference: what is missing here, or open as if new."""
    if privilege := _PRIVILEGE.fullmatch(d.trait):
        return d.before is None or (d.after is None and privilege[1] == "public")
    if d.trait in ("comment", "owner"):
        return d.before is None
    if d.trait == "force" or d.is_not_dumped:
        return True
    return d.kind == "policy" and d.is_whole and d.before is None


def _is_made_by(statements: Collection[str], d: Difference) -> bool:
    """Return whether the statements that fix a difference are among these."""
    fix = order.parts(d.fix or drift.statement(d))[0]
    return bool(fix) and set(fix) <= set(statements)


def _execute(connection: Connection, statement: str) -> psycopg.Error | None:
    """Run a statement; return the error if PostgreSQL refuses it."""
    try:
        with connection.transaction():
            connection.execute(f"{snapshot.PIN}; set local lock_timeout = '2s'".encode())
            connection.execute(statement.encode())
    except psycopg.Error as error:
        if connection.closed:
            raise
        return error
    return None


def _unfinished(
    refused: list[str], later: int, left: Sequence[Difference], done: list[str]
) -> PlanError:
    lines = [f"  {d.as_drift()}" for d in left]
    lines[_SHOWN:] = [f"  … and {len(lines) - _SHOWN} more"] if lines[_SHOWN:] else []
    if refused:
        lines += ["PostgreSQL refused these. Run them as a role that may:", *refused]
    if later:
        lines += [f"Then again, for {later} more: python -m runner apply --restored"]
    fixes = "For the statements that fix each: python -m runner verify --only drift"
    return PlanError(
        "The database is not what its files make, beyond what was made now",
        hint="\n".join([*lines, fixes] if left else lines),
        state=f"{len(done)} statement{'s' * (len(done) > 1)} made what a restore loses."
        if done
        else NO_CHANGES,
    )
