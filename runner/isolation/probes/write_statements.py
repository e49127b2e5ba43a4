"""The updates and deletes of every relation as every caller; writes.py judges what they change."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from runner.isolation.probes.effects import Effects
from runner.isolation.probes.execute import Attempt
from runner.isolation.probes.identities import Caller
from runner.isolation.probes.reads import Probe
from runner.isolation.probes.write_rows import WriteRows
from runner.isolation.rows.identity import OTHER
from runner.isolation.rows.snapshot import Row
from runner.isolation.tenancy.objects import Relation
from runner.isolation.tenancy.variables import literal, quoted
from runner.queries import query

_BLIND = 3  # columns that are updated without WHERE, since a check may refuse a value
_OWN_ROWS = 8  # that are deleted one by one


@dataclass(frozen=True)
class Write:
    """A statement, and how to judge it."""

    caller: Caller
    relation: Relation
    command: str
    what: str
    attempt: Attempt
    column: str | None = None
    blind: bool = False
    rows: Sequence[Row] = field(default_factory=tuple)  # own rows that the statement names
    parts: Sequence[Write] = ()  # the same for one column each, if this is for all of them
    condition: str = ""  # the part of the statement that selects rows of both tenants
    only: str = ""  # "own" or "other": whose rows it names, if not both

    @property
    def needs(self) -> str:
        """The command whose rights it needs."""
        return "update" if self.command == "merge" else self.command


def merge(relation: Relation, column: str, value: str, where: str) -> str:
    """Return a MERGE that updates a column of the rows that it finds."""
    return (
        f"merge into {relation.qualified} as t using (select 1) as s on {where}"
        f" when matched then update set {quoted(column)} = {value}"
    )


class WriteStatements:
    """Builds the updates and deletes."""

    def __init__(self, probe: Probe, effects: Effects) -> None:
        self._probe, self.effects = probe, effects
        self.find = WriteRows(probe, effects)
        self._stop, self._narrow = probe.enclosure.stop, probe.enclosure.narrow
        self._replica = probe.enclosure.replica(probe.findings.connection)
        self._triggers: dict[int, list[tuple[bool, list[str]]]] = {}
        for oid, always, columns in probe.findings.connection.execute(
            query("isolation/row_triggers")
        ):
            self._triggers.setdefault(oid, []).append((always, columns))

    def updates(self, caller: Caller, relation: Relation) -> Iterator[Write]:
        """Yield an update of each column that the role may write; one more without reading."""
        columns = [
            c.name
            for c in relation.columns
            if not c.generated
            and caller.role in c.roles("update")
            and caller.role in relation.users
        ]
        judged = self._probe.rights.judged(caller)
        if caller.regular and judged:
            declared = self._probe.rights.columns(relation, "update", caller, caller.own)
            named = self._probe.rights.named(relation, "update", caller)
            first = next((c.name for c in relation.columns), "")
            for name in sorted(named - set(columns)) or [first] * (not columns):
                if name:  # without the privilege
                    what = name if name in declared else "no column"
                    yield self._update(caller, relation, name, quoted(name), what)
        readable = relation.usable(caller.role, "select")
        if caller.everywhere:
            where = self.find.of_both(relation) if judged else ""
            for name in columns if where else ():
                text = f"update {relation.qualified} as t set {quoted(name)} = {quoted(name)}"  # noqa: S608
                attempt = Attempt(caller.identity, f"{text} where {where}", watch=True)
                yield Write(caller, relation, "update", name, attempt, name, condition=where)
            return
        tried = columns if caller.regular or caller.rights.get(caller.own) else []
        read = {name: quoted(name) for name in tried if name in readable}
        yield from self._together(caller, relation, read)
        unread = {name: self.find.constant(relation, name) for name in tried if name not in read}
        yield from self._together(caller, relation, unread)
        plain = [name for name in columns if self.find.is_plain(relation, name)][:_BLIND]
        constants = {name: self.find.constant(relation, name) for name in plain}
        yield from self._together(caller, relation, constants, blind=True)
        if relation.is_table and caller.regular and caller.rights.get(caller.own):
            yield from self._merge(caller, relation, [n for n in columns if n in readable])
        tenant = None if caller.in_both else relation.tenant_column
        if tenant in columns and tenant and caller.own in self._probe.fixture.ids:
            ids = self._probe.fixture.ids
            text = (
                f"update {relation.qualified} set {quoted(tenant)} = "  # noqa: S608
                f"{literal(ids[OTHER[caller.own]])} where {quoted(tenant)} = "
                f"{literal(ids[caller.own])}"
            )
            attempt = Attempt(caller.identity, text, watch=True)
            yield Write(caller, relation, "update", "move to the other tenant", attempt, tenant)

    def _merge(self, caller: Caller, relation: Relation, columns: list[str]) -> Iterator[Write]:
        """Yield a MERGE that updates what it finds of both tenants."""
        where = self.find.of_both(relation)
        if (
            not columns
            or not where
            or relation.tenant_column not in relation.usable(caller.role, "select")
        ):
            return
        text = merge(relation, columns[0], f"t.{quoted(columns[0])}", where)
        attempt = Attempt(caller.identity, text, watch=True)
        yield Write(caller, relation, "merge", columns[0], attempt, columns[0], condition=where)

    def _together(
        self, caller: Caller, relation: Relation, values: Mapping[str, str], *, blind: bool = False
    ) -> Iterator[Write]:
        """Yield one update of all columns with the same rights; its parts are one of each.

        Apart from those for which a trigger may skip rows, which would hide the other columns.
        """
        groups: dict[tuple[frozenset[str], str], list[Write]] = {}
        suffix = ", without WHERE" if blind else ""
        apart = self._skippable(relation, values, blind=blind)
        for name, value in values.items():
            if value:
                write = self._update(caller, relation, name, value, name + suffix, blind=blind)
                key = (frozenset(self.allowed(write)), name if name in apart else "")
                groups.setdefault(key, []).append(write)
        for parts in groups.values():
            if len(parts) == 1:
                yield parts[0]
                continue
            written = {part.column or "": values[part.column or ""] for part in parts}
            where = self._where(caller, relation, blind=blind)
            attempt = self._update_of(caller, relation, written, where, blind=blind)
            yield replace(parts[0], attempt=attempt, parts=parts)

    def _skippable(
        self, relation: Relation, values: Mapping[str, str], *, blind: bool
    ) -> Collection[str]:
        target = self.effects.target(relation) or relation
        changed = any(value != quoted(name) for name, value in values.items())
        found: set[str] = set()
        for of in {relation.oid, target.oid}:
            for always, columns in self._triggers.get(of, ()):
                if blind and self._replica and not always:
                    continue
                if changed or of != relation.oid:  # its condition may be about any value
                    return values
                found |= set(columns)
        return found

    def _update(
        self,
        caller: Caller,
        relation: Relation,
        column: str,
        value: str,
        what: str,
        *,
        blind: bool = False,
    ) -> Write:
        where = self._where(caller, relation, blind=blind)
        attempt = self._update_of(caller, relation, {column: value}, where, blind=blind)
        return Write(
            caller, relation, "update", what, attempt, column, blind,
            condition="" if blind else where,
        )  # fmt: skip

    def _where(self, caller: Caller, relation: Relation, *, blind: bool) -> str:
        both = self.find.of_both(relation) if self._narrow and not blind else ""
        narrow = both and relation.tenant_column in relation.usable(caller.role, "select")
        return both if narrow else self._stop

    def _update_of(
        self, caller: Caller, relation: Relation, values: Mapping[str, str], where: str, *,
        blind: bool,
    ) -> Attempt:  # fmt: skip
        made = ", ".join(f"{quoted(column)} = {value}" for column, value in values.items())
        text = f"update {relation.qualified} as t set {made} where {where}"  # noqa: S608
        before = self._replica if blind else ""  # a trigger might refuse one row of many
        return Attempt(caller.identity, text, watch=True, before=before)

    def apart(self, write: Write) -> Iterator[Write]:
        """Yield the same statement for the rows of one tenant each, where they can be named."""
        caller = write.caller
        if not write.condition:
            return
        for only, owner in (("own", caller.own), ("other", OTHER[caller.own])):
            if where := self.find.of(caller, write.relation, owner):
                text = write.attempt.sql.replace(write.condition, where, 1)
                yield replace(write, attempt=replace(write.attempt, sql=text), only=only)

    def deletes(self, caller: Caller, relation: Relation) -> Iterator[Write]:
        """Yield a delete of each own row by its key, and one of all rows without WHERE."""
        if not relation.holds(caller.role, "delete"):
            if caller.regular:
                text = f"delete from {relation.qualified} where {self._stop}"  # noqa: S608
                attempt = Attempt(caller.identity, text, watch=True)
                yield Write(caller, relation, "delete", "rows", attempt)
            return
        judged = self._probe.rights.judged(caller)
        if not judged or caller.in_both:
            return
        if caller.regular:
            rows = self._probe.snapshot.of(relation, caller.own)
            if self._probe.rights.may(relation, "delete", caller, caller.own) and not rows:
                attempt = Attempt(caller.identity, f"delete from {relation.qualified} where false")  # noqa: S608
                yield Write(caller, relation, "delete", "rows", attempt)  # it cannot be tried
            allowed = {id(r) for r in self._probe.rights.rows(relation, "delete", caller)}
            rows = sorted(rows, key=lambda row: id(row) in allowed)
            for row in [*rows[: _OWN_ROWS // 2], *rows[_OWN_ROWS // 2 :][-_OWN_ROWS // 2 :]]:
                if where := self.find.key(caller, relation, row):
                    text = f"delete from {relation.qualified} where {where}"  # noqa: S608
                    attempt = Attempt(caller.identity, text, watch=True)
                    only = "" if caller.everywhere else "own"
                    yield Write(caller, relation, "delete", "rows", attempt, rows=(row,), only=only)
        if caller.everywhere:
            return
        text = f"delete from {relation.qualified} where {self._stop}"  # noqa: S608
        attempt = Attempt(caller.identity, text, watch=True, before=self._replica)
        yield Write(caller, relation, "delete", "rows, without WHERE", attempt, blind=True)

    def allowed(self, write: Write) -> set[str]:
        """Return the places of the rows that a caller may write so."""
        rows = self._probe.rights.rows(write.relation, write.needs, write.caller, write.column)
        return self.effects.base_rows(write.relation, rows)
