"""Copy a target's catalog to a scratch server: its schema and roles, without any rows."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from runner import embedded
from runner.errors import NO_CHANGES, ServerError
from runner.events import Note, Report, Working, silent
from runner.postgres.connection import Connection, connect
from runner.postgres.target import Target
from runner.preflight.diff import difference
from runner.preflight.scratch import ScratchServer
from runner.queries import query
from runner.schema import snapshot

_DATABASE = "clone"
# Schemas that a platform such as Supabase manages. Not auth: policies call its functions.
_EXCLUDED_SCHEMAS = (
    "cron",
    "graphql",
    "graphql_public",
    "net",
    "pgsodium",
    "realtime",
    "storage",
    "vault",
)


@contextmanager
def clone(
    scratch: ScratchServer, source: Connection, target: Target, *, report: Report = silent
) -> Iterator[Connection]:
    """Yield a connection to the copy, as the role that `source` is connected as.

    Differences to the target are reported as notes. Raises ServerError if pg_dump cannot read the
    target.
    """
    report(Working("copying the catalog to a scratch server"))
    user = source.info.user
    with connect(scratch.target("postgres")) as admin:
        _make_roles(source, admin)
        admin.execute(_with_names("create database {} owner {}", _DATABASE, user))
        if not _public_may_create_temporary_tables(source):
            admin.execute(_with_names("revoke temporary on database {} from public", _DATABASE))
    _restore(scratch, _dump(target, source.info.server_version // 10000))
    with connect(scratch.target(_DATABASE, user=user)) as connection:
        found = difference(snapshot.take(connection), snapshot.take(source))
        for one in found:
            if one.is_not_dumped:
                connection.execute(one.fix.encode())
        left = [one for one in found if not one.is_not_dumped]
        if left:
            report(Note("The copy differs from the target:"))
            for one in left:
                report(Note(f"  {one.as_drift('in the copy', 'on the target')}"))
        yield connection


def _make_roles(source: Connection, admin: Connection) -> None:
    rows = source.execute(query("preflight/roles")).fetchall()
    existing = {name for name, *_ in admin.execute(query("preflight/roles")).fetchall()}
    for name, attributes, _ in rows:
        if name not in existing:
            admin.execute(_with_names("create role {}", name) + sql.SQL(f" {attributes}"))
    for name, _, memberships in rows:
        for group in memberships:
            admin.execute(_with_names("grant {} to {}", group, name))


def _public_may_create_temporary_tables(source: Connection) -> bool:
    privilege = "select has_database_privilege('public', current_database(), 'temporary')"
    return source.execute(privilege).fetchone() == (True,)


def _dump(target: Target, version: int) -> str:
    """Return the target's schema as SQL, from the newest pg_dump of the wheel."""
    newest = max(embedded.VERSION, version)
    options = ["--lock-wait-timeout=2s"]
    options += [f"--exclude-schema={name}" for name in (*_EXCLUDED_SCHEMAS, "yoyo")]
    ran = subprocess.run(
        [embedded.program("pg_dump", newest), "--schema-only", "--no-publications", *options],
        env=target.environ({"PGOPTIONS": ""}),
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise ServerError(
            f"pg_dump cannot read {target.url()}: {ran.stderr.strip()}",
            hint="Run it on the target itself: omit --on scratch.",
            state=NO_CHANGES,
        )
    return ran.stdout


def _restore(scratch: ScratchServer, dump: str) -> None:
    """Run the dump. Ignore errors, such as missing extensions: differences are reported later."""
    subprocess.run(
        [embedded.program("psql", scratch.server.version), "-X", "-q"],
        input=dump,
        env=scratch.target(_DATABASE).environ({}),
        capture_output=True,
        text=True,
        check=False,
    )


def _with_names(statement: str, *names: str) -> psycopg.sql.Composed:
    return sql.SQL(statement).format(*map(sql.Identifier, names))
