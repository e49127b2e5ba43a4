"""Find what has changed in the catalog since it was read last, without reading all of it.

A snapshot of the whole catalog takes as long as the catalog is large. Here PostgreSQL computes a
number for each object from the versions of its rows in pg_catalog, which is cheap, and only the
facts of objects with another number are read again. All facts are read where what changed may show
in those of other objects: a name, for example.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import psycopg
from psycopg import pq

from runner.execution import transactional
from runner.postgres.connection import Connection, has_citus
from runner.preflight.diff import Difference, difference
from runner.queries import query
from runner.schema import snapshot
from runner.schema.snapshot import Fact, Snapshot

# Kinds of facts that belong to a relation, function or type.
PARTS = frozenset(
    (
        *("table", "view", "materialized view", "foreign table", "sequence", "column"),
        *("constraint", "index", "trigger", "policy", "rule"),
        *("function", "procedure", "aggregate", "type"),
    )
)
_OTHERS = ""  # the owner of all other facts
_SHOWN_BY_NONE = "0"  # its number changes with what belongs to the database as a whole
_SHOWN_BY_ALL = "1"  # its number changes with what may change the facts of every object
_EVERY_OID = """whole (oid) as (
    select oid from pg_class where oid >= 16384
    union all
    select oid from pg_proc where oid >= 16384
    union all
    select oid from pg_type where oid >= 16384
)"""
_RESTRICTED = re.compile(r"\b([cpt])\.oid >= s\.first_oid")
_MAIN_OWNER = re.compile(r"(?s) +-- begin: the main owner.*?-- end: the main owner[^\n]*\n")
_OF_OTHERS = re.compile(r"(?s) +-- begin: of no relation.*?-- end: of no relation[^\n]*\n")

_PREFIX = "plan "  # of the prepared statements
_SETTINGS = {
    **{name: value.strip("'") for name, value in snapshot.PINNED.items()},
    **{"statement_timeout": "0", "lock_timeout": "2s", "plan_cache_mode": "force_generic_plan"},
}
# For the queries of few objects: a new catalog has no statistics that would tell.
_BY_INDEX = dict.fromkeys(("enable_hashjoin", "enable_mergejoin", "enable_seqscan"), "off")
_HASHED = {"enable_sort": "off"}  # all rows are grouped, in no order
_DEALLOCATE_OTHERS = """
do $$
declare
    other record;
begin
    for other in select name from pg_prepared_statements where name !~ '^plan '
    loop
        execute format('deallocate %I', other.name);
    end loop;
end
$$
"""
# Resets a session, as between files, and keeps these.
RESET_SESSION = transactional.RESET_SESSION.replace("deallocate all", _DEALLOCATE_OTHERS)

_Name = tuple[str, str, str, str | None, int | None]  # a row of queries/names.sql
Parts = dict[str, tuple[Fact, ...]]  # the facts of each relation, function and type, by its name


class Catalog(NamedTuple):
    """The facts of a catalog, by what they belong to."""

    parts: Parts
    version: int  # major version of the server

    def snapshot(self, owners: Iterable[str] | None = None) -> Snapshot:
        """Return the facts of all, or of some owners and of what has none."""
        chosen = self.parts if owners is None else {*owners, _OTHERS}
        return Snapshot(
            tuple(sorted(fact for owner in chosen for fact in self.parts.get(owner, ()))),
            self.version,
        )

    def difference(self, after: Catalog) -> list[Difference]:
        """Return the differences, as those of two snapshots but without fixes."""
        old, new = self.parts, after.parts
        differing = [
            owner
            for owner in old.keys() | new.keys()
            if old.get(owner) is not new.get(owner) and old.get(owner) != new.get(owner)
        ]
        if not differing:
            return []
        return difference(self.snapshot(differing), after.snapshot(differing))


class _State(NamedTuple):
    catalog: Catalog
    versions: frozenset[str]
    names: dict[str, str]  # of objects, which others may show
    owners: dict[str, str]  # the names of relations, functions and types, by oid
    contents: dict[str, int]  # a number for all that a function is, by oid


class CatalogChanges:
    """The catalog of a database as one of its sessions sees it, read as it changes.

    Args:
        roles: include facts of the roles of the server, which belong to no database.
    """

    def __init__(self, connection: Connection, *, roles: bool = False) -> None:
        self._connection = connection
        self._roles = roles
        self._version = connection.info.server_version // 10000
        self._citus = has_citus(connection)
        self._state = self._read_all()

    @property
    def catalog(self) -> Catalog:
        """The whole catalog, as it was read last."""
        return self._state.catalog

    def since(self) -> tuple[Snapshot, Snapshot] | None:
        """Read what has changed since the last call; return it before and after, or None."""
        if not self._citus or self._connection.info.transaction_status == pq.TransactionStatus.IDLE:
            return self._since()
        with self._connection.transaction(force_rollback=True):
            # A file may have set it: Citus then sends a message with SET LOCAL whole to workers.
            self._connection.execute("set local citus.propagate_set_commands = 'none'")
            return self._since()

    def _since(self) -> tuple[Snapshot, Snapshot] | None:
        before, (versions, main_owner) = self._state, self._versions()
        changed = {version.partition(":")[0] for version in versions ^ before.versions}
        if not changed:
            return None
        if _SHOWN_BY_ALL in changed:
            return self._all()
        rows = self._names(changed)
        contents = {oid: content for _, oid, _, _, content in rows if content is not None}
        if all(oid in contents and contents[oid] == before.contents.get(oid) for oid in changed):
            self._state = before._replace(versions=versions)
            return None  # functions were replaced by the same
        names = {object_: name for object_, _, name, *_ in rows}
        if any(before.names.get(object_, name) != name for object_, name in names.items()):
            return self._all()
        oids = {oid for _, oid, *_ in rows}
        shown = {oid: owner for _, oid, _, owner, _ in rows if owner}
        owners = {before.owners[oid] for oid in before.owners.keys() & (changed | oids)}
        owners.update(shown.values())
        parts = before.catalog.parts
        of_rules = (fact.kind == "rule" for one in owners for fact in parts.get(one, ()))
        if _SHOWN_BY_NONE in changed or any(of_rules):  # a comment on a rule has no owner
            owners.add(_OTHERS)
        name = "facts" if _OTHERS in owners else "parts"
        facts = self._facts_of(name, oids, main_owner) if owners else []
        if facts is None:
            return self._all()
        facts += self._facts_of_roles() if _OTHERS in owners else ()
        parts = {k: v for k, v in parts.items() if k not in owners}
        # The privileges of an identity column's sequence are read for every table.
        parts |= _parts(fact for fact in facts if _owner(fact) in owners)
        after = Catalog(parts, self._version)
        gone = changed - oids
        kept = {oid: owner for oid, owner in before.owners.items() if oid not in gone}
        self._state = _State(
            after, versions, before.names | names, kept | shown, before.contents | contents
        )
        return before.catalog.snapshot(owners), after.snapshot(owners)

    @contextmanager
    def undone(self) -> Iterator[None]:
        """What is changed inside will be rolled back."""
        state = self._state
        try:
            yield
        finally:
            self._state = state

    def _all(self) -> tuple[Snapshot, Snapshot]:
        before = self._state.catalog
        self._state = self._read_all()
        return before.snapshot(), self._state.catalog.snapshot()

    def _read_all(self) -> _State:
        facts = (*take(self._connection).facts, *self._facts_of_roles())
        rows = self._names()
        return _State(
            Catalog(_parts(facts), self._version),
            self._versions()[0],
            {object_: name for object_, _, name, *_ in rows},
            {oid: owner for _, oid, _, owner, _ in rows if owner},
            {oid: content for _, oid, _, _, content in rows if content is not None},
        )

    def _facts_of_roles(self) -> list[Fact]:
        return _facts(_execute(self._connection, "roles")) if self._roles else []

    def _versions(self) -> tuple[frozenset[str], int]:
        """Return a number for each object, with its oid, and the oid of the schema's main owner."""
        [(versions, main_owner)] = _execute(self._connection, "versions")
        return frozenset(versions.split()), main_owner

    def _names(self, oids: Collection[str] | None = None) -> list[_Name]:
        """Return what queries/names.sql finds for some objects, or for all."""
        if oids is None:
            rows = _execute(self._connection, "all names")
        else:
            rows = _execute(self._connection, "names", f"({_array(oids)})")
        return [(object_, str(oid), *more) for object_, oid, *more in rows]

    def _facts_of(self, name: str, oids: Collection[str], main_owner: int) -> list[Fact] | None:
        """Return the facts of these objects, maybe of what has no owner; None if one is locked."""
        try:
            return _facts(_execute(self._connection, name, f"({_array(oids)}, {main_owner})"))
        except psycopg.errors.LockNotAvailable:
            return None  # to read all names who has locked a table


def _array(oids: Collection[str]) -> str:
    return f"'{{{','.join(oids)}}}'"


def _owner(fact: Fact) -> str:
    is_part = fact.kind in PARTS and (fact.of or fact.kind != "rule")  # no comment on a rule
    return (fact.of or fact.name) if is_part else _OTHERS


def _parts(facts: Iterable[Fact]) -> Parts:
    parts: dict[str, list[Fact]] = {}
    for fact in sorted(facts):
        parts.setdefault(_owner(fact), []).append(fact)
    return {owner: tuple(its) for owner, its in parts.items()}


def take(connection: Connection) -> Snapshot:
    """Return the whole catalog; the limit for a statement of a file does not hold for this one."""
    try:
        facts = _facts(_execute(connection, "all"))
    except psycopg.errors.LockNotAvailable:
        return snapshot.take(connection)  # names who has locked a table
    return Snapshot(tuple(sorted(facts)), connection.info.server_version // 10000)


def _facts(rows: list[tuple[Any, ...]]) -> list[Fact]:
    return [Fact(k, n, t, v.replace("\r\n", "\n"), *more) for k, n, t, v, *more in rows]


def _execute(connection: Connection, name: str, argument: str = "") -> list[tuple[Any, ...]]:
    """Execute a query that the session keeps prepared, because to plan it takes longest.

    Everything is sent as one message: a file is followed by several of these.
    """
    begin, end = "begin", "rollback"
    if connection.info.transaction_status != pq.TransactionStatus.IDLE:
        begin, end = "savepoint catalog", "rollback to savepoint catalog; release savepoint catalog"
    type_, text, settings = _queries()[name]
    set_all = (
        f"pg_catalog.set_config('{key}', '{value}', true)" for key, value in settings.items()
    )
    begin = f"{begin}; select {', '.join(set_all)}"  # one result for all
    execute = f'{begin}; execute "{_PREFIX}{name}" {argument}; {end}'.encode()
    try:
        try:
            return _rows(connection.execute(execute))
        except psycopg.errors.InvalidSqlStatementName:  # not yet, or a file has deallocated it
            prepare = f'prepare "{_PREFIX}{name}" {type_} as {text}'
            connection.execute(f"{end}; {begin}; {prepare}; {end}".encode())
            return _rows(connection.execute(execute))
    except psycopg.Error:
        connection.execute(end.encode())
        raise


def _rows(cursor: psycopg.Cursor[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the second result that has rows; the first is of the settings."""
    for _ in range(2):
        while cursor.nextset() and not (cursor.pgresult and cursor.pgresult.nfields):
            pass
    return cursor.fetchall()


@cache
def _queries() -> dict[str, tuple[str, str, dict[str, str]]]:
    """Return the types of the parameters, the text and the settings of each query, by name."""
    catalog = snapshot.scoped(query("schema/catalog"))
    facts, count = _RESTRICTED.subn(r"\1.oid = any ($1) and \1.oid >= s.first_oid", catalog)
    assert count == 4, count  # noqa: S101 - relations, functions, types, sequences
    facts = _MAIN_OWNER.sub("$2,\n", facts)  # to count the tables of each takes longest
    names = query("preflight/names")
    return {
        "all": ("", catalog, _SETTINGS),
        "roles": ("", query("preflight/role_facts"), _SETTINGS),
        "facts": ("(oid[], oid)", facts, _SETTINGS | _BY_INDEX),
        "parts": ("(oid[], oid)", _OF_OTHERS.sub("", facts), _SETTINGS | _BY_INDEX),
        "names": (
            "(oid[])",
            names.replace("{whole}", query("preflight/touched")),
            _SETTINGS | _BY_INDEX,
        ),
        "all names": ("", names.replace("{whole}", _EVERY_OID), _SETTINGS),
        "versions": ("", snapshot.scoped(query("preflight/catalog_versions")), _SETTINGS | _HASHED),
    }
