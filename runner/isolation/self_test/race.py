"""Two owners who step down at once: one of them has to stay. For scratch copies: it commits."""

from __future__ import annotations

import threading
import time

import psycopg
from psycopg import IsolationLevel

from runner.isolation import fixture
from runner.isolation.verdict import Check
from runner.postgres.connection import Connection

_LEVELS = (
    IsolationLevel.READ_COMMITTED,
    IsolationLevel.REPEATABLE_READ,
    IsolationLevel.SERIALIZABLE,
)
_PATIENCE = 20.0  # seconds until a wait is a failure
_REFUSED = ("23514", "40001", "40P01", "42501")
_STEP_DOWN = "update public.users set roles = '{MEMBER}' where org_id = %s and id = %s"
_LEFT = "select count(*) from public.users where org_id = %s and 'OWNER' = any (roles)"


def last_owner(url: str) -> tuple[Check, ...]:
    """Race two owners of one organization at each isolation level, as service_role."""
    with _connected(url) as connection:
        with connection.transaction():
            fixture.make(connection)
        return tuple(_race(url, connection, level) for level in _LEVELS)


def _race(url: str, watcher: Connection, level: IsolationLevel) -> Check:
    org, people = fixture.HOME.id(), ("owner", "other_owner")
    watcher.execute(
        "update public.users set roles = '{OWNER}' where org_id = %s and id = any (%s)",
        [org, [fixture.HOME.id(person) for person in people]],
    )
    with _connected(url) as first, _connected(url) as second:
        for connection in (first, second):
            connection.autocommit = False
            connection.isolation_level = level
            connection.execute("set local role service_role")
            connection.execute(_LEFT.encode(), [org])  # the snapshot, where a level keeps one
        outcomes = ["", ""]
        first.execute(_STEP_DOWN.encode(), [org, fixture.HOME.id(people[0])])

        def follow() -> None:
            outcomes[1] = _outcome(second, org, fixture.HOME.id(people[1]))

        out_of_order = threading.Thread(target=follow, daemon=True)
        out_of_order.start()
        _until_blocked_or_done(watcher, second, out_of_order)
        outcomes[0] = _committed(first)
        out_of_order.join(_PATIENCE)
        if not out_of_order.is_alive() and not outcomes[1]:
            outcomes[1] = _committed(second)
    (left,) = watcher.execute(_LEFT.encode(), [org]).fetchone() or (0,)
    refused = [outcome for outcome in outcomes if outcome]
    words = level.name.replace("_", " ")
    return Check(
        kind="invariant",
        name=f"last-owner-race-{level.name.lower().replace('_', '-')}",
        title=f"Two owners who step down at once under {words} leave one",
        source="two sessions on a scratch copy",
        outcome=f"{left} left; {', '.join(refused) or 'nobody'} refused",
        passed=left == 1 and all(outcome in _REFUSED for outcome in refused),
    )


def _outcome(connection: Connection, org: str, person: str) -> str:
    try:
        connection.execute(_STEP_DOWN.encode(), [org, person])
    except psycopg.Error as error:
        return error.sqlstate or "?????"
    return ""


def _committed(connection: Connection) -> str:
    try:
        connection.commit()
    except psycopg.Error as error:
        return error.sqlstate or "?????"
    return ""


def _until_blocked_or_done(
    watcher: Connection, session: Connection, thread: threading.Thread
) -> None:
    """Wait until the second session waits for the first, asked of the server again and again."""
    deadline = time.monotonic() + _PATIENCE
    while thread.is_alive() and time.monotonic() < deadline:
        query = "select cardinality(pg_blocking_pids(%s)) > 0"
        if watcher.execute(query, [session.info.backend_pid]).fetchone() == (True,):
            return
        time.sleep(0.005)


def _connected(url: str) -> Connection:
    return psycopg.connect(url, autocommit=True, prepare_threshold=None)
