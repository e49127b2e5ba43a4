"""The rehearsal: pending files run for real, watched, and taken back.

On the target itself all of it is one transaction that is rolled back, with a short patience; on a
scratch copy of the target's catalog each file commits, as it would. What is seen there is what
happens: locks from pg_locks, a rewrite by the table's new file on disk, a scan by PostgreSQL's own
counters. So DDL inside a DO block is seen as well, which no linter does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from psycopg import pq

from runner.errors import RunnerError, SqlError
from runner.events import Report, Working, silent
from runner.execution import transactional
from runner.execution.lock_waits import LockWaits
from runner.execution.sql_errors import sql_error
from runner.files.loader import Migration
from runner.files.statements import Statement
from runner.postgres.connection import Connection
from runner.preflight.rehearsal_report import Rehearsal, Step, Table, Touch
from runner.queries import query
from runner.schema import snapshot
from runner.schema.diff import difference

# From the weakest: what PostgreSQL calls it, how its manual writes it, and whom it keeps out.
# https://www.postgresql.org/docs/current/explicit-locking.html
_MODES = (
    ("AccessShareLock", "ACCESS SHARE", ""),
    ("RowShareLock", "ROW SHARE", ""),
    ("RowExclusiveLock", "ROW EXCLUSIVE", ""),
    ("ShareUpdateExclusiveLock", "SHARE UPDATE EXCLUSIVE", "blocks vacuum and other changes of"),
    ("ShareLock", "SHARE", "blocks writes of"),
    ("ShareRowExclusiveLock", "SHARE ROW EXCLUSIVE", "blocks writes of"),
    ("ExclusiveLock", "EXCLUSIVE", "blocks writes of"),
    ("AccessExclusiveLock", "ACCESS EXCLUSIVE", "blocks reads and writes of"),
)
_CANCELED, _LOCKED, _NEW_ENUM_VALUE = "57014", "55P03", "55P04"
_RANK = {name: rank for rank, (name, *_) in enumerate(_MODES)}
_BLOCKS_WRITES = _RANK["ShareLock"]
_SHOWN_FROM = _RANK["ShareUpdateExclusiveLock"]
_READS_BY_ITSELF = ("delete", "insert", "merge", "select", "update", "with")
_BLOCK_MS = 300.0  # how long writers are kept waiting only to see more


def tables(connection: Connection) -> dict[int, Table]:
    """Return the tables there are, by oid."""
    rows = connection.execute(query("preflight/sizes")).fetchall()
    return {oid: Table(name, count, size) for oid, name, count, size in rows}


def on_target(
    connection: Connection,
    files: Sequence[Migration],
    *,
    lock_timeout: float,
    hold: float,
    report: Report = silent,
) -> list[Rehearsal]:
    """Run files in one transaction that is rolled back; to be called under the ledger's lock.

    Waits `lock_timeout` seconds for a lock at most, and no statement goes on for more than `hold`.
    """
    patience = (
        f"set local lock_timeout = {round(lock_timeout * 1000)};"
        f" set local statement_timeout = {round(hold * 1000)};"
        f" set local idle_in_transaction_session_timeout = {round(hold * 1000)}"
    )
    done: list[Rehearsal] = []
    with connection.transaction(force_rollback=True):
        connection.execute(patience.encode())
        lock_waits = LockWaits(connection, report, lock_timeout)
        stage = _Stage(lock_waits, tables(connection), alone=False)
        for number, file in enumerate(files, start=1):
            report(Working(f"rehearsing {file.id} ({number} of {len(files)})"))
            if connection.info.transaction_status == pq.TransactionStatus.INERROR:
                done.append(_not(file, "a file before it failed"))
            elif not file.header.transactional:
                done.append(_not(file, "it runs outside a transaction, so it cannot be taken back"))
            else:
                connection.execute(patience.encode())
                done.append(_explained(stage.rehearse(file), hold, first=not done))
    return done


def on_copy(
    connection: Connection,
    files: Sequence[Migration],
    sizes: Mapping[str, Table],
    *,
    report: Report = silent,
) -> list[Rehearsal]:
    """Run files on a copy, each in a transaction of its own. `sizes`: the target's, by name."""
    known = {oid: sizes.get(t.name, t) for oid, t in tables(connection).items()}
    stage = _Stage(LockWaits(connection, report), known, alone=True)
    done: list[Rehearsal] = []
    for number, file in enumerate(files, start=1):
        report(Working(f"rehearsing {file.id} ({number} of {len(files)})"))
        if done and done[-1].error:
            done.append(_not(file, "a file before it failed"))
        elif file.header.transactional:
            connection.execute("begin")
            done.append(stage.rehearse(file))
            connection.execute("rollback" if done[-1].error else "commit")
        else:
            done.append(stage.rehearse(file))
    return done


class _Stage:
    """A connection on which files are watched, one after the other."""

    def __init__(self, lock_waits: LockWaits, known: Mapping[int, Table], *, alone: bool) -> None:
        self._turns = lock_waits
        self._connection = connection = lock_waits.connection
        self._alone = alone  # nobody is kept waiting
        self._known = known
        self._blocking_since: float | None = None
        self._now = snapshot.take(connection)
        self._writes = -1  # to the catalog until it was read last; -1: nobody knows
        self._seen = self._look()

    def rehearse(self, file: Migration) -> Rehearsal:
        """Run one file statement by statement, inside the open transaction if it wants one."""
        steps: list[Step] = []
        error: RunnerError | None = None
        started = time.monotonic()
        self._seen = self._look()
        self._writes = self._written(file)
        try:
            for statement in file.statements:
                steps.append(self._step(file, statement))
        except RunnerError as failed:
            error = failed
        ms = _ms(started)
        if error is None:
            self._connection.execute(transactional.RESET_SESSION.encode())
            steps[-1:] = [self._with_effects(file, step) for step in steps[-1:]]
        if file.header.transactional:
            steps = list(_held(steps))
        return Rehearsal(file.id, file.header.transactional, tuple(steps), ms, error=error)

    def _step(self, file: Migration, statement: Statement) -> Step:
        started = time.monotonic()
        lock_wait = self._turns.of(file.header)
        _, failed = transactional.send(self._connection, statement.text, lock_wait)
        ms = _ms(started)
        if failed:
            state = f"{lock_wait.in_the_way}\nNothing was kept.".strip()
            raise sql_error(failed, file, statement, state=state, sent_from=statement.start)
        transactional.check_encoding(self._connection, file, "Nothing was kept.")
        before, self._seen = self._seen, self._look()
        touches = tuple(self._touches(statement, before))
        step = Step(statement.line, " ".join(statement.text.split()), ms, touches)
        return step if self._in_a_hurry() else self._with_effects(file, step)

    def _in_a_hurry(self) -> bool:
        """Whether others may have waited for us for a while: then effects are read at the end."""
        if self._alone or not any(seen.rank >= _BLOCKS_WRITES for seen in self._seen.values()):
            self._blocking_since = None
        elif self._blocking_since is None:
            self._blocking_since = time.monotonic()
        return self._blocking_since is not None and _ms(self._blocking_since) > _BLOCK_MS

    def _with_effects(self, file: Migration, step: Step) -> Step:
        writes = self._written(file)
        if writes == self._writes != -1:
            return step  # an insert, say: a snapshot of a large catalog would take longer
        before, self._now, self._writes = self._now, snapshot.take(self._connection), writes
        return replace(step, effects=(*step.effects, *difference(before, self._now)))

    def _written(self, file: Migration) -> int:
        """Return how often the transaction of a file has written to the catalog."""
        if not file.header.transactional:  # each statement begins to count anew
            return -1
        row = self._connection.execute(query("preflight/catalog_writes")).fetchone()
        return int(row[0]) if row else -1

    def _look(self) -> dict[int, _Seen]:
        rows = self._connection.execute(
            query("preflight/touched"), {"tables": list(self._known)}
        ).fetchall()
        return {
            oid: _Seen(max((_RANK[mode] for mode in modes), default=-1), *counters)
            for oid, modes, *counters in rows
        }

    def _touches(self, statement: Statement, before: Mapping[int, _Seen]) -> Iterator[Touch]:
        is_ddl = not statement.words or statement.words[0] not in _READS_BY_ITSELF
        for oid in self._known:
            was, now = before.get(oid), self._seen.get(oid)
            if was is None or now is None:  # dropped
                continue
            _, mode, blocks = _MODES[now.rank]
            is_new = now.rank > was.rank and now.rank >= _SHOWN_FROM
            touch = Touch(
                self._known[oid],
                lock=mode if is_new else "",
                blocks=f"{blocks} {self._known[oid].name}" if is_new else "",
                under=mode,
                rewritten=now.filenode != was.filenode,
                scanned=is_ddl and now.scans > was.scans and now.rank >= _BLOCKS_WRITES,
                rows_changed=now.changed - was.changed,
            )
            if touch.lock or touch.rewritten or touch.scanned or touch.rows_changed:
                yield touch


@dataclass(frozen=True)
class _Seen:
    """What queries/touched.sql says of one table."""

    rank: int  # of the strongest lock held; -1 for none
    filenode: int
    scans: int
    changed: int


def _held(steps: Sequence[Step]) -> Iterator[Step]:
    """Say of each lock how long it was held: to the end, where the transaction ends."""
    left = sum(step.ms for step in steps)
    for step in steps:
        yield replace(step, touches=tuple(replace(t, held_ms=round(left, 1)) for t in step.touches))
        left -= step.ms


def _explained(rehearsed: Rehearsal, hold: float, *, first: bool) -> Rehearsal:
    """Say of an error what the rehearsal itself has to do with it."""
    error = rehearsed.error
    sqlstate = error.sqlstate if isinstance(error, SqlError) else ""
    if error and sqlstate == _CANCELED:
        error.message = f"a statement took longer than {hold:g} s, so it was broken off"
        error.hint = "Grant it more: --hold SECONDS, or keep nobody waiting: --on scratch"
    elif error and sqlstate == _LOCKED:
        error.hint = f"{error.hint}\nTry again, or keep out of everybody's way: --on scratch"
    elif error and sqlstate == _NEW_ENUM_VALUE and not first:
        why = "it needs a file before it to be committed; --on scratch does that"
        return replace(rehearsed, steps=(), not_run=why, error=None)
    return rehearsed


def _not(file: Migration, why: str) -> Rehearsal:
    return Rehearsal(file.id, file.header.transactional, not_run=why)


def _ms(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 1)
