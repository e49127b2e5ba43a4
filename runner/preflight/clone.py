"""A copy of a target's catalog on a scratch server: its schema, its roles, none of its rows."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from runner.errors import ServerError
from runner.events import Note, Report, Working, silent
from runner.postgres import embedded
from runner.postgres.connection import Connection, connect
from runner.postgres.target import Target
from runner.preflight.scratch import ScratchServer
from runner.queries import query
from runner.schema import snapshot
from runner.schema.diff import difference

_DATABASE = "duplicate"
# What a platform keeps in schemas of its own; auth is needed, for policies ask it who is there.
_LEFT_OUT = ("cron", "graphql", "graphql_public", "net", "pgsodium", "realtime", "storage", "vault")


@contextmanager
def clone(
    scratch: ScratchServer, source: Connection, target: Target, *, report: Report = silent
) -> Iterator[Connection]:
    """Yield a connection to the copy, as the role that the target is reached as.

    What could not be copied is noted. Raises ServerError where pg_dump cannot read the target.
    """
    report(Working("copying the catalog to a scratch server"))
    me = source.info.user
    with connect(scratch.target("postgres")) as admin:
        _make_roles(source, admin)
        admin.execute(_named("create database {} owner {}", _DATABASE, me))
        if not _temporary_for_all(source):
            admin.execute(_named("revoke temporary on database {} from public", _DATABASE))
    _restore(scratch, _dump(target, source.info.server_version // 10000))
    with connect(scratch.target(_DATABASE, user=me)) as connection:
        left = difference(snapshot.take(connection), snapshot.take(source))
        if left:
            report(Note("The copy differs from the target:"))
            for one in left:
                report(Note(f"  {one.as_drift('in the copy', 'on the target')}"))
        yield connection


def _make_roles(source: Connection, admin: Connection) -> None:
    rows = source.execute(query("preflight/roles")).fetchall()
    there = {name for name, *_ in admin.execute(query("preflight/roles")).fetchall()}
    for name, attributes, _ in rows:
        if name not in there:
            admin.execute(_named("create role {}", name) + sql.SQL(f" {attributes}"))
    for name, _, memberships in rows:
        for group in memberships:
            admin.execute(_named("grant {} to {}", group, name))


def _temporary_for_all(source: Connection) -> bool:
    asked = "select has_database_privilege('public', current_database(), 'temporary')"
    return source.execute(asked).fetchone() == (True,)


def _dump(target: Target, version: int) -> str:
    """Return the target's schema as pg_dump of the newest version in the wheel writes it."""
    newest = max(embedded.VERSION, version)
    options = [f"--exclude-schema={name}" for name in (*_LEFT_OUT, "yoyo")]
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
            hint="Rehearse on the target itself: leave out --on scratch. Nothing was done.",
        )
    return ran.stdout


def _restore(scratch: ScratchServer, dump: str) -> None:
    """Run the dump; what the scratch server has no extension for stays out, and is noted later."""
    subprocess.run(
        [embedded.program("psql", scratch.server.version), "-X", "-q"],
        input=dump,
        env=scratch.target(_DATABASE).environ({}),
        capture_output=True,
        text=True,
        check=False,
    )


def _named(statement: str, *names: str) -> psycopg.sql.Composed:
    return sql.SQL(statement).format(*map(sql.Identifier, names))
