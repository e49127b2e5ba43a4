"""Judge the updates and deletes of every relation as every caller; inserts are in inserts.py."""

from __future__ import annotations

from dataclasses import replace

from runner.isolation.probes import inserts
from runner.isolation.probes.effects import Effect, Effects
from runner.isolation.probes.enclosure import MOST
from runner.isolation.probes.execute import NOT_TRIED, UNSUPPORTED, Attempt, Outcome
from runner.isolation.probes.findings import LACKS_OTHER, LACKS_OWN, UNTRIED
from runner.isolation.probes.reads import Probe
from runner.isolation.probes.write_statements import Write, WriteStatements, merge
from runner.isolation.rows.identity import OTHER
from runner.isolation.rows.snapshot import Row
from runner.isolation.tenancy.objects import SHARED, UNDECIDED
from runner.isolation.tenancy.variables import literal, quoted

_LIMIT_REACHED = "22012"
_DENIED = "42501"
_INTERNAL = "XX000"  # how Citus refuses some
_PASSED_POLICIES = ("23503", "23001", "23505", "23P01")  # constraints are checked after policies


def try_all(probe: Probe) -> None:
    """Update, delete and insert as each caller, and record the cells."""
    writer = _Writer(probe)
    statements = writer.statements
    writes = [
        write
        for caller in probe.callers
        for relation in probe.relations
        if relation.kind in ("r", "p", "v")
        and (not caller.in_both or probe.rights.declared(relation))
        for write in (*statements.updates(caller, relation), *statements.deletes(caller, relation))
    ]
    while writes:
        outcomes = probe.run([write.attempt for write in writes])
        apart: list[Write] = []
        for write, outcome in zip(writes, outcomes, strict=True):
            if write.parts and not writer.is_expected(write, outcome):
                apart += write.parts
                continue
            two = list(writer.statements.apart(write)) if writer.hides(write, outcome) else []
            if two:
                apart += two
                continue
            for each in write.parts or [write]:
                writer.judge(each, outcome)
        writes = apart
    writer.again()
    inserts.try_all(probe, writer.effects)


def _is_unseen(write: Write, outcome: Outcome) -> bool:
    """Whether a MERGE failed before it looked at a row: a privilege, rules, a limit of Citus."""
    unsupported = outcome.sqlstate in (UNSUPPORTED, _INTERNAL)
    return write.command == "merge" and (outcome.unprivileged or unsupported)


class _Writer:
    """Judges the updates and deletes."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self.effects = Effects(probe.snapshot, probe.fixture.tenants)
        self.statements = WriteStatements(probe, self.effects)
        self._find = self.statements.find
        # declared, and not seen to work on all rows: of the own tenant, or of the other
        self._unmet: list[tuple[Write, list[Row]]] = []

    def is_expected(self, write: Write, outcome: Outcome) -> bool:
        """Whether a statement changed exactly what each of its parts may change.

        An error of one column would hide what another one changes.
        """
        gone = self.effects.of(outcome).gone
        changed = {row.place for _, row in gone}
        return not outcome.sqlstate and changed == self.statements.allowed(write)

    def hides(self, write: Write, outcome: Outcome) -> bool:
        """Whether an error about a row of one tenant leaves open what happens to the other's."""
        known = outcome.unprivileged or outcome.sqlstate in (_LIMIT_REACHED, *NOT_TRIED)
        of_both = write.blind or (write.condition and not write.only)
        return bool(outcome.sqlstate and of_both and not known)

    def judge(self, write: Write, outcome: Outcome) -> None:
        """Record the cells of one update or delete: the other tenant's rows, then the own.

        None where it shows nothing: the updates with WHERE show what is refused.
        """
        if _is_unseen(write, outcome) or (write.blind and self.hides(write, outcome)):
            return
        effect = self.effects.of(outcome)
        self._judge_other(write, outcome, effect)
        judged = self._probe.rights.judged(write.caller)
        if self._probe.rights.declared(write.relation) and judged:
            if write.what == "move to the other tenant" or write.only == "other":
                return
            self._judge_own(write, outcome, effect)

    def _judge_other(self, write: Write, outcome: Outcome, effect: Effect) -> None:
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
        problem = ""
        rights = self._probe.rights
        judged = rights.judged(caller)
        may = rights.may(relation, write.needs, caller, other, write.column)
        if not judged:
            pass
        elif leaked or (moved and not caller.in_both and not caller.everywhere):
            tables = list(
                dict.fromkeys([t.qualified for t, _ in leaked] or [t.qualified for t in moved])
            )
            problem = (
                f"changes rows of another tenant in {', '.join(tables)}: {len(leaked or moved)}"
            )
        elif outcome.sqlstate == _LIMIT_REACHED:
            problem = f"changes rows of other tenants in {relation.qualified}: {MOST} or more"
        elif shared and not self._may_share(write):
            problem = f"changes rows that all tenants share, in {', '.join(shared)}"
        reached = [table for table, row in effect.gone if row.owner == other] or moved
        worked = any(row.owner == other and row.place in allowed for _, row in effect.gone)
        has_rows = relation.tenancy not in (SHARED, UNDECIDED)
        missing = caller.everywhere and judged and may and has_rows and not worked
        if missing and not problem and write.only != "own":
            rows = rights.rows(relation, write.needs, caller, write.column)
            if rows := [row for row in rows if row.owner == other]:
                self._unmet.append((write, rows))
                return
            problem = f"{UNTRIED} on {relation.qualified}: {LACKS_OTHER}"
        if write.only == "own" and not problem:
            return
        shown = "" if outcome.sqlstate else f"{len(reached)} of the other's rows"
        crosses = caller.everywhere and (may or not judged)
        self._record(write, outcome, "other", allowed=crosses, problem=problem, shown=shown)

    def _may_share(self, write: Write) -> bool:
        return write.relation.tenancy == SHARED and self._probe.rights.any(
            write.relation, write.needs, write.caller.role
        )

    def _judge_own(self, write: Write, outcome: Outcome, effect: Effect) -> None:
        caller, relation = write.caller, write.relation
        if relation.tenancy == SHARED:
            return
        target = self.effects.target(relation)
        rows = self._probe.rights.rows(relation, write.needs, caller, write.column)
        allowed = self.statements.allowed(write)
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
        may = self._probe.rights.may(relation, write.needs, caller, caller.own, write.column)
        reached = changed & allowed
        if not problem and caller.regular and own and not reached and not write.blind:
            if not write.rows:
                self._unmet.append((write, own))
                return
            if write.rows and write.rows[0] in own and outcome.sqlstate not in NOT_TRIED:
                self._unmet.append((write, own))
                return
        if not problem and caller.regular and may and not own:
            denied = f"may {write.command} in own rows of {relation.qualified}, but got {outcome}"
            untried = f"{UNTRIED} on {relation.qualified}: {LACKS_OWN}"
            problem = denied if outcome.sqlstate == _DENIED else untried
        self._record(write, outcome, "own", allowed=may, problem=problem)

    def again(self) -> None:
        """Try the declared rights that did not work on all rows at once: row by row."""
        grouped: dict[tuple[str | int | None, ...], list[tuple[Write, list[Row]]]] = {}
        for write, rows in self._unmet:
            caller, relation = write.caller, write.relation
            key = (caller.name, relation.oid, write.command, write.column, rows[0].owner)
            grouped.setdefault(key, []).append((write, rows))
        for of_right in grouped.values():
            write, rows = of_right[0]
            name, own = write.relation.qualified, rows[0].owner == write.caller.own
            tries = [
                Attempt(write.caller.identity, self._of_row(write, row))
                for row in rows
                if self._find.key(write.caller, write.relation, row)
            ]
            outcomes = list(self._probe.run(tries))
            worked = [o for o in outcomes if o.rows]
            worked = worked or [o for o in outcomes if o.sqlstate in _PASSED_POLICIES]
            problem = ""
            outcome = (worked or outcomes or [Outcome()])[0]
            if _is_unseen(write, outcome):
                continue  # the updates show what the right is worth
            if worked and own:
                self._probe.findings.partial.add((name, write.needs, write.caller.name))
            elif not outcomes:
                problem = f"could not be tried on {name}: it may read no column that names a row"
            elif not worked and outcome.sqlstate not in NOT_TRIED:
                what = f" {write.column}" if write.column else ""
                whose = "own rows" if own else "the other tenant's rows"
                problem = f"may {write.command}{what} in {whose} of {name}, but got {outcome}"
            attempt = tries[outcomes.index(outcome)] if outcomes else write.attempt
            write = replace(write, attempt=attempt)
            self._record(
                write, outcome, "own" if own else "other", allowed=True, problem=problem,
                shown="" if own or outcome.sqlstate else f"{outcome.rows} of the other's rows",
            )  # fmt: skip

    def _of_row(self, write: Write, row: Row) -> str:
        where = self._find.key(write.caller, write.relation, row)
        if write.command == "delete":
            return f"delete from {write.relation.qualified} where {where}"  # noqa: S608
        if write.command == "merge" and write.column:
            return merge(write.relation, write.column, f"t.{quoted(write.column)}", where)
        name = quoted(write.column or "")
        value = name
        if write.column not in write.relation.usable(write.caller.role, "select"):
            value = literal(row.values[write.column or ""] or "")
        return f"update {write.relation.qualified} set {name} = {value} where {where}"  # noqa: S608

    def _record(
        self, write: Write, outcome: Outcome, where: str, *, allowed: bool, problem: str,
        shown: str = "",
    ) -> None:  # fmt: skip
        self._probe.findings.cell(
            write.relation, write.command, write.caller, outcome, what=write.what, where=where,
            statement=write.attempt.sql, allowed=allowed, problem=problem, shown=shown,
        )  # fmt: skip
