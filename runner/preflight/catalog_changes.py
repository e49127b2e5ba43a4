"""Find what a transaction changes in the catalog, statement by statement.

A snapshot of the whole catalog after each statement takes as long as the catalog is large. Most
statements only add to a few objects: the rows that they wrote in pg_catalog say which, and only the
facts of these are read again. After others, such as a drop, or a row that has another name than it
had (also by a function that the statement calls), all facts are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import psycopg

from runner.execution import transactional
from runner.files.statements import Statement
from runner.postgres.connection import Connection
from runner.queries import query
from runner.schema import snapshot
from runner.schema.snapshot import Fact, Snapshot

# Catalogs whose rows queries/touched.sql traces to relations, functions and types; a deleted row
# cannot be traced, except where what it depended on is not a fact.
_TRACED = frozenset(
    (
        *("pg_attrdef", "pg_attribute", "pg_class", "pg_constraint", "pg_description", "pg_enum"),
        *("pg_index", "pg_policy", "pg_proc", "pg_sequence", "pg_trigger", "pg_type"),
    )
)
_NO_FACTS = frozenset(("pg_depend", "pg_shdepend", "pg_statistic"))
# Statements that change to what an object belongs: only rows of pg_depend say so.
_BELONGS = re.compile(r"(?i)\b(?:owned|extension)\b")
# Kinds of facts that belong to a relation, function or type.
_PARTS = frozenset(
    (
        *("table", "view", "materialized view", "foreign table", "sequence", "column"),
        *("constraint", "index", "trigger", "policy", "rule"),
        *("function", "procedure", "aggregate", "type"),
    )
)
_RESTRICTED = re.compile(r"\b([cpt])\.oid >= s\.first_oid")

_PREFIX = "plan "  # of the prepared statements
_SETTINGS = (
    f"{snapshot.PIN}; set local statement_timeout = 0; set local lock_timeout = '2s';"
    " set local plan_cache_mode = force_generic_plan"
)
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

_Written = dict[str, list[int]]  # rows written and deleted, by catalog


class CatalogChanges:
    """The catalog as the open transaction left it, and what the next statements change."""

    def __init__(self, connection: Connection, before: Snapshot) -> None:
        self._connection = connection
        self._version = before.version
        self._command = 0
        self._transactional = True
        self._written: _Written | None = None  # None: unknown
        self._objects: dict[str, list[Fact]] = {}  # by relation, function or type
        self._others: list[Fact] = []
        self._names: dict[str, str] = {}
        self._keep(before.facts)

    def begin(self, *, transactional: bool) -> None:
        """Begin with another file. Outside a transaction, each statement is one of its own."""
        self._transactional = transactional
        if transactional:
            _, self._command, self._written = self._touched(0)
            self._names = self._names or self._names_since("null")

    def since(self, statements: Sequence[Statement]) -> tuple[Snapshot, Snapshot] | None:
        """Return what may differ, before and after these statements; None if nothing does."""
        if not self._transactional:
            return self.all()
        since, (oids, command, written) = self._command, self._touched(self._command)
        before, self._command, self._written = self._written, command, written
        if before is None or written is None:
            return self.all()
        if before == written:
            return None
        if not _only_adds(before, written) or any(_BELONGS.search(s.text) for s in statements):
            return self.all()
        names = self._names_since(str(since))
        if any(self._names.get(key, name) != name for key, name in names.items()):
            return self.all()
        self._names |= names
        return self._reread(oids)

    @property
    def known(self) -> Snapshot:
        """The whole catalog, as it was read last."""
        return self._snapshot([*self._others, *(f for o in self._objects.values() for f in o)])

    def all(self) -> tuple[Snapshot, Snapshot]:
        """Return everything, as it was known and as it is."""
        known = self.known
        now = take(self._connection)
        self._objects = {}
        self._keep(now.facts)
        self._names = self._names_since("null") if self._transactional else {}
        return known, now

    def _touched(self, command: int) -> tuple[list[int], int, _Written | None]:
        [(oids, next_command, written)] = _execute(self._connection, "touched", f"({command})")
        return oids, next_command, written

    def _names_since(self, command: str) -> dict[str, str]:
        return dict(_execute(self._connection, "names", f"({command})"))

    def _reread(self, oids: list[int]) -> tuple[Snapshot, Snapshot]:
        try:
            facts = self._facts_of(oids)
        except psycopg.errors.LockNotAvailable:
            return self.all()  # names who has locked a table
        # The privileges of an identity column's sequence are read for every table.
        owners = {
            _owner(f) for f in facts if f.kind in _PARTS and not (f.of and f.kind == "sequence")
        }
        facts = [f for f in facts if f.kind not in _PARTS or _owner(f) in owners]
        before = [*self._others, *(f for name in owners for f in self._objects.pop(name, ()))]
        self._keep(facts)
        return self._snapshot(before), self._snapshot(facts)

    def _facts_of(self, oids: list[int]) -> list[Fact]:
        rows = _execute(self._connection, "facts", f"('{{{','.join(map(str, oids))}}}')")
        return _facts(rows)

    def _keep(self, facts: Iterable[Fact]) -> None:
        self._others = []
        for fact in facts:
            if fact.kind in _PARTS:
                self._objects.setdefault(_owner(fact), []).append(fact)
            else:
                self._others.append(fact)

    def _snapshot(self, facts: Iterable[Fact]) -> Snapshot:
        return Snapshot(tuple(sorted(facts)), self._version)


def _owner(fact: Fact) -> str:
    return fact.of or fact.name


def _only_adds(before: _Written, after: _Written) -> bool:
    for catalog, (written, deleted) in after.items():
        was_written, was_deleted = before.get(catalog, [0, 0])
        if deleted > was_deleted and catalog not in _NO_FACTS:
            return False
        if written > was_written and catalog not in _TRACED | _NO_FACTS:
            return False
    return True


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
    """Execute a query that the session keeps prepared: to plan it takes longest."""
    execute = f'execute "{_PREFIX}{name}" {argument}'.encode()
    with connection.transaction(force_rollback=True):
        connection.execute(_SETTINGS.encode())
        try:
            with connection.transaction():
                return connection.execute(execute).fetchall()
        except psycopg.errors.InvalidSqlStatementName:  # not yet, or a file has deallocated it
            type_, text = _queries()[name]
            connection.execute(f'prepare "{_PREFIX}{name}" {type_} as {text}'.encode())
            return connection.execute(execute).fetchall()


@cache
def _queries() -> dict[str, tuple[str, str]]:
    """Return the types of the parameters and the text of each query, by name."""
    catalog = snapshot.scoped(query("schema/catalog"))
    facts, count = _RESTRICTED.subn(r"\1.oid = any ($1) and \1.oid >= s.first_oid", catalog)
    assert count == 3, count  # noqa: S101 - relations, functions, types
    touched = query("preflight/touched")
    return {
        "all": ("", catalog),
        "facts": ("(oid[])", facts),
        "names": ("(bigint)", query("preflight/names")),
        "touched": ("(bigint)", touched),
    }
