"""Fixes: for each breach the exact statements, and one fix for all breaches of a cause.

The catalog that the files make, which drift compares the database with, has the statements. So a
breach that a difference explains has the fix of that difference. What no difference explains keeps
the statement of its proof; without one, it says which object of which file decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from psycopg import sql

from runner.isolation import drift
from runner.isolation.fixes import causes, declare
from runner.isolation.fixes.order import decided_by_owner, is_sql, joined, parts, rank
from runner.isolation.report.places import Place, Places
from runner.isolation.verdict import Breach, Verdict
from runner.postgres.connection import Connection
from runner.schema import snapshot

_COMPARE = "-- compare "


def complete(verdict: Verdict, connection: Connection, sql_dir: Path) -> Verdict:
    """Return the verdict with the fixes of its breaches, in the order in which they apply."""
    if verdict.proven:
        return verdict
    found = causes.differences(verdict.breaches, snapshot.take(connection))
    fixes: dict[int, str] = {}
    intended: dict[int, str] = {}
    for members in causes.components(verdict.breaches, found):
        text = joined(decided_by_owner(_here(d, connection)) for d in members)
        accepted = _unique(b.intended for d in members for b in d.breaches)
        fixes.update((id(d), text) for d in members)
        intended.update((id(d), accepted) for d in members)
    # Without the catalog of the files, the statement is unknown, and not that there is none.
    compared = any(c.name == drift.NAME for c in verdict.checks)
    files = Places(sql_dir)
    by_role = declare.actors(declare.isolation_file(sql_dir))
    breaches = []
    for breach in verdict.breaches:
        of = next(iter(causes.explaining(breach, found)), None)
        fix = fixes[id(of)] if of else decided_by_owner(breach.fix)
        if of and not is_sql(fix):
            fix = joined((decided_by_owner(breach.fix), fix))
        if not is_sql(fix):
            fix = _compared(breach, fix, files, made_by_files=compared and not of)
        meant = declare.of_revokes(fix, by_role, declare.isolation_file(sql_dir))
        meant = "" if " in other org" in breach.proof else meant
        accept = breach.intended if not of else intended[id(of)]
        breaches.append(replace(breach, intended=_unique((meant, accept)), fix=fix))
    return replace(verdict, breaches=tuple(sorted(breaches, key=_order)))


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
    what = fix.removeprefix(_COMPARE) or breach.subject
    if made_by_files:
        return f"-- {_shown(place)} makes it so: change {what} in a new migration"
    return f"{_COMPARE}{what} with {_shown(place)}"


def _shown(place: Place) -> str:
    return f"{place.path}:{place.line}" if place.line else str(place.path)


def _unique(texts: Iterable[str]) -> str:
    return "\n".join(dict.fromkeys(filter(None, texts)))


def _order(breach: Breach) -> tuple[int, int]:
    """Return the place of a fix: that of its last statement; what has none comes last."""
    statements, _ = parts(breach.fix)
    return rank(statements[-1]) if statements else (9, 0)
