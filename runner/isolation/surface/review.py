"""Compare a database with the reviewed surface, and write it when a change is intended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.errors import PlanError, UsageError
from runner.files import loader
from runner.isolation import application_login, overlay
from runner.isolation.surface import NAME, Surface, lock_file, take
from runner.isolation.surface.comparison import Change, compare, platform, without
from runner.isolation.surface.direction import Direction
from runner.isolation.surface.undo import undone
from runner.isolation.transactions import read
from runner.isolation.verdict import Breach, Check, Verdict
from runner.migrate.migrator import Migrator
from runner.migrate.plan import ADVICE, Plan, State
from runner.migrate.plan import compare as compare_files
from runner.postgres.connection import Connection
from runner.schema.snapshot import OF_OTHERS, Fact

ACCEPT = "python -m runner verify --accept"
_LOCK_TIMEOUT = 1.0  # seconds, for a table that is being changed
_TITLE = "Every fact that decides who reaches which rows"
# What a server has beside the files: logins, their settings, what an administrator granted.
_OF_THE_SERVER = (
    *("database", "extension", "large objects", "membership", "parameter", "publication", "role"),
    *("server setting", "setting", "subscription", "tablespace"),
)
_OF_ROLES = ("membership", "role", "setting")
_NOT_APPLIED = (State.EDITED, State.PENDING, State.OUT_OF_ORDER, State.PARTIAL)
_NOT_ACCEPTED = (*_NOT_APPLIED, State.MISSING)


@dataclass(frozen=True)
class Accepted:
    """What `accept` wrote, and how it differs from the surface reviewed before."""

    surface: Surface
    changes: tuple[Change, ...]
    kept: tuple[Fact, ...]  # about roles that this server does not have
    is_new: bool  # there was no lock file


def current(connection: Connection) -> Surface:
    """Return the surface of a database. Raises LockTimeout where a table stays locked."""
    return read(connection, _LOCK_TIMEOUT, lambda: take(connection))


def path_of(migrator: Migrator, sql_dir: Path) -> Path:
    """Return the lock file of a database: where an overlay is applied, that of its folder."""
    return (overlay.folder(migrator, sql_dir) or sql_dir) / lock_file.FILE


def verify(migrator: Migrator, sql_dir: Path) -> Verdict:
    """Compare the database with the reviewed surface. Changes nothing, needs no scratch server.

    Without a lock file there is a warning and no check. Raises UsageError for a malformed one, and
    LockTimeout.
    """
    started = time.monotonic()
    path = path_of(migrator, sql_dir)
    reviewed = lock_file.read(path)
    if reviewed is None:
        return Verdict(
            warnings=(
                f"{path} does not exist, so nothing was compared with a reviewed security surface. "
                f"{ACCEPT} writes it, for review",
            )
        )
    plan = _plan(migrator, sql_dir)
    now = _without_our_login(migrator, sql_dir, current(migrator.connection), reviewed)
    absent = _of_absent_roles(migrator.connection, reviewed)
    changes = compare(tuple(fact for fact in reviewed if fact not in absent), now)
    narrower = [change for change in changes if change.direction is Direction.NARROWER]
    others = [change for change in changes if change.direction is not Direction.NARROWER]
    platforms = platform(reviewed, now)
    compared = len(without(now, platforms))
    outcome = f"{compared} facts, as reviewed"
    if changes:
        outcome = f"{compared} facts compared, {_objects(changes)} not as reviewed"
    return Verdict(
        checks=(Check(NAME, NAME, _TITLE, str(path), outcome, passed=not others),),
        breaches=tuple(_breach(change, path, plan) for change in others),
        warnings=tuple(_warnings(path, plan, narrower, absent, platforms)),
        compared=compared,
        seconds=time.monotonic() - started,
    )


def accept(migrator: Migrator, sql_dir: Path) -> Accepted:
    """Write the surface of the database as the reviewed one.

    Facts about roles that this server does not have are kept: another environment has them. Raises
    PlanError unless exactly the migrations of `sql_dir` are applied, UsageError for a malformed
    lock file or one that cannot be written, and LockTimeout.
    """
    path = path_of(migrator, sql_dir)
    reviewed = lock_file.read(path)
    plan = compare_files(loader.read(sql_dir), migrator.records())
    not_clean = plan.of(*_NOT_ACCEPTED)
    if not_clean:
        raise PlanError(
            f"{path} was not written: {_states(plan, _NOT_ACCEPTED)}",
            hint=f"The database is not what the files make. {not_clean[0].id}: "
            f"{ADVICE[not_clean[0].state]}",
        )
    now = _without_our_login(migrator, sql_dir, current(migrator.connection), reviewed or ())
    kept = _of_absent_roles(migrator.connection, reviewed or ())
    changes: list[Change] = []
    if reviewed is not None:
        changes = compare(tuple(fact for fact in reviewed if fact not in kept), now)
    surface = tuple(sorted({*now, *kept}))
    if surface != reviewed:
        lock_file.write(path, surface)
    return Accepted(surface, tuple(changes), kept, is_new=reviewed is None)


def stale(connection: Connection, path: Path) -> list[Change] | None:
    """Return how the surface that the files make differs from the reviewed one.

    `connection`: to a database to which all files are applied. None without a lock file. What only
    a server can have, such as a login, may be reviewed without being made by the files. Raises
    UsageError for a malformed file.
    """
    reviewed = lock_file.read(path)
    if reviewed is None:
        return None
    return [
        change
        for change in compare(reviewed, take(connection))
        if change.now
        or not (
            change.kind in _OF_THE_SERVER
            or change.kind.startswith(("system ", "extension "))
            or change.kind.endswith(OF_OTHERS)
        )
    ]


def _plan(migrator: Migrator, sql_dir: Path) -> Plan | None:
    """Return what is pending or edited; None where nothing was recorded, or there are no files."""
    with suppress(UsageError):
        records = migrator.records()
        return compare_files(loader.read(sql_dir), records) if records else None
    return None


def _states(plan: Plan, states: Sequence[State]) -> str:
    found = (f"{entry.id} is {entry.state.label}" for entry in plan.of(*states))
    return ", ".join(found)


def _without_our_login(
    migrator: Migrator, sql_dir: Path, now: Surface, reviewed: Surface
) -> Surface:
    """Return the surface without what `up` gives the login of applications, unless reviewed.

    On the embedded server alone, which only the user who started it reaches, as any role.
    """
    if not (migrator.target and migrator.target.embedded):
        return now
    known = {(fact.kind, fact.name, fact.trait) for fact in reviewed}
    members_of = application_login.roles(sql_dir)
    ours = application_login.facts(migrator.connection, members_of) - known
    return tuple(fact for fact in now if (fact.kind, fact.name, fact.trait) not in ours)


def _of_absent_roles(connection: Connection, reviewed: Surface) -> tuple[Fact, ...]:
    """Return the reviewed facts about roles that do not exist on this server."""
    names = {_role_of(fact) for fact in reviewed if fact.kind in _OF_ROLES}
    exist = "select quote_ident(rolname) from pg_catalog.pg_roles"
    absent = names - {"all roles"} - {name for (name,) in connection.execute(exist).fetchall()}
    return tuple(fact for fact in reviewed if fact.kind in _OF_ROLES and _role_of(fact) in absent)


def _role_of(fact: Fact) -> str:
    if fact.kind == "membership":
        return fact.name.rpartition(" to ")[2]
    return fact.name.removesuffix(" in this database")


def _warnings(
    path: Path,
    plan: Plan | None,
    narrower: list[Change],
    absent: Sequence[Fact],
    schemas: list[str],
) -> list[str]:
    found = []
    if narrower:
        first = f"{_states(plan, _NOT_APPLIED)}. " if plan and plan.of(*_NOT_APPLIED) else ""
        found.append(
            f"{first}Narrower than reviewed: {', '.join(change.object for change in narrower)}. "
            f"{ACCEPT} records it in {path}"
        )
    if schemas:
        found.append(f"note: {', '.join(schemas)}: made by the platform, not compared with {path}")
    if absent:
        names = sorted({_role_of(fact) for fact in absent})
        found.append(f"note: reviewed, and not on this server: {', '.join(names)}")
    return found


def _breach(change: Change, path: Path, plan: Plan | None) -> Breach:
    cause = (
        f"changed since it was reviewed in {path}: by hand, or by a migration without its review"
    )
    intended = f"{ACCEPT}  -- and have the difference of {path} reviewed"
    if plan and plan.of(*_NOT_ACCEPTED):
        cause = f"{_states(plan, _NOT_ACCEPTED)}, so the database may differ from {path}"
        first = next(entry for state in _NOT_ACCEPTED for entry in plan.of(state))
        intended = f"-- {first.id}: {ADVICE[first.state]}; then verify again"
    return Breach(
        proof=NAME,
        subject=change.object,
        summary=change.summary,
        exposed="\n".join(change.diff),
        cause=cause,
        intended=intended,
        fix=undone(change),
    )


def _objects(changes: Sequence[Change]) -> str:
    return "1 object" if len(changes) == 1 else f"{len(changes)} objects"
