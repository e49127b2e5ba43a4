"""A snapshot of a database's catalog as sorted facts, and its fingerprint."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import psycopg

from runner.errors import NO_CHANGES, LockTimeout
from runner.postgres.connection import Connection
from runner.queries import query

# What changes how PostgreSQL writes names, constants and definitions; JIT and memory for sorting.
PINNED = {
    "search_path": "pg_catalog, pg_temp",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "timezone": "'UTC'",
    "datestyle": "'ISO, MDY'",
    "intervalstyle": "'postgres'",
    "bytea_output": "'hex'",
    "extra_float_digits": "1",
    "jit": "off",  # to compile the query takes longer than to run it
    "work_mem": "'32MB'",  # the facts of a thousand tables would go to the disk
}
PIN = "; ".join(f"set local {name} = {value}" for name, value in PINNED.items())
UNPIN = "; ".join(f"reset {name}" for name in PINNED)

OF_OTHERS = " of another role"  # ends the kind of what files do not make
Object = tuple[str, str]  # kind and name


@dataclass(frozen=True, order=True)
class Fact:
    """One property; kind, name and trait identify it, queries/catalog.sql explains each field."""

    kind: str
    name: str
    trait: str
    value: str
    of: str | None = field(compare=False)
    make: str | None = field(compare=False, repr=False)
    unmake: str | None = field(compare=False, repr=False)


@dataclass(frozen=True)
class Snapshot:
    """The catalog of a database at one moment: its facts, sorted."""

    facts: tuple[Fact, ...]
    version: int  # major version of the server
    database: str = field(default="", compare=False)  # its name as in a statement, if it is known

    @cached_property
    def by_object(self) -> dict[Object, dict[str, Fact]]:
        """The facts of each object, by trait."""
        return {
            object_: {fact.trait: fact for fact in facts}
            for object_, facts in groupby(self.facts, lambda fact: (fact.kind, fact.name))
        }

    def without(self, schemas: Collection[str]) -> Snapshot:
        """Return the same without some schemas and everything in them."""
        if not schemas:
            return self  # keeps what is cached
        inside = tuple(f"{schema}." for schema in schemas)
        kept = (f for f in self.facts if f.name not in schemas and not f.name.startswith(inside))
        return replace(self, facts=tuple(kept))

    @property
    def platform(self) -> frozenset[str]:
        """The schemas of a platform such as Supabase, which are not compared."""
        return frozenset(fact.name for fact in self.facts if fact.kind == "platform's schema")


def take(connection: Connection) -> Snapshot:
    """Return the catalog as it is now, also inside an open transaction. Changes nothing."""
    facts = read(connection, scoped(query("schema/catalog")))
    name = "select pg_catalog.quote_ident(pg_catalog.current_database())"
    ((database,),) = connection.execute(name)
    return Snapshot(tuple(facts), connection.info.server_version // 10000, database)


def scoped(text: str) -> str:
    """Return a query with the expressions of queries/scope.sql and versions.sql in its braces."""
    text = text.replace("{versions}", query("schema/versions"))
    return text.replace("{scope}", query("schema/scope"))


def read(connection: Connection, text: str) -> list[Fact]:
    """Return the facts that a query of the catalog gives, sorted."""
    rows = _rows(connection, text)  # line ends are those of the checkout that was applied
    return sorted(Fact(k, n, t, v.replace("\r\n", "\n"), *more) for k, n, t, v, *more in rows)


def fingerprint(connection: Connection) -> str:
    """Return format, major version and SHA-256 of the facts, also if another role owns all."""
    return str(_rows(connection, fingerprint_sql())[0][0])


def fingerprint_sql() -> str:
    """Return a query for the fingerprint, to be run after `PIN`."""
    return scoped(query("schema/fingerprint").replace("{catalog}", query("schema/catalog")))


def _rows(connection: Connection, text: str) -> list[tuple[Any, ...]]:
    try:
        with connection.transaction(force_rollback=True):
            # A definition may need a table that is locked.
            connection.execute(f"{PIN}; set local lock_timeout = '2s'".encode())
            return connection.execute(text.encode()).fetchall()
    except psycopg.errors.LockNotAvailable:
        raise locked(connection, "The catalog") from None


def locked(connection: Connection, what: str) -> LockTimeout:
    """Return the error for what cannot be read because a session has locked it, with its name."""
    holders = connection.execute(query("schema/exclusive_locks")).fetchall()
    who = "; ".join(one for (one,) in holders) or "by a session that has just ended"
    return LockTimeout(
        f"{what} cannot be read: {who}", hint="Try again when it is free.", state=NO_CHANGES
    )
