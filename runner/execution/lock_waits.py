"""Busy tables: wait a moment for each lock, say who is in the way, give way, come again.

A statement that waits for a strong lock makes all who come after it wait too: one long transaction
and one `alter table` behind it stop an application. So a file waits for a lock only as long as the
application can bear, gives way to those who queue, and is tried again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq.abc import PGresult

from runner import signals
from runner.errors import SqlError
from runner.events import Report, Working
from runner.files import statements
from runner.files.sql_file import Header
from runner.postgres.connection import Connection, open_second
from runner.queries import query

BUSY = ("55P03", "40P01")  # a lock that was not had in time, a deadlock
_PAUSES = (0.25, 5.0)  # seconds between two tries: the first and the longest
_LOOK_EVERY = 1.0  # seconds
_TELL_EVERY = 10.0
# Only a machine that stands still leaves us idle in a transaction: then the locks must go.
_IDLE = 60_000  # milliseconds

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class LockWaits:
    """How the files of a run take their turns: how long they may wait for others, in seconds."""

    connection: Connection
    report: Report
    lock_timeout: float = 2.0  # for one lock, while others queue behind; 0: without end
    busy_wait: float = 60.0  # in all, over any number of tries
    backend: int = 0  # the server's own number of our session, where a pooler hides it

    def of(self, header: Header, *, lock_timeout: float | None = None) -> LockWait:
        """Return the turn of a file; `lock_timeout` is for one that does not ask for its own."""
        seconds = self.lock_timeout if lock_timeout is None else lock_timeout
        usual = max(1, round(seconds * 1000)) if seconds else 0
        return LockWait(self, header, usual if header.lock_timeout is None else header.lock_timeout)


class LockWait:
    """One file's turn at tables that others use too."""

    def __init__(self, lock_waits: LockWaits, header: Header, lock_timeout: int) -> None:
        self._turns = lock_waits
        self._header = header
        self._lock_timeout = lock_timeout  # milliseconds
        self.in_the_way = ""  # which table, and who holds it, as the last look had it
        self._pid = 0
        self._told = (0, 0.0)  # of which pid, and when

    def in_transaction(self) -> list[str]:
        """Return the settings of the file's transaction; they end with it."""
        idle = self._header.idle_in_transaction_session_timeout
        return [
            f"set local idle_in_transaction_session_timeout = {_IDLE if idle is None else idle}",
            *self._settings("set local", self._lock_timeout),
        ]

    def of_statement(self, text: str) -> str:
        """Return the settings of one statement outside a transaction.

        What runs CONCURRENTLY waits for old transactions by design, and nobody queues behind it:
        a lock timeout would break it again and again.
        """
        patient = "concurrently" in (word.lower() for word in statements.code(text))
        return "; ".join(self._settings("set", 0 if patient else self._lock_timeout))

    def retry(self, attempt: Callable[[], Answer], *, on_failure: Callable[[], object]) -> Answer:
        """Try until nobody is in the way; `give_way` undoes what a try has left.

        Raises SqlError when the patience is at an end, naming who was in the way.
        """
        started = time.monotonic()
        self.in_the_way, self._pid = "", 0
        pause, longest = _PAUSES
        tries = 1
        while True:
            try:
                return attempt()
            except SqlError as error:
                left = started + self._turns.busy_wait - time.monotonic()
                if error.sqlstate not in BUSY:
                    raise
                if left < pause:
                    raise self._in_vain(error, tries) from None
                on_failure()
                self._tell(f"; next try in {pause:g} s")
            signals.sleep(pause)
            pause = min(2 * pause, longest)
            tries += 1

    def watched(self, answer: PQGen[list[PGresult]]) -> PQGen[list[PGresult]]:
        """Wait for the answer to a statement as psycopg does, and look who is in its way.

        It takes a second connection to look, opened for a statement that takes long, and closed
        with the statement.
        """
        look = self._first_look()
        second: Connection | None = None
        interrupted: BaseException | None = None
        try:
            state = next(answer)
            while True:
                ready = yield state
                if not ready and time.monotonic() >= look and not interrupted:
                    try:
                        if second is None:
                            second = open_second(self._turns.connection)
                            second.execute("set statement_timeout = '2s'")
                        self._look(second)
                    except psycopg.Error:  # no connection to spare: then nobody is named
                        pass
                    except BaseException as stop:  # the statement must end before we do
                        interrupted = stop
                        with suppress(psycopg.Error):
                            self._turns.connection.cancel_safe()
                    look = time.monotonic() + _LOOK_EVERY
                state = answer.send(ready)
        except StopIteration as done:
            if interrupted:
                raise interrupted from None
            return done.value  # type: ignore[no-any-return]
        finally:
            if second:
                second.close()

    def _first_look(self) -> float:
        """Return when to look first: before the lock timeout strikes."""
        return time.monotonic() + min(_LOOK_EVERY, self._lock_timeout / 2000 or _LOOK_EVERY)

    def _look(self, second: Connection) -> None:
        rows = second.execute(
            query("execution/blockers"),
            {"pid": self._turns.backend or self._turns.connection.info.backend_pid},
        ).fetchall()
        if not rows:
            return
        what, pid, program, user, host, state, since, age, statement = rows[0]
        others = f" and {len(rows) - 1} more" if rows[1:] else ""
        doing = f"{state} for {since}, in a transaction of {age}" if since else state
        self._pid = pid
        self.in_the_way = (
            f"{what}: held by pid {pid} ({program} as {user} from {host}){others}, {doing}"
            + (f": {statement}" if statement else "")
        )
        told, when = self._told
        if told != pid or time.monotonic() >= when + _TELL_EVERY:
            self._tell("")

    def _tell(self, more: str) -> None:
        self._told = (self._pid, time.monotonic())
        self._turns.report(Working(f"waiting for {self.in_the_way or 'a lock'}{more}"))

    def _settings(self, word: str, lock_timeout: int) -> list[str]:
        settings = [f"{word} lock_timeout = {lock_timeout}"]
        if self._header.statement_timeout is not None:
            settings.append(f"{word} statement_timeout = {self._header.statement_timeout}")
        return settings

    def _in_vain(self, error: SqlError, tries: int) -> SqlError:
        """Return the error of the last try, with what stood in the way."""
        end_it = f" To end that session: select pg_terminate_backend({self._pid})."
        return SqlError(
            f"Waited in vain for {self.in_the_way or 'a lock'}",
            hint=f"Tried {tries} times in {self._turns.busy_wait:g} s; wait longer: --busy-wait "
            f"SECONDS.{end_it if self._pid else ''}\n{error.hint}".strip(),
            place=error.place,
            sqlstate=error.sqlstate,
            detail=error.detail,
            server_hint=error.server_hint,
            context=error.context,
        )
