"""Dry run: execute pending files for real, observe what they do, and roll them back.

On the target, all files run in one transaction that is rolled back, with a short lock timeout. On a
copy of the target's catalog, each file commits as it would in an apply. Observed are locks in
pg_locks, a rewrite by the table's new file on disk, and scans by PostgreSQL's own counters: so DDL
inside a DO block is found too, which a linter cannot see.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from psycopg import pq

from runner.errors import NO_CHANGES, RunnerError, SqlError, masked
from runner.events import Report, Working, silent
from runner.execution import transactional
from runner.execution.lock_waits import SEQUENTIAL, LockWaits
from runner.execution.notices import Messages
from runner.execution.sql_errors import sql_error
from runner.files.loader import Migration
from runner.files.statements import Statement
from runner.postgres.connection import Connection, has_citus
from runner.preflight.catalog_changes import RESET_SESSION, CatalogChanges
from runner.preflight.diff import difference
from runner.preflight.meaning import with_widening
from runner.preflight.rehearsal_report import Rehearsal, Step, Table, TableImpact
from runner.queries import query
from runner.schema.snapshot import Snapshot
from runner.settings import Timeouts

# From the weakest: PostgreSQL's name, the name in its manual, and what the lock blocks.
# https://www.postgresql.org/docs/current/explicit-locking.html
_MODES = (
    ("AccessShareLock", "ACCESS SHARE", ""),
    ("RowShareLock", "ROW SHARE", ""),
    ("RowExclusiveLock", "ROW EXCLUSIVE", ""),
    ("ShareUpdateExclusiveLock", "SHARE UPDATE EXCLUSIVE", "blocks vacuum and schema changes on"),
    ("ShareLock", "SHARE", "blocks writes to"),
    ("ShareRowExclusiveLock", "SHARE ROW EXCLUSIVE", "blocks writes to"),
    ("ExclusiveLock", "EXCLUSIVE", "blocks writes to"),
    ("AccessExclusiveLock", "ACCESS EXCLUSIVE", "blocks reads and writes of"),
)
_CANCELED, _LOCKED, _NEW_ENUM_VALUE = "57014", "55P03", "55P04"  # SQLSTATEs
_RANK = {name: rank for rank, (name, *_) in enumerate(_MODES)}
_BLOCKS_WRITES = _RANK["ShareLock"]
_SHOWN_FROM = _RANK["ShareUpdateExclusiveLock"]
_QUERIES = ("delete", "insert", "merge", "select", "update", "with")
_MAX_BLOCKING_MS = 300.0  # how long writes may be blocked only to attribute effects to statements
_EARLIER_FILE_FAILED = "an earlier file failed"
_NEEDS_A_COMMIT = "it needs an earlier file to be committed; --on scratch does that"
_Sides = tuple[Snapshot, Snapshot]  # before and after


def tables(connection: Connection) -> dict[int, Table]:
    """Return the existing tables, by oid."""
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
    """Run files in one transaction that is rolled back; the caller holds the migrator's lock.

    Waits at most `lock_timeout` seconds for a lock, and cancels a statement after `hold` seconds.
    """
    sequential = f"; {SEQUENTIAL}" if has_citus(connection) else ""
    timeouts = (
        f"set local lock_timeout = {round(lock_timeout * 1000)};"
        f" set local statement_timeout = {round(hold * 1000)};"
        f" set local idle_in_transaction_session_timeout = {round(hold * 1000)}{sequential}"
    )
    done: list[Rehearsal] = []
    with connection.transaction(force_rollback=True):
        connection.execute(timeouts.encode())
        lock_waits = LockWaits(connection, report, Timeouts(table_lock=lock_timeout))
        changes = CatalogChanges(connection, roles=True)  # first: it names who locks a table
        rehearser = _Rehearser(lock_waits, changes, tables(connection), on_copy=False)
        for number, file in enumerate(files, start=1):
            report(Working(f"dry run of {file.id} ({number} of {len(files)})"))
            if connection.info.transaction_status == pq.TransactionStatus.INERROR:
                waiting = (one.id for one in done if one.not_run == _NEEDS_A_COMMIT)
                which = next(waiting, None)
                why = f"{which}, which comes before it, was not run; --on scratch runs both"
                done.append(_not_run(file, why if which else _EARLIER_FILE_FAILED))
            elif not file.header.transactional:
                why = "it runs outside a transaction, so it cannot be rolled back"
                done.append(_not_run(file, why))
            else:
                connection.execute(timeouts.encode())
                done.append(_explained(rehearser.rehearse(file), file, hold, first=not done))
    return done


def on_copy(
    connection: Connection,
    files: Sequence[Migration],
    sizes: Mapping[str, Table],
    *,
    report: Report = silent,
) -> list[Rehearsal]:
    """Run files on a copy, each in its own transaction. `sizes`: the target's tables, by name."""
    known = {oid: sizes.get(t.name, t) for oid, t in tables(connection).items()}
    lock_waits = LockWaits(connection, report)
    changes = CatalogChanges(connection, roles=True)
    rehearser = _Rehearser(lock_waits, changes, known, on_copy=True)
    done: list[Rehearsal] = []
    for number, file in enumerate(files, start=1):
        report(Working(f"dry run of {file.id} ({number} of {len(files)})"))
        if any(one.error for one in done):
            done.append(_not_run(file, _EARLIER_FILE_FAILED))
        elif file.header.transactional:
            connection.execute("begin")
            done.append(rehearser.rehearse(file))
            connection.execute("rollback" if done[-1].error else "commit")
        else:
            done.append(rehearser.rehearse(file))
    return done


class _Rehearser:
    """Run files on one connection, one after the other, and observe what they do."""

    def __init__(
        self,
        lock_waits: LockWaits,
        changes: CatalogChanges,
        known: Mapping[int, Table],
        *,
        on_copy: bool,
    ) -> None:
        self._lock_waits = lock_waits
        self._connection = lock_waits.connection
        self._on_copy = on_copy  # no other session can be blocked
        self._known = known
        self._blocking_since: float | None = None
        self._changes = changes
        self._unread: list[Statement] = []  # statements whose changes are not read yet
        self._carried: set[int] = set()  # tables that an earlier file has locked
        self._states = self._table_states()

    def rehearse(self, file: Migration) -> Rehearsal:
        """Run one file statement by statement, inside the open transaction if it wants one."""
        steps: list[Step] = []
        error: RunnerError | None = None
        started = time.monotonic()
        self._states = self._table_states()
        self._carried = {oid for oid, state in self._states.items() if state.rank >= _SHOWN_FROM}
        try:
            with Messages(self._lock_waits.report, file) as messages:
                for statement in file.statements:
                    steps.append(self._step(file, statement, messages))
        except RunnerError as failed:
            error = failed
        ms = _ms(started)
        if error is None:
            self._connection.execute(RESET_SESSION.encode())
            if self._unread:
                steps[-1:] = [self._with_effects(step) for step in steps[-1:]]
        if file.header.transactional:
            steps = list(_with_held_ms(steps))
        return Rehearsal(file.id, file.header.transactional, tuple(steps), ms, error=error)

    def _step(self, file: Migration, statement: Statement, messages: Messages) -> Step:
        started = time.monotonic()
        lock_wait = self._lock_waits.for_file(file.header)
        said = messages.about([statement], sent_from=statement.start)
        _, failed = transactional.send(self._connection, statement.text, lock_wait, on_notice=said)
        ms = _ms(started)
        if failed:
            state = f"{lock_wait.blocker}\n{NO_CHANGES}".strip()
            raise sql_error(failed, file, statement, state=state, sent_from=statement.start)
        transactional.check_encoding(self._connection, file, NO_CHANGES)
        before, self._states = self._states, self._table_states()
        impacts = tuple(self._impacts(statement, before))
        step = Step(statement.line, masked(" ".join(statement.text.split())), ms, impacts)
        self._unread.append(statement)
        return step if self._has_blocked_too_long() else self._with_effects(step)

    def _has_blocked_too_long(self) -> bool:
        """Return whether writes have been blocked for a while; then effects are read at the end."""
        if self._on_copy or not any(t.rank >= _BLOCKS_WRITES for t in self._states.values()):
            self._blocking_since = None
        elif self._blocking_since is None:
            self._blocking_since = time.monotonic()
        return self._blocking_since is not None and _ms(self._blocking_since) > _MAX_BLOCKING_MS

    def _with_effects(self, step: Step) -> Step:
        unread, self._unread = self._unread, []
        changed = self._changes.since()
        if changed is None:
            return step  # an insert, for example
        return _with_differences(step, changed, unread)

    def _table_states(self) -> dict[int, _TableState]:
        if not self._known:
            return {}
        rows = self._connection.execute(
            query("preflight/table_states"), {"tables": list(self._known)}
        ).fetchall()
        return {
            oid: _TableState(max((_RANK[mode] for mode in modes), default=-1), *counters)
            for oid, modes, *counters in rows
        }

    def _impacts(
        self, statement: Statement, before: Mapping[int, _TableState]
    ) -> Iterator[TableImpact]:
        is_ddl = not statement.words or statement.words[0] not in _QUERIES
        may_change = statement.words[:1] and statement.words[0] in (*_QUERIES, "call", "do")
        for oid in self._known:
            was, now = before.get(oid), self._states.get(oid)
            if was is None or now is None:  # dropped
                continue
            _, mode, blocks = _MODES[now.rank]
            is_new = now.rank > was.rank and now.rank >= _SHOWN_FROM
            table = self._known[oid]
            name = table.name.rpartition(".")[2].strip('"')
            impact = TableImpact(
                table,
                lock=mode if is_new else "",
                blocks=f"{blocks} {table.name}" if is_new else "",
                under=mode,
                carried=oid in self._carried,
                rewritten=now.filenode != was.filenode,
                scanned=is_ddl and now.scans > was.scans and now.rank >= _BLOCKS_WRITES,
                rows_changed=now.changed - was.changed,
                no_rows_seen=bool(may_change)
                and now.hides_rows
                and now.changed == was.changed
                and (now.rank > was.rank or name in statement.text),
            )
            if impact.is_worth_showing:
                yield impact


@dataclass(frozen=True)
class _TableState:
    """One table in the current transaction, from queries/table_states.sql."""

    rank: int  # of the strongest lock held; -1 for none
    filenode: int
    scans: int
    changed: int
    hides_rows: bool  # it may be written to, under row-level security


def _with_differences(step: Step, changed: _Sides, statements: Sequence[Statement]) -> Step:
    code = "\n".join(one.text for one in statements)
    found = with_widening(difference(*changed), code, *changed)
    effects, widens = (tuple(one) for one in zip(*found, strict=True)) if found else ((), ())
    return replace(step, effects=effects, widens=widens, effects_from=statements[0].line)


def _with_held_ms(steps: Sequence[Step]) -> Iterator[Step]:
    """Add to each lock how long it was held: until the transaction ended."""
    left = sum(step.ms for step in steps)
    for step in steps:
        held = tuple(replace(impact, held_ms=round(left, 1)) for impact in step.impacts)
        yield replace(step, impacts=held)
        left -= step.ms


def _explained(rehearsed: Rehearsal, file: Migration, hold: float, *, first: bool) -> Rehearsal:
    """Return the dry run with a better explanation of an error that the dry run itself caused."""
    error = rehearsed.error
    sqlstate = error.sqlstate if isinstance(error, SqlError) else ""
    if error and sqlstate == _CANCELED:
        error.message = f"a statement took longer than {hold:g} s, so it was canceled"
        error.hint = "Allow more time: --hold SECONDS, or block no other session: --on scratch"
    elif error and sqlstate == _LOCKED:
        error.hint = f"{error.hint}\nTry again, or block no other session: --on scratch"
    elif error and sqlstate == _NEW_ENUM_VALUE and not (first or _adds_value(file, error)):
        return replace(rehearsed, steps=(), not_run=_NEEDS_A_COMMIT, error=None)
    return rehearsed


def _adds_value(file: Migration, error: RunnerError) -> bool:
    """Whether a file itself adds the value of an enum that an error says is not committed."""
    value = re.search(r'"([^"]+)"', error.message)
    literal = f"'{value[1]}'" if value else ""
    return any(
        re.search(r"(?i)\badd\s+value\b", s.text) and literal in s.text for s in file.statements
    )


def _not_run(file: Migration, why: str) -> Rehearsal:
    return Rehearsal(file.id, file.header.transactional, not_run=why)


def _ms(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 1)
