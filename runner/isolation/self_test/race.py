"""Race condition test: two owners step down concurrently, and one must remain.

It commits, so run it on scratch copies only.
"""

from __future__ import annotations

import threading
import time

import psycopg
from psycopg import IsolationLevel

from runner.isolation.project import Project
from runner.isolation.verdict import Check
from runner.postgres.connection import Connection

_LEVELS = (
    IsolationLevel.READ_COMMITTED,
    IsolationLevel.REPEATABLE_READ,
    IsolationLevel.SERIALIZABLE,
)
_TIMEOUT = 20.0  # seconds
_ACCEPTED_ERRORS = ("23514", "40001", "40P01", "42501")
_STEP_DOWN = "update public.users set roles = '{MEMBER}' where org_id = %s and id = %s"
_COUNT_OWNERS = "select count(*) from public.users where org_id = %s and 'OWNER' = any (roles)"


def last_owner(url: str, project: Project) -> tuple[Check, ...]:
    """Race two owners of one organization at each isolation level, as service_role. Commits."""
    with _connected(url) as connection:
        with connection.transaction():
            project.insert_rows(connection)
        return tuple(_race(url, project, connection, level) for level in _LEVELS)


def _race(url: str, project: Project, watcher: Connection, level: IsolationLevel) -> Check:
    org, owners = project.home.key, ("owner", "other_owner")
    watcher.execute(
        "update public.users set roles = '{OWNER}' where org_id = %s and id = any (%s)",
        [org, [project.home.id(user) for user in owners]],
    )
    with _connected(url) as first, _connected(url) as second:
        for connection in (first, second):
            connection.autocommit = False
            connection.isolation_level = level
            connection.execute("set local role service_role")
            connection.execute(_COUNT_OWNERS.encode(), [org])  # takes the snapshot, if any
        outcomes = ["", ""]
        first.execute(_STEP_DOWN.encode(), [org, project.home.id(owners[0])])

        def step_down() -> None:
            outcomes[1] = _step_down(second, org, project.home.id(owners[1]))

        thread = threading.Thread(target=step_down, daemon=True)
        thread.start()
        _wait_until_blocked_or_done(watcher, second, thread)
        outcomes[0] = _commit(first)
        thread.join(_TIMEOUT)
        if not thread.is_alive() and not outcomes[1]:
            outcomes[1] = _commit(second)
    (left,) = watcher.execute(_COUNT_OWNERS.encode(), [org]).fetchone() or (0,)
    errors = [outcome for outcome in outcomes if outcome]
    return Check(
        kind="invariant",
        name=f"last-owner-race-{level.name.lower().replace('_', '-')}",
        title=f"Under {level.name.replace('_', ' ')}, one of two owners who step down "
        "concurrently remains",
        source="two sessions on a scratch copy",
        outcome=f"{left} left; refused with: {', '.join(errors) or 'no error'}",
        passed=left == 1 and all(error in _ACCEPTED_ERRORS for error in errors),
    )


def _step_down(connection: Connection, org: str, user: str) -> str:
    try:
        connection.execute(_STEP_DOWN.encode(), [org, user])
    except psycopg.Error as error:
        return error.sqlstate or "?????"
    return ""


def _commit(connection: Connection) -> str:
    try:
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
