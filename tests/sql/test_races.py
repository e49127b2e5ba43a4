"""Two at once: what must hold when neither sees the other yet."""

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

from .world import AWAY, HOME

PATIENCE = 20.0  # seconds until a wait is a failure
LEVELS = (
    IsolationLevel.READ_COMMITTED,
    IsolationLevel.REPEATABLE_READ,
    IsolationLevel.SERIALIZABLE,
)


class Session:
    """A statement sent from a thread of its own, which may have to wait for somebody."""

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
        self._thread.join(PATIENCE)
        assert self.done, "still waiting"


def until_blocked_or_done(watcher: Connection[TupleRow], session: Session) -> bool:
    """Whether the session now waits for a lock; asked of the server, again and again."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if session.done:
            return False
        query = "select cardinality(pg_blocking_pids(%s)) > 0"
        if watcher.execute(query, [session.pid]).fetchall() == [(True,)]:
            return True
    raise AssertionError("neither blocked nor done")


def come_in(conn: Connection[TupleRow], who: Caller | None) -> None:
    """Begin as this caller, for real: this transaction will be committed."""
    if who:
        conn.execute(f"set local role {who.role}")
        conn.execute("select set_config('request.jwt.claims', %s, true)", [who.claims])
    conn.execute("select count(*) from public.users")  # the snapshot, where a level keeps one


def forget_deeds(conn: Connection[TupleRow]) -> None:
    """Who has approved or acted cannot be deleted; here everybody can."""
    conn.execute("update public.workflows set status = 'pending'")
    conn.execute("set session_replication_role = replica")
    conn.execute("delete from public.audit_logs")
    conn.execute("reset session_replication_role")


STEP_DOWN = "update public.users set roles = '{{MEMBER}}' where org_id = '{org}' and id = '{id}'"
LEAVE = "delete from public.users where org_id = '{org}' and id = '{id}'"
OWNERS = ("owner", "other_owner")


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name.lower())
@pytest.mark.parametrize(
    ("deeds", "callers"),
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
def test_two_owners_who_go_at_once_leave_one(
    own_world: Database,
    level: IsolationLevel,
    deeds: tuple[str, str],
    callers: tuple[str, str],
) -> None:
    with (
        own_world.connect(autocommit=True) as watcher,
        own_world.connect() as first,
        own_world.connect() as second,
    ):
        forget_deeds(watcher)
        statements = []
        for conn, deed, person, caller in zip((first, second), deeds, OWNERS, callers, strict=True):
            conn.isolation_level = level
            come_in(conn, SERVICE if caller == "service" else HOME.caller(caller))
            statements.append(deed.format(org=HOME.id, id=HOME.row(person)))

        assert first.execute(statements[0]).rowcount == 1
        late = Session(second, statements[1])
        until_blocked_or_done(watcher, late)
        first.commit()
        late.join()
        if late.error is None:
            try:
                second.commit()
            except psycopg.Error as error:
                late.error = error
        second.rollback()
        owners = watcher.execute(
            "select count(*) from public.users where org_id = %s and 'OWNER' = any (roles)",
            [HOME.id],
        ).fetchall()
    assert owners == [(1,)]
    # who was demoted meanwhile is refused as such, or changes nothing
    assert late.rows == 0 or (
        late.error is not None and late.error.sqlstate in ("23514", "40001", "42501")
    )


def test_an_owner_who_steps_down_does_not_wait_for_another_organization(
    own_world: Database,
) -> None:
    with (
        own_world.connect(autocommit=True) as watcher,
        own_world.connect() as first,
        own_world.connect() as second,
    ):
        for conn in (first, second):
            come_in(conn, SERVICE)
        first.execute(STEP_DOWN.format(org=HOME.id, id=HOME.row("owner")))
        late = Session(second, STEP_DOWN.format(org=AWAY.id, id=AWAY.row("owner")))
        assert not until_blocked_or_done(watcher, late)
        assert late.rows == 1
        first.rollback()
        second.rollback()


@pytest.fixture(scope="module")
def virgin(server: Server) -> Server:
    """The server's name, for a second one of its kind on which no role was ever made."""
    if server.name not in EMBEDDED:
        pytest.skip("roles that are not there yet need a server of their own")
    return server


def test_two_databases_of_one_server_may_be_made_at_once(virgin: Server) -> None:
    """Roles belong to all databases: the second one meets what the first has not committed yet."""
    first_file, *others = (file.read_text(encoding="utf-8") for file in migration_files())
    with (
        start_server(virgin.name) as server,
        server.database() as one,
        server.database() as two,
        one.connect() as first,
        two.connect() as second,
        one.connect(autocommit=True) as watcher,
    ):
        first.execute(first_file)
        late = Session(second, first_file)
        assert until_blocked_or_done(watcher, late), "no race: no role was made"
        first.commit()
        late.join()
        assert late.error is None, late.error
        second.commit()
        for file, conn in itertools.product(others, (first, second)):
            conn.execute(file)
        first.commit()
        second.commit()


def test_two_who_apply_the_same_files_by_hand_at_once_do_no_harm(
    new_database: Callable[..., Database],
) -> None:
    """Without our lock the second may fail, but what it leaves behind is whole."""
    database = new_database()
    files = "".join(file.read_text(encoding="utf-8") for file in migration_files())
    with database.connect() as first, database.connect() as second:
        first.execute(files)
        with database.connect(autocommit=True) as watcher:
            late = Session(second, files)
            until_blocked_or_done(watcher, late)
            first.commit()
            late.join()
        second.rollback()
        assert late.error is None or late.error.sqlstate is not None
        first.execute(files)
        first.rollback()
