"""Update and delete rows of every relation as every caller; inserts are in inserts.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from psycopg import sql

from runner.isolation.probes import inserts
from runner.isolation.probes.effects import Effect, Effects
from runner.isolation.probes.execute import NOT_TRIED, Attempt, Outcome
from runner.isolation.probes.identities import Caller
from runner.isolation.probes.reads import Probe
from runner.isolation.probes.write_rows import WriteRows
from runner.isolation.rows.identity import OTHER
from runner.isolation.rows.snapshot import Row
from runner.isolation.tenancy.objects import SHARED, Relation

_MOST = 200  # rows that a statement without WHERE may change before it is ended
_LIMIT_REACHED = "22012"
_STOP = (
    f"{_MOST} / ({_MOST} - set_config('isolation.rows', (coalesce(nullif(current_setting("
    "'isolation.rows', true), ''), '0')::int + 1)::text, true)::int) > 0"
)
_PASSED_POLICIES = ("23503", "23001", "23505", "23P01")  # constraints are checked after policies
_BLIND = 3  # columns that are updated without WHERE, since a check may refuse a value
_OWN_ROWS = 8  # that are deleted one by one


@dataclass(frozen=True)
class _Write:
    """A statement, and how to judge it."""

    caller: Caller
    relation: Relation
    command: str
    what: str
    attempt: Attempt
    column: str | None = None
    blind: bool = False
    rows: Sequence[Row] = field(default_factory=tuple)  # own rows that the statement names

    @property
    def needs(self) -> str:
        """The command whose rights it needs."""
        return "update" if self.command == "merge" else self.command


def try_all(probe: Probe) -> None:
    """Update, delete and insert as each caller, and record the cells."""
    writer = _Writer(probe)
    writes = [
        write
        for caller in probe.callers
        for relation in probe.relations
        if relation.kind in ("r", "p", "v")
        and (not caller.in_both or probe.rights.declared(relation))
        for write in (*writer.updates(caller, relation), *writer.deletes(caller, relation))
    ]
    outcomes = probe.run([write.attempt for write in writes])
    for write, outcome in zip(writes, outcomes, strict=True):
        writer.judge(write, outcome)
    writer.again()
    inserts.try_all(probe, writer.effects)


class _Writer:
    """Build and judge the updates and deletes."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self.effects = Effects(probe.snapshot, probe.fixture.tenants)
        self._find = WriteRows(probe, self.effects)
        self._unmet: list[tuple[_Write, list[Row]]] = []  # declared, and did not work on all rows
        superuser = probe.findings.connection.info.parameter_status("is_superuser") == "on"
        self._replica = "set local session_replication_role = replica" if superuser else ""

    # --- statements --------------------------------------------------------------------------

    def updates(self, caller: Caller, relation: Relation) -> Iterator[_Write]:
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
                    yield self._update(caller, relation, name, _name(name), what)
        readable = relation.usable(caller.role, "select")
        if caller.everywhere:
            where = self._find.of_both(relation) if judged else ""
            for name in columns if where else ():
                text = f"update {relation.qualified} as t set {_name(name)} = {_name(name)}"  # noqa: S608
                attempt = Attempt(caller.identity, f"{text} where {where}", watch=True)
                yield _Write(caller, relation, "update", name, attempt, name)
            return
        for name in columns if caller.regular or caller.rights.get(caller.own) else ():
            if name in readable:
                yield self._update(caller, relation, name, _name(name), name)
            elif value := self._find.constant(relation, name):
                yield self._update(caller, relation, name, value, name)
        plain = [name for name in columns if self._find.is_plain(relation, name)]
        for name in plain[:_BLIND]:
            if value := self._find.constant(relation, name):
                yield self._update(
                    caller, relation, name, value, f"{name}, without WHERE", blind=True
                )
        if relation.is_table and caller.rights.get(caller.own):
            yield from self._merge(caller, relation, [n for n in columns if n in readable])
        tenant = None if caller.in_both else relation.tenant_column
        if tenant in columns and tenant and caller.own in self._probe.fixture.ids:
            ids = self._probe.fixture.ids
            text = (
                f"update {relation.qualified} set {_name(tenant)} = "  # noqa: S608
                f"{_literal(ids[OTHER[caller.own]])} where {_name(tenant)} = "
                f"{_literal(ids[caller.own])}"
            )
            attempt = Attempt(caller.identity, text, watch=True)
            yield _Write(caller, relation, "update", "move to the other tenant", attempt, tenant)

    def _merge(self, caller: Caller, relation: Relation, columns: list[str]) -> Iterator[_Write]:
        """Yield a MERGE that updates what it finds of both tenants."""
        where = self._find.of_both(relation)
        if (
            not columns
            or not where
            or relation.tenant_column not in relation.usable(caller.role, "select")
        ):
            return
        name = _name(columns[0])
        text = (
            f"merge into {relation.qualified} as t using (select 1) as s on {where}"
            f" when matched then update set {name} = t.{name}"
        )
        attempt = Attempt(caller.identity, text, watch=True)
        yield _Write(caller, relation, "merge", columns[0], attempt, columns[0])

    def _update(
        self,
        caller: Caller,
        relation: Relation,
        column: str,
        value: str,
        what: str,
        *,
        blind: bool = False,
    ) -> _Write:
        text = f"update {relation.qualified} set {_name(column)} = {value} where {_STOP}"  # noqa: S608
        before = self._replica if blind else ""  # a trigger might refuse one row of many
        attempt = Attempt(caller.identity, text, watch=True, before=before)
        return _Write(caller, relation, "update", what, attempt, column, blind)

    def deletes(self, caller: Caller, relation: Relation) -> Iterator[_Write]:
        """Yield a delete of each own row by its key, and one of all rows without WHERE."""
        if not relation.holds(caller.role, "delete"):
            if caller.regular:
                text = f"delete from {relation.qualified} where {_STOP}"  # noqa: S608
                attempt = Attempt(caller.identity, text, watch=True)
                yield _Write(caller, relation, "delete", "rows", attempt)
            return
        judged = self._probe.rights.judged(caller)
        if not judged or caller.in_both:
            return
        if caller.regular:
            rows = self._probe.snapshot.of(relation, caller.own)
            allowed = {id(r) for r in self._probe.rights.rows(relation, "delete", caller)}
            rows = sorted(rows, key=lambda row: id(row) in allowed)
            for row in [*rows[: _OWN_ROWS // 2], *rows[_OWN_ROWS // 2 :][-_OWN_ROWS // 2 :]]:
                if where := self._find.key(caller, relation, row):
                    text = f"delete from {relation.qualified} where {where}"  # noqa: S608
                    attempt = Attempt(caller.identity, text, watch=True)
                    yield _Write(caller, relation, "delete", "rows", attempt, rows=(row,))
        if caller.everywhere:
            return
        text = f"delete from {relation.qualified} where {_STOP}"  # noqa: S608
        attempt = Attempt(caller.identity, text, watch=True, before=self._replica)
        yield _Write(caller, relation, "delete", "rows, without WHERE", attempt, blind=True)

    # --- judgement ---------------------------------------------------------------------------

    def judge(self, write: _Write, outcome: Outcome) -> None:
        """Record the cells of one update or delete: the other tenant's rows, then the own."""
        effect = self.effects.of(outcome)
        self._judge_other(write, outcome, effect)
        judged = self._probe.rights.judged(write.caller)
        if self._probe.rights.declared(write.relation) and judged:
            if write.what == "move to the other tenant":
                return
            self._judge_own(write, outcome, effect)

    def _judge_other(self, write: _Write, outcome: Outcome, effect: Effect) -> None:
        caller, relation = write.caller, write.relation
        other = OTHER[caller.own]
        allowed = self.effects.base_rows(
            relation, self._probe.rights.rows(relation, write.needs, caller)
        )
        leaked = [
            (table, row)
            for table, row in effect.gone
            if row.owner == other and row.place not in allowed
        ]
        moved = [table for table, owner in effect.added if owner == other]
        shared = effect.touched("S")
        where, problem = "other", ""
        if not self._probe.rights.judged(caller):
            pass
        elif leaked or (moved and not caller.in_both and not caller.everywhere):
            tables = list(
                dict.fromkeys([t.qualified for t, _ in leaked] or [t.qualified for t in moved])
            )
            problem = (
                f"changes rows of another tenant in {', '.join(tables)}: {len(leaked or moved)}"
            )
        elif outcome.sqlstate == _LIMIT_REACHED:
            problem = f"changes rows of other tenants in {relation.qualified}: {_MOST} or more"
        elif shared and not self._may_share(write):
            problem = f"changes rows that all tenants share, in {', '.join(shared)}"
        self._record(write, outcome, where, allowed=caller.everywhere, problem=problem)

    def _may_share(self, write: _Write) -> bool:
        return write.relation.tenancy == SHARED and self._probe.rights.any(
            write.relation, write.needs, write.caller.role
        )

    def _judge_own(self, write: _Write, outcome: Outcome, effect: Effect) -> None:
        caller, relation = write.caller, write.relation
        if relation.tenancy == SHARED:
            return
        target = self.effects.target(relation)
        rows = self._probe.rights.rows(relation, write.needs, caller, write.column)
        allowed = self.effects.base_rows(relation, rows)
        changed = {row.place for row in effect.changed(target, caller.own)} if target else set()
        named = self.effects.base_rows(relation, write.rows)
        if write.rows and outcome.sqlstate in _PASSED_POLICIES:
            changed |= named
        beyond = changed - allowed
        problem = ""
        if beyond and not (write.command == "delete" and write.blind and allowed):
            verb = "deletes" if write.command == "delete" else f"changes {write.column} in"
            problem = f"{verb} own rows of {relation.qualified} that no right allows: {len(beyond)}"
        own = [row for row in rows if row.owner == caller.own]
        reached = changed & allowed
        if not problem and caller.regular and own and not reached and not write.blind:
            if not write.rows and write.command != "merge":
                self._unmet.append((write, own))
                return
            if write.rows and write.rows[0] in own and outcome.sqlstate not in NOT_TRIED:
                self._unmet.append((write, own))
                return
        self._record(write, outcome, "own", allowed=bool(allowed), problem=problem)

    def again(self) -> None:
        """Try the declared rights that did not work on all rows at once: row by row."""
        grouped: dict[tuple[str, int, str, str | None], list[tuple[_Write, list[Row]]]] = {}
        for write, rows in self._unmet:
            key = (write.caller.name, write.relation.oid, write.command, write.column)
            grouped.setdefault(key, []).append((write, rows))
        for of_right in grouped.values():
            write, rows = of_right[0]
            tries = [
                Attempt(write.caller.identity, self._of_row(write, row))
                for row in rows
                if self._find.key(write.caller, write.relation, row)
            ]
            outcomes = list(self._probe.run(tries))
            worked = [o for o in outcomes if o.rows or o.sqlstate in _PASSED_POLICIES]
            problem = ""
            outcome = (worked or outcomes or [Outcome()])[0]
            if worked:
                self._probe.findings.partial.add(
                    (write.relation.qualified, write.command, write.caller.name)
                )
            else:
                what = f" {write.column}" if write.column else ""
                problem = (
                    f"may {write.command}{what} in own rows of {write.relation.qualified}, "
                    f"but got {outcome}"
                )
            self._record(write, outcome, "own", allowed=True, problem=problem)

    def _of_row(self, write: _Write, row: Row) -> str:
        where = self._find.key(write.caller, write.relation, row)
        if write.command == "delete":
            return f"delete from {write.relation.qualified} where {where}"  # noqa: S608
        name = _name(write.column or "")
        value = name
        if write.column not in write.relation.usable(write.caller.role, "select"):
            value = _literal(row.values[write.column or ""] or "")
        return f"update {write.relation.qualified} set {name} = {value} where {where}"  # noqa: S608

    def _record(
        self, write: _Write, outcome: Outcome, where: str, *, allowed: bool, problem: str
    ) -> None:
        self._probe.findings.cell(
            write.relation, write.command, write.caller, outcome, what=write.what, where=where,
            statement=write.attempt.sql, allowed=allowed, problem=problem,
        )  # fmt: skip


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return sql.Literal(text).as_string(None)
