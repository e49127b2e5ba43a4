"""Lock acquisition with a timeout per attempt, a report of the blocker, and retries.

A statement that waits for a strong lock blocks every later statement on that table: one long
transaction and one `alter table` behind it stop an application. So a file waits for a lock only
briefly, is rolled back to let the queue pass, and is tried again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

import psycopg
from psycopg.abc import PQGen

from runner.errors import SqlError, masked
from runner.events import Report, Working
from runner.files import statements
from runner.files.sql_file import Header
from runner.postgres.connection import Connection, has_citus, open_second
from runner.postgres.retry import Backoff
from runner.postgres.waiting import Result, polling
from runner.queries import query
from runner.settings import Timeouts

LOCK_FAILURES = ("55P03", "40P01")  # lock_not_available, deadlock_detected
# In parallel, Citus refuses many a second statement about a table in one transaction.
SEQUENTIAL = "set local citus.multi_shard_modify_mode = sequential"
_PAUSES = (0.25, 5.0)  # seconds between attempts: the first and the longest
_LOOK_EVERY = 1.0  # seconds
_REPORT_EVERY = 10.0  # seconds
# A client idle in its transaction has stopped running; its locks have to go.
_IDLE_TIMEOUT = 60_000  # milliseconds


@dataclass(frozen=True)
class LockWaits:
    """The lock waits of a run's files on one connection."""

    connection: Connection
    report: Report
    timeouts: Timeouts = field(default_factory=Timeouts)
    backend_pid: int = 0  # as the server sees it, where a pooler hides it

    @cached_property
    def citus(self) -> bool:
        """Whether the database has the extension Citus."""
        return has_citus(self.connection)

    def for_file(self, header: Header, *, lock_timeout: float | None = None) -> LockWait:
        """Return the lock wait of a file; its header ranks above `lock_timeout` (seconds)."""
        seconds = self.timeouts.table_lock if lock_timeout is None else lock_timeout
        usual = max(1, round(seconds * 1000)) if seconds else 0
        return LockWait(self, header, usual if header.lock_timeout is None else header.lock_timeout)


class LockWait:
    """How one file waits for locks; `lock_timeout` in milliseconds, 0 for no limit."""

    def __init__(self, lock_waits: LockWaits, header: Header, lock_timeout: int) -> None:
        self._waits = lock_waits
        self.report = lock_waits.report
        self._header = header
        self._lock_timeout = lock_timeout
        self.blocker = ""  # the table and who holds it, when last looked at
        self._pid = 0
        self._reported = (0, 0.0)  # pid, and when

    @property
    def citus(self) -> bool:
        """Whether statements have to be sent one by one."""
        return self._waits.citus

    def transaction_settings(self) -> list[str]:
        """Return the statements that configure the file's transaction; they end with it."""
        idle = self._header.idle_in_transaction_session_timeout
        timeout = _IDLE_TIMEOUT if idle is None else idle
        return [
            f"set local idle_in_transaction_session_timeout = {timeout}",
            *self.lock_settings(),
        ]

    def lock_settings(self) -> list[str]:
        """Return those about locks and statements; with Citus also for its workers."""
        settings = self._settings("set local", self._lock_timeout)
        propagate = "set local citus.propagate_set_commands = {}"
        citus = [SEQUENTIAL, propagate.format("local"), *settings, propagate.format("none")]
        return citus if self.citus else settings

    def statement_settings(self, text: str) -> str:
        """Return the statements that configure one statement outside a transaction.

        CONCURRENTLY waits for old transactions by design and blocks no one, so a lock timeout
        would only make it fail again and again.
        """
        concurrent = "concurrently" in (word.lower() for word in statements.code(text))
        return "; ".join(self._settings("set", 0 if concurrent else self._lock_timeout))

    def retry(self, attempt: Callable[[], Result], *, on_failure: Callable[[], object]) -> Result:
        """Run `attempt` until it gets its locks; `on_failure` rolls back between attempts.

        Raises SqlError naming the blocker when the time for busy tables is used up.
        """
        backoff = Backoff(*_PAUSES, factor=2.0, limit=self._waits.timeouts.busy)
        self.blocker, self._pid = "", 0
        attempts = 1
        while True:
            try:
                return attempt()
            except SqlError as error:
                if error.sqlstate not in LOCK_FAILURES:
                    raise
                if backoff.exhausted:
                    raise self._timed_out(error, attempts) from None
                on_failure()
                self._report_wait(f"; next attempt in {backoff.pause:.2g} s")
            backoff.sleep()
            attempts += 1

    def watch(self, generator: PQGen[Result]) -> PQGen[Result]:
        """Wait for the result of a statement, and look who blocks it while it takes long.

        Looking takes a second connection, which is opened only then and closed with the statement.
        """
        second: Connection | None = None
        stopped: BaseException | None = None
        # The first look comes before the lock timeout ends the statement.
        look = time.monotonic() + min(_LOOK_EVERY, self._lock_timeout / 2000 or _LOOK_EVERY)

        def poll() -> None:
            nonlocal second, stopped, look
            if time.monotonic() < look or stopped:
                return
            try:
                if second is None:
                    second = open_second(self._waits.connection)
                    second.execute("set statement_timeout = '2s'")
                self._look(second)
            except psycopg.Error:  # no connection available: the blocker is not named
                pass
            except BaseException as stop:  # the statement has to end first
                stopped = stop
                with suppress(psycopg.Error):
                    self._waits.connection.cancel_safe()
            look = time.monotonic() + _LOOK_EVERY

        try:
            result = yield from polling(generator, poll)
        finally:
            if second:
                second.close()
        if stopped:
            raise stopped
        return result

    def _look(self, second: Connection) -> None:
        pid = self._waits.backend_pid or self._waits.connection.info.backend_pid
        rows = second.execute(query("execution/blockers"), {"pid": pid}).fetchall()
        if not rows:
            return
        what, self._pid, program, user, host, state, since, age, statement = rows[0]
        others = f" and {len(rows) - 1} more" if rows[1:] else ""
        doing = f"{state} for {since}, in a transaction of {age}" if since else state
        self.blocker = (
            f"{what}: held by pid {self._pid} ({program} as {user} from {host}){others}, {doing}"
            + (f": {statement}" if statement else "")
        )
        reported, when = self._reported
        if reported != self._pid or time.monotonic() >= when + _REPORT_EVERY:
            self._report_wait("")

    def _report_wait(self, suffix: str) -> None:
        self._reported = (self._pid, time.monotonic())
        self.report(Working(f"waiting for {self.blocker or 'a lock'}{suffix}"))

    def _settings(self, command: str, lock_timeout: int) -> list[str]:
        settings = [f"{command} lock_timeout = {lock_timeout}"]
        if self._header.statement_timeout is not None:
            settings.append(f"{command} statement_timeout = {self._header.statement_timeout}")
        return settings

    def _timed_out(self, error: SqlError, attempts: int) -> SqlError:
        """Return the error of the last attempt, naming the blocker."""
        limit = self._waits.timeouts.busy
        tried = f"{attempts} attempt{'' if attempts == 1 else 's'}"
        error.message = masked(f"Lock timeout on {self.blocker or 'a lock'}")
        error.args = (error.message,)
        error.hint = (
            f"{tried} in {limit:g} s; to wait longer: --busy-wait SECONDS."
            + (f" To end that session: select pg_terminate_backend({self._pid})." * bool(self._pid))
            + f"\n{error.hint}"
        ).strip()
        return error
