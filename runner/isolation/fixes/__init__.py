"""Fixes: for each breach the exact statements, and one fix for all breaches of a cause.

The catalog that the files make, which drift compares the database with, has the statements. So a
breach that a difference explains has the fix of that difference. What no difference explains keeps
the statement of its proof; without one, it says which object of which file decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from psycopg import sql

from runner.isolation import drift, surface
from runner.isolation.fixes import causes, declare
from runner.isolation.fixes.declared import Declared
from runner.isolation.fixes.faults import BEYOND, REFUSAL, Faults, is_leak, is_refusal
from runner.isolation.report.places import Place, Places
from runner.isolation.surface import lock_file
from runner.isolation.verdict import Breach, Verdict
from runner.postgres.connection import Connection
from runner.preflight.order import decided_by_owner, is_sql, joined, parts, rank_of_fix
from runner.schema import snapshot
from runner.schema.snapshot import Snapshot

_COMPARE = "-- compare "
_BY_FILES = (
    "note: the database is what its files make, so a fix of what they make belongs in a new "
    "migration: python -m runner new NAME. By hand it would be drift"
)
_LOST = re.compile(r'column (.+)\.("(?:[^"]|"")+"|[^.]+): in the files and not here')
_NO_VALUE = "22P02: "  # how an attack ends that needs a value of a row
_OF_TABLE = re.compile(
    r"revoke (select|insert|update|references) on (?:table )?(\S+) from ([^,;]+);"
)


def complete(verdict: Verdict, connection: Connection, sql_dir: Path) -> Verdict:
    """Return the verdict with the fixes of its breaches, in the order in which they apply."""
    if verdict.proven:
        return verdict
    verdict = replace(verdict, breaches=tuple(_possible(verdict.breaches)))
    completer = _Completer(verdict, connection, sql_dir)
    explained = [(completer.explained(b), completer.stays(b)) for b in verdict.breaches]
    breaches = [completer.statements(b) for b in completer.declared.offered(explained)]
    ordered = tuple(sorted(breaches, key=lambda b: rank_of_fix(b.fix)))
    as_files = any(c.name == drift.NAME and c.passed for c in verdict.checks)
    notes = (_BY_FILES,) if as_files and any(is_sql(b.fix) for b in ordered) else ()
    return replace(verdict, breaches=ordered, warnings=(*verdict.warnings, *notes))


class _Completer:
    """Finds the cause of each breach: what differs, else what the files changed last."""

    def __init__(self, verdict: Verdict, connection: Connection, sql_dir: Path) -> None:
        self._now = snapshot.take(connection)
        self.declared = Declared(declare.actors(sql_dir), sql_dir)
        self._found = causes.differences(verdict.breaches, self._now)
        self._fixes: dict[int, str] = {}
        self._intended: dict[int, str] = {}
        for members in causes.components(self._found):
            kept = (self.declared.kept(_here(d, connection), note=True) for d in members)
            text = joined(map(decided_by_owner, kept))
            accepted = _unique(b.intended for d in members for b in d.breaches)
            self._fixes.update((id(d), text) for d in members)
            self._intended.update((id(d), accepted) for d in members)
        # Without the catalog of the files, the statement is unknown, and not that there is none.
        self._compared = any(c.name == drift.NAME for c in verdict.checks)
        self._files = Places(sql_dir)
        attacks = {check.name for check in verdict.checks if check.kind == "attack"}
        self._rules = {check.name for check in verdict.checks if check.kind == "rule"}
        self.leaks = {breach: None for breach in verdict.breaches if is_leak(breach, attacks)}
        self._faults = Faults(verdict, self.leaks, self._now, self._files)
        self._no_rows = {b.subject: b for b in verdict.breaches if b.proof == f"rows.{b.subject}"}

    def explained(self, given: Breach) -> Breach:
        """Return a breach with its cause, its fix, and what is to be done if it is intended."""
        breach, leaking = replace(given, fix=self.declared.kept(given.fix)), given in self.leaks
        if leaking and (constraint := self._faults.constraint(given)):
            breach = replace(breach, cause=": ".join(constraint))
        rows = self._no_rows.get(given.subject)
        if rows and (given.fix.startswith(declare.ROW_OF) or given.exposed.startswith(_NO_VALUE)):
            breach, leaking = replace(breach, cause=rows.cause, fix=rows.fix), False
        of = causes.cause_of(breach, self._found, leaking=leaking)
        if of and breach.fix.startswith(declare.ROW_OF) and not of.refuses_row(breach.cause):
            of = None
        if fault := self._faults.broken(breach):
            of = next((d for d in self._found if f"{d.kind} {d.name}" == fault.object), None)
        elif not of and leaking and not is_sql(breach.fix):
            fault = self._faults.of(breach)
        elif not of and given.fix and not breach.fix:
            fault = self._faults.of(breach, BEYOND)
        elif not of and is_refusal(breach) and not is_sql(breach.fix):
            fault = self._faults.of(breach, REFUSAL)
        if fault and not of:
            cause, fix = f"{fault.object}: {fault.wrong}", fault.fix(made_by_files=self._compared)
            return replace(breach, cause=cause, fix=fix, intended="")
        is_open = given.proof.startswith("undecided.")
        keeps = of is None or (is_open and not of.is_added)  # its own fix, which is complete
        if of and leaking and given.fix.endswith(" enable row level security;"):
            keeps = of.is_new and not of.is_added
        fix = decided_by_owner(breach.fix) if keeps else self._fixes[id(of)]
        if of and not is_sql(fix):
            fix = joined((decided_by_owner(breach.fix), fix))
        if not is_sql(fix):
            fix = _compared(breach, fix, self._files, made_by_files=self._compared and not of)
        own = given.intended if is_open or not of else ""
        meant = _unique((own, self._intended[id(of)] if of else ""))
        if self.stays(given):
            meant = "" if leaking else given.intended
        return replace(breach, intended="" if leaking else meant, fix=fix)

    def stays(self, given: Breach) -> bool:
        """Whether a breach stays, whatever is declared: a leak, or by a rule of other things."""
        by_rule = given.proof in self._rules and not given.fix.startswith("revoke ")
        return given in self.leaks or by_rule

    def statements(self, breach: Breach) -> Breach:
        """Return a breach whose fix keeps what a revoke would remove with what it is about."""
        revoked = "\n".join(difference.fix for difference in self._found)
        fix = _with_column_grants(breach.fix, self._now, revoked, self.declared)
        return replace(breach, fix=fix)


def _possible(breaches: Sequence[Breach]) -> Iterator[Breach]:
    """Yield the breaches; a statement that needs a column that is missing becomes a comment."""
    lost = [match for b in breaches if (match := _LOST.match(b.summary))]
    for breach in breaches:
        for match in lost if breach.proof in (drift.NAME, surface.NAME) else ():
            names = re.search(rf"(?<![\w$]){re.escape(match[2])}(?![\w$(])", breach.fix)
            if names and _in_table(breach.subject, match[1]) and is_sql(breach.fix):
                fix = breach.fix.replace("\n", "\n-- ")
                yield replace(breach, fix=f"-- {match[0]}; with it: {fix}")
                break
        else:
            yield breach


def _in_table(subject: str, table: str) -> bool:
    kind, _, name = subject.partition(" ")
    return kind in ("constraint", "index", "policy", "trigger") and name.startswith(f"{table}.")


def _with_column_grants(fix: str, now: Snapshot, revoked: str, declared: Declared) -> str:
    """Return a fix that keeps the privileges on columns, which a revoke of the table removes too.

    And those that are declared. `revoked`: the statements that remove those which no file grants.
    """
    statements, notes = parts(fix)
    found = []
    for statement in statements:
        found.append(statement)
        if match := _OF_TABLE.match(statement):
            privilege, table, grantee = match.groups()
            kept = [
                fact.name.removeprefix(f"{table}.")
                for fact in now.facts
                if (fact.kind, fact.of, fact.trait)
                == ("column", table, f"{privilege} to {grantee}")
                and f"{fact.unmake};" not in revoked
            ]
            kept = [*dict.fromkeys((*kept, *declared.columns(table, privilege, grantee)))]
            if kept:
                found.append(f"grant {privilege} ({', '.join(kept)}) on {table} to {grantee};")
    return "\n".join(dict.fromkeys((*found, *notes)))


def _here(difference: causes.Difference, connection: Connection) -> str:
    """Return the fix of a difference for this database, not for the scratch one."""
    if difference.kind != "database":
        return difference.fix
    name = sql.Identifier(connection.info.dbname).as_string(connection)
    return re.sub(r"(?<= on database )(\"[^\"]*\"|\S+)", lambda _: name, difference.fix)


def _compared(breach: Breach, fix: str, files: Places, *, made_by_files: bool) -> str:
    """Return what to look at where no statement is certain, with file and line."""
    if fix and not fix.startswith(_COMPARE):
        return fix
    unmade = files.unmade(f"{breach.subject}\n{breach.cause}")
    if unmade:
        return "\n".join(f"drop policy if exists {name} on {table};" for name, table in unmade)
    place = files.of(breach)
    if breach.proof == surface.NAME and place.path.suffix != ".sql":  # no migration names it
        place = place._replace(path=place.path.with_name(lock_file.FILE), line=None)
    what = fix.removeprefix(_COMPARE) or breach.subject
    if made_by_files:
        return f"-- {_shown(place)} makes it so: change {what} in a new migration"
    return f"{_COMPARE}{what} with {_shown(place)}"


def _shown(place: Place) -> str:
    return f"{place.path}:{place.line}" if place.line else str(place.path)


def _unique(texts: Iterable[str]) -> str:
    return "\n".join(dict.fromkeys(filter(None, texts)))
