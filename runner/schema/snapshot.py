"""A snapshot of a database's catalog as sorted facts, and its fingerprint."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby

from runner.postgres.connection import Connection
from runner.queries import query

# Of the facts; fingerprints of another format are not compared.
_FORMAT = 1
PATH = "set local search_path = pg_catalog, pg_temp"
PLATFORM = "platform's schema"
_BASE = ("", "definition", "function", "runs")  # traits that every object of a kind has

Object = tuple[str, str]  # kind and name
Key = tuple[str, str, str]  # kind, name and trait


@dataclass(frozen=True, order=True)
class Fact:
    """One property of one object; queries/catalog.sql explains each field."""

    kind: str
    name: str
    trait: str
    value: str
    of: str | None = field(default=None, compare=False)
    make: str | None = field(default=None, compare=False, repr=False)
    unmake: str | None = field(default=None, compare=False, repr=False)

    @property
    def object(self) -> Object:
        """The object it belongs to."""
        return self.kind, self.name

    @property
    def key(self) -> Key:
        """What identifies it: no two facts share it."""
        return self.kind, self.name, self.trait

    @property
    def is_base(self) -> bool:
        """Whether it states that the object exists."""
        return self.trait in _BASE


@dataclass(frozen=True)
class Snapshot:
    """The catalog of a database at one moment: its facts, sorted."""

    facts: tuple[Fact, ...]
    version: int  # major version of the server

    @cached_property
    def by_object(self) -> dict[Object, dict[str, Fact]]:
        """The facts of each object, by trait."""
        return {
            object_: {fact.trait: fact for fact in facts}
            for object_, facts in groupby(self.facts, lambda fact: fact.object)
        }

    @cached_property
    def fingerprint(self) -> str:
        """Format, major version and SHA-256 of the facts, as `fingerprint_sql` returns them.

        Equal for equal catalogs on one major version, independent of who owns the objects.
        """
        lines = "\n".join(f"{f.kind}|{f.name}|{f.trait}|{f.value}" for f in self.facts)
        return f"{fingerprint_prefix(self.version)}{hashlib.sha256(lines.encode()).hexdigest()}"

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
        return frozenset(fact.name for fact in self.facts if fact.kind == PLATFORM)

    @property
    def text(self) -> str:
        """The snapshot as text: a block for each object, its facts indented below."""
        return "\n".join(
            _block(object_, facts.values()) for object_, facts in self.by_object.items()
        )


def take(connection: Connection) -> Snapshot:
    """Return the catalog as it is now, also inside an open transaction. Changes nothing."""
    with connection.transaction(force_rollback=True):
        connection.execute(PATH)
        rows = connection.execute(query("schema/catalog").encode()).fetchall()
    facts = (
        Fact(kind, name, trait, value, of, make, unmake)
        for kind, name, of, trait, value, make, unmake in rows
    )
    return Snapshot(tuple(sorted(facts)), connection.info.server_version // 10000)


def fingerprint_prefix(version: int) -> str:
    """Return the prefix of a fingerprint; only those with the same one can be compared."""
    return f"{_FORMAT}:{version}:"


def fingerprint(connection: Connection) -> str:
    """Return the fingerprint of the catalog as it is now, equal to `Snapshot.fingerprint`."""
    with connection.transaction(force_rollback=True):
        connection.execute(PATH)
        version = connection.info.server_version // 10000
        row = connection.execute(fingerprint_sql(version).encode()).fetchone()
    return str(row[0]) if row else ""


def fingerprint_sql(version: int) -> str:
    """Return a query for the fingerprint alone, to be run under the search_path of `PATH`."""
    return (
        f"select '{fingerprint_prefix(version)}' || encode(sha256(convert_to(string_agg("  # noqa: S608
        "format('%s|%s|%s|%s', kind, name, trait, value), E'\\n' "
        'order by kind collate "C", name collate "C", trait collate "C", value collate "C"'
        f"), 'UTF8')), 'hex') from ({query('schema/catalog')}) as facts"
    )


def _block(object_: Object, facts: Iterable[Fact]) -> str:
    lines = [" ".join(object_)]
    for fact in facts:
        words = f"{fact.trait}: {fact.value}" if fact.value else fact.trait
        if "\n" in fact.value:
            words = f"{fact.trait}:\n{textwrap.indent(fact.value.strip(chr(10)), '    ')}"
        if words:
            lines.append(textwrap.indent(words, "    ", lambda line: bool(line.strip())))
    return "\n".join(line.rstrip() for line in "\n".join(lines).splitlines()) + "\n"
