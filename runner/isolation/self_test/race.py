"""Races: two sessions that try to break an invariant together, at each isolation level.

A file of a project's isolation/races/ has five steps in the format of scenario.py: set up, as the
owner; read, which takes a snapshot in both sessions; the statement of each session; and what must
hold afterwards, as the owner. They commit, so they run on scratch copies only.
"""

from __future__ import annotations

import threading
import time
from itertools import product

import psycopg
from psycopg import IsolationLevel

from runner.errors import UsageError
from runner.isolation.probes.execute import entering
from runner.isolation.project import Project
from runner.isolation.rows import maker
from runner.isolation.rows.fixture import Fixture, requests
from runner.isolation.sql_cases.case_file import CaseFile
from runner.isolation.sql_cases.scenario import Step, steps
from runner.isolation.sql_cases.substitution import Substitution
from runner.isolation.tenancy import relations
from runner.isolation.verdict import Check
from runner.postgres.connection import Connection

_LEVELS = (
    IsolationLevel.READ_COMMITTED,
    IsolationLevel.REPEATABLE_READ,
    IsolationLevel.SERIALIZABLE,
)
_TIMEOUT = 20.0  # seconds


def run(url: str, project: Project) -> tuple[Check, ...]:
    """Run every race of the project at each isolation level. Commits."""
    with _connected(url) as connection:
        with connection.transaction():
            tenants = relations.read(connection, project.config)
            called = requests(connection, project.config)
            made = Fixture(project.config, tenants, requests=called)
            maker.make(connection, made)
        names = Substitution(made, project)
        pairs = product(project.races, _LEVELS)
        return tuple(_race(url, names, connection, race, level) for race, level in pairs)


def _race(
    url: str, names: Substitution, watcher: Connection, race: CaseFile, level: IsolationLevel
) -> Check:
    parsed = steps(race, names.project)
    if len(parsed) != 5:
        raise UsageError(
            f"{race.where}: a race has five steps: set up, read, two statements, check"
        )
    set_up, read, *tried, check = parsed
    _execute(watcher, set_up, names)
    with _connected(url) as first, _connected(url) as second:
        for connection, step in zip((first, second), tried, strict=True):
            connection.autocommit = False
            connection.isolation_level = level
            _become(connection, step, names)
            _execute(connection, read, names)
        outcomes = ["", ""]
        _execute(first, tried[0], names)

        def try_second() -> None:
            outcomes[1] = _sqlstate(second, tried[1], names)

        thread = threading.Thread(target=try_second, daemon=True)
        thread.start()
        _wait_until_blocked_or_done(watcher, second, thread)
        outcomes[0] = _sqlstate(first, None, names)
        thread.join(_TIMEOUT)
        if not thread.is_alive() and not outcomes[1]:
            outcomes[1] = _sqlstate(second, None, names)
    holds = bool(_execute(watcher, check, names))
    refused = [outcome for outcome in outcomes if outcome]
    return Check(
        kind="invariant",
        name=f"{race.name}-{level.name.lower().replace('_', '-')}",
        title=f"{race.title} Isolation level: {level.name.replace('_', ' ').lower()}.",
        source=race.fields["source"],
        outcome=f"{race.fields['safe'] if holds else 'broken'} "
        f"Refused with: {', '.join(refused) or 'no error'}",
        passed=holds and all(outcome in tried[1].expected for outcome in refused),
    )


def _become(connection: Connection, step: Step, names: Substitution) -> None:
    """Switch to the actor of a step, until the transaction ends."""
    if actor := names.actor(step):
        for statement in entering(connection, actor):
            connection.execute(statement.encode())


def _execute(connection: Connection, step: Step, names: Substitution) -> int:
    """Run the statement of a step, and return how many rows it returned or changed."""
    return max(connection.execute(names.step(step, step.sql).encode()).rowcount, 0)


def _sqlstate(connection: Connection, step: Step | None, names: Substitution) -> str:
    """Run the statement of a step, or commit; return the SQLSTATE of the error, if there is one."""
    try:
        if step:
            _execute(connection, step, names)
        else:
            connection.commit()
    except psycopg.Error as error:
        return error.sqlstate or "?????"
    return ""


def _wait_until_blocked_or_done(
    watcher: Connection, session: Connection, thread: threading.Thread
) -> None:
    """Poll until the session waits for a lock, its thread ends, or the timeout is exhausted."""
    deadline = time.monotonic() + _TIMEOUT
    while thread.is_alive() and time.monotonic() < deadline:
        query = "select cardinality(pg_blocking_pids(%s)) > 0"
        if watcher.execute(query, [session.info.backend_pid]).fetchone() == (True,):
            return
        time.sleep(0.005)


def _connected(url: str) -> Connection:
    return psycopg.connect(url, autocommit=True, prepare_threshold=None)
