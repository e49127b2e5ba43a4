"""Concurrency: invariants while neither session sees the changes of the other."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import psycopg
import pytest
from conftest import (
    EMBEDDED,
    SERVICE,
    Caller,
    Database,
    Server,
    migration_files,
    start_server,
)
from psycopg import Connection, IsolationLevel
from psycopg.rows import TupleRow

from .fixture_rows import AWAY, HOME

TIMEOUT = 20.0  # seconds
LEVELS = (
    IsolationLevel.READ_COMMITTED,
    IsolationLevel.REPEATABLE_READ,
    IsolationLevel.SERIALIZABLE,
)


class Session:
    """A statement in its own thread, because it may have to wait for a lock."""

    def __init__(self, conn: Connection[TupleRow], statement: str) -> None:
        self.pid = conn.info.backend_pid
        self.error: psycopg.Error | None = None
        self.rows = -1
        self._thread = threading.Thread(target=self._run, args=(conn, statement))
        self._thread.start()

    def _run(self, conn: Connection[TupleRow], statement: str) -> None:
        try:
            self.rows = conn.execute(statement).rowcount
        except psycopg.Error as error:
            self.error = error

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def join(self) -> None:
        self._thread.join(TIMEOUT)
        assert self.done, "still waiting"


def until_blocked_or_done(watcher: Connection[TupleRow], session: Session) -> bool:
    """Poll the server until the session waits for a lock (True) or is done (False)."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        if session.done:
            return False
        query = "select cardinality(pg_blocking_pids(%s)) > 0"
        if watcher.execute(query, [session.pid]).fetchall() == [(True,)]:
            return True
    raise AssertionError("neither blocked nor done")


def begin_as(conn: Connection[TupleRow], who: Caller | None) -> None:
    """Begin a transaction as this caller; unlike act_as, it can be committed."""
    if who:
        conn.execute(f"set local role {who.role}")
        conn.execute("select set_config('request.jwt.claims', %s, true)", [who.claims])
    conn.execute("select count(*) from public.users")  # take the snapshot, if the level keeps one


def delete_history(conn: Connection[TupleRow]) -> None:
    """Remove approvals and audit rows, which prevent users from being deleted."""
    conn.execute("update public.workflows set status = 'pending'")
    conn.execute("set session_replication_role = replica")
    conn.execute("delete from public.audit_logs")
    conn.execute("reset session_replication_role")


STEP_DOWN = "update public.users set roles = '{{MEMBER}}' where org_id = '{org}' and id = '{id}'"
LEAVE = "delete from public.users where org_id = '{org}' and id = '{id}'"
OWNERS = ("owner", "other_owner")


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name.lower())
@pytest.mark.parametrize(
    ("templates", "callers"),
    [
        ((STEP_DOWN, STEP_DOWN), OWNERS),
        ((STEP_DOWN, STEP_DOWN), OWNERS[::-1]),
        ((STEP_DOWN, STEP_DOWN), ("service", "service")),
        ((LEAVE, LEAVE), ("service", "service")),
        ((STEP_DOWN, LEAVE), ("owner", "service")),
        ((LEAVE, STEP_DOWN), ("service", "other_owner")),
    ],
    ids=[
        "stepping down",
        "demoting each other",
        "by service_role",
        "deleted",
        "mixed",
        "mixed back",
    ],
)
def test_concurrent_removal_of_two_owners_leaves_one(
    own_database: Database,
    level: IsolationLevel,
    templates: tuple[str, str],
    callers: tuple[str, str],
) -> None:
    with (
        own_database.connect(autocommit=True) as watcher,
        own_database.connect() as first,
        own_database.connect() as second,
    ):
        delete_history(watcher)
        statements = []
        for conn, template, person, caller in zip(
            (first, second), templates, OWNERS, callers, strict=True
        ):
            conn.isolation_level = level
            begin_as(conn, SERVICE if caller == "service" else HOME.caller(caller))
            statements.append(template.format(org=HOME.id, id=HOME.row(person)))

        assert first.execute(statements[0]).rowcount == 1
        waiting = Session(second, statements[1])
        until_blocked_or_done(watcher, waiting)
        first.commit()
        waiting.join()
        if waiting.error is None:
            try:
                second.commit()
            except psycopg.Error as error:
                waiting.error = error
        second.rollback()
        owners = watcher.execute(
            "select count(*) from public.users where org_id = %s and 'OWNER' = any (roles)",
            [HOME.id],
        ).fetchall()
    assert owners == [(1,)]
    # a caller demoted by the first transaction is denied or changes no rows
    assert waiting.rows == 0 or (
        waiting.error is not None and waiting.error.sqlstate in ("23514", "40001", "42501")
    )


DEMOTE = "update public.users set roles = '{{MEMBER}}' where org_id = '{org}' and id = '{id}'"
UNLINK = "update public.users set auth_user_id = null where org_id = '{org}' and id = '{id}'"
APPROVE = (
    "update public.workflows set status = 'approved'{approver}"
    f" where org_id = '{HOME.id}' and id = '{HOME.row('workflow')}'"
)
PROMOTE = (
    "update public.users set roles = '{OWNER}'"
    f" where org_id = '{HOME.id}' and id = '{HOME.row('member')}'"
)
INVITE = (
    "insert into public.users (org_id, email, name, roles)"
    f" values ('{HOME.id}', 'friend@home.test', 'Friend', '{{OWNER}}')"
)


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name.lower())
@pytest.mark.parametrize("committed", [True, False], ids=["committed before", "concurrent"])
def test_demoted_user_neither_approves_nor_gives_roles(
    own_database: Database, level: IsolationLevel, committed: bool
) -> None:
    """Whatever the snapshot of the transaction says; the platform cannot name them as approver."""
    by = f", approver_id = '{HOME.row('owner')}'"
    with own_database.connect(autocommit=True) as watcher:
        for statement, caller, how in (
            (APPROVE.format(approver=""), HOME.caller("owner"), DEMOTE),
            (APPROVE.format(approver=""), HOME.caller("owner"), UNLINK),
            (PROMOTE, HOME.caller("owner"), DEMOTE),
            (INVITE, HOME.caller("owner"), DEMOTE),
            (APPROVE.format(approver=by), SERVICE, DEMOTE),
        ):
            with own_database.connect() as first, own_database.connect() as second:
                second.isolation_level = level
                begin_as(second, caller)
                begin_as(first, SERVICE)
                first.execute(how.format(org=HOME.id, id=HOME.row("owner")))
                if committed:
                    first.commit()
                waiting = Session(second, statement)
                assert until_blocked_or_done(watcher, waiting) is not committed
                first.commit()
                waiting.join()
                refused = {"42501", "23514"} if level is LEVELS[0] else {"40001"}
                assert waiting.rows == 0 or (
                    waiting.error is not None and waiting.error.sqlstate in refused
                ), statement
                second.rollback()
            watcher.execute(
                "update public.users set roles = '{OWNER}', auth_user_id = %s where id = %s",
                [HOME.auth("owner"), HOME.row("owner")],
            )


def test_stepping_down_does_not_wait_for_another_organization(
    own_database: Database,
) -> None:
    with (
        own_database.connect(autocommit=True) as watcher,
        own_database.connect() as first,
        own_database.connect() as second,
    ):
        for conn in (first, second):
            begin_as(conn, SERVICE)
        first.execute(STEP_DOWN.format(org=HOME.id, id=HOME.row("owner")))
        waiting = Session(second, STEP_DOWN.format(org=AWAY.id, id=AWAY.row("owner")))
        assert not until_blocked_or_done(watcher, waiting)
        assert waiting.rows == 1
        first.rollback()
        second.rollback()


@pytest.fixture(scope="module")
def fresh(server: Server) -> Server:
    """The given server, as a model for a new one on which the API roles do not exist yet."""
    if server.name not in EMBEDDED:
        pytest.skip("needs a new server without the API roles")
    return server


def test_two_databases_of_one_server_can_be_migrated_concurrently(fresh: Server) -> None:
    """Roles are shared: the second session finds those that the first has not committed yet."""
    first_file, *others = (file.read_text(encoding="utf-8") for file in migration_files())
    with (
        start_server(fresh.name) as server,
        server.database() as one,
        server.database() as two,
        one.connect() as first,
        two.connect() as second,
        one.connect(autocommit=True) as watcher,
    ):
        first.execute(first_file)
        waiting = Session(second, first_file)
        assert until_blocked_or_done(watcher, waiting), "no race: no role was created"
        first.commit()
        waiting.join()
        assert waiting.error is None, waiting.error
        second.commit()
        for file, conn in itertools.product(others, (first, second)):
            conn.execute(file)
        first.commit()
        second.commit()


def test_concurrent_manual_runs_leave_a_complete_schema(
    new_database: Callable[..., Database],
) -> None:
    """Without the lock of the runner the second run may fail, but the schema is complete."""
    database = new_database()
    files = "".join(file.read_text(encoding="utf-8") for file in migration_files())
    with database.connect() as first, database.connect() as second:
        first.execute(files)
        with database.connect(autocommit=True) as watcher:
            waiting = Session(second, files)
            until_blocked_or_done(watcher, waiting)
            first.commit()
            waiting.join()
        second.rollback()
        assert waiting.error is None or waiting.error.sqlstate is not None
        first.execute(files)
        first.rollback()
