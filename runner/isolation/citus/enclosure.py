"""Enclose a proof on Citus: the rows are committed, and each attempt is a transaction of its own.

What an attempt has changed is invisible to every other session, and within its own transaction to
every other role. But it has locked those rows: a second session reads which rows of the proof it
could lock, and skips the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace

import psycopg
from psycopg.pq import DiagnosticField
from psycopg.pq.abc import PGresult

from runner.isolation import untrusted
from runner.isolation.citus import checked_at_the_end, distributed
from runner.isolation.citus.committed import CommittedRows
from runner.isolation.probes import execute
from runner.isolation.probes.enclosure import Enclosure
from runner.isolation.probes.execute import Attempt, Outcome
from runner.isolation.rows.fixture import SHARED_ROWS, Fixture
from runner.isolation.rows.identity import A, B
from runner.isolation.rows.snapshot import Snapshot, condition_of
from runner.isolation.transactions import SEARCH_PATH, TransactionLimits, lost
from runner.postgres import signals
from runner.postgres.connection import Connection, open_second

SLOWEST = 10.0  # seconds of one statement: it may run on all nodes
OTHER_ROLE = "25001"  # another role has written there in this transaction
_NOTE = (
    "note: on Citus, verify commits rows of two tenants of its own, and removes them at the end; a "
    "run that is killed leaves them to the next one. Each attempt was a transaction that was "
    "rolled back. Rows that a trigger adds to another tenant are not seen there"
)
_SETTINGS = {
    "application_name": "runner verify", "row_security": "on", "jit": "off",
    "client_min_messages": "error", "search_path": SEARCH_PATH,
}  # fmt: skip
_PLACES = "select '{0} {1} ' || {2} from {3} as t where {4}"
_UNCHANGED = " for share skip locked"  # not by a transaction that is still open
_OF_STATEMENTS = ("INSERT", "UPDATE", "DELETE", "MERGE")


class EachAlone(Enclosure):
    """A transaction for each attempt, with one role."""

    by_key = True
    layers = False
    narrow = True
    everywhere = "set local citus.propagate_set_commands = 'local'"
    nowhere_else = "set local citus.enable_ddl_propagation = off"
    note = _NOTE
    stop = "true"  # Citus takes no condition with an effect; statement_timeout ends a statement

    def __init__(self, connection: Connection, second: Connection) -> None:
        self._connection, self._second = connection, second
        self.rows = CommittedRows(second)
        self.later = checked_at_the_end(connection)
        self._state: frozenset[str] = frozenset()
        self._ids: list[str] = []  # of the tenants
        self._reads: list[str] = []  # of all places
        self._looks: list[str] = []  # of those that another session has not changed
        self._unseen: frozenset[str] = frozenset()  # places in tables that are not distributed

    def replica(self, connection: Connection) -> str:
        """Return nothing: the roles of callers may not set it on the workers."""
        return ""

    @contextmanager
    def making(self) -> Iterator[None]:
        """Commit the rows, together with how to remove them."""
        with self._connection.transaction():
            self._connection.execute("set local citus.multi_shard_modify_mode = 'sequential'")
            yield

    def made(self, fixture: Fixture) -> None:
        """Write down how to remove the rows, in the transaction that makes them."""
        self.rows.mark(self._connection, fixture)

    def ready(self, fixture: Fixture, snapshot: Snapshot) -> None:
        """Prepare to look at the rows, and to put them back."""
        self._state = snapshot.state
        self._ids = list(fixture.ids.values())
        self.rows.remember(fixture, snapshot)
        on_workers = distributed(self._connection)
        numbers = set()
        for number, relation in enumerate(snapshot.tables):
            for owner in (A, B, SHARED_ROWS):
                condition = condition_of(fixture, relation, owner)
                place, name = fixture.place(relation), relation.qualified
                if condition != "false":
                    read = _PLACES.format(number, owner, place, name, condition)
                    self._reads.append(read)
                    if relation.oid in on_workers and owner != SHARED_ROWS:
                        numbers.add(str(number))
                        self._looks.append(read + _UNCHANGED)
        self._unseen = frozenset(p for p in self._state if p.partition(" ")[0] not in numbers)

    def run(self, connection: Connection, tried: Sequence[Attempt]) -> Iterator[Outcome]:
        """Execute each attempt in a transaction that is rolled back."""
        for attempt in tried:
            yield self._tried(attempt)

    def _tried(self, attempt: Attempt) -> Outcome:
        connection = self._connection
        enters = execute.entering(connection, attempt.identity)
        start = ["begin"]
        if attempt.before:  # its settings are for the workers, too
            start.append(self.everywhere)
        messages = execute.script(start, enters, replace(attempt, watch=False))
        end = [] if attempt.watch or attempt.refused else ["rollback", ""]
        try:
            results = execute.pipeline(connection, [*messages, *end])
            place = len(start) + bool(attempt.before) + len(enters)
            outcome = execute.outcome(replace(attempt, watch=False), place, results)
            if attempt.watch and not outcome.sqlstate:
                tag = (results[place][-1].command_status or b"").decode()
                outcome = replace(outcome, places=self._places(tag, outcome))
            elif self._must_fail(attempt) and outcome.rows and not outcome.sqlstate:
                outcome = self._committed(outcome)
            if end == []:
                connection.execute("rollback")
        except psycopg.OperationalError as error:
            if not connection.closed:
                raise
            raise lost(error, TransactionLimits.shared(SLOWEST)) from None
        return outcome

    def _must_fail(self, attempt: Attempt) -> bool:
        """Whether its success is to be committed, which it may be: it names rows of the proof."""
        return attempt.refused and any(tenant in attempt.sql for tenant in self._ids)

    def _committed(self, outcome: Outcome) -> Outcome:
        """Return the outcome at the commit of the open transaction: constraints may be deferred."""
        refused = commit(self._connection)
        if refused is None:
            self.rows.restore()
        return refused or outcome

    def _places(self, tag: str, outcome: Outcome) -> frozenset[str]:
        """Return where the rows are after a statement of the open transaction."""
        if not tag.startswith(_OF_STATEMENTS):  # a function: it may have written as its owner
            become = "select set_config('role', 'none', true)"
            results = execute.pipeline(self._connection, [become, *self._reads, ""])
            found = results[1 : 1 + len(self._reads)]
            if execute.failed(found) is None:
                return _listed(found)
            return self._state  # it has written as the caller, which the statements try
        if not outcome.rows and not tag.startswith("INSERT"):
            return self._state
        results = execute.pipeline(self._second, ["begin", *self._looks, "", "rollback", ""])
        found = results[1 : 1 + len(self._looks)]
        if error := execute.failed(found):
            raise error
        return _listed(found) | self._unseen

    def configure(self) -> None:
        """Set what a transaction of verify sets, for the session: each attempt is one."""
        limit = f"{round(SLOWEST * 1000)}ms"
        for name, value in {
            **_SETTINGS, "lock_timeout": limit, "statement_timeout": limit,
        }.items():  # fmt: skip
            self._connection.execute("select set_config(%s, %s, false)", [name, value])
        untrusted.limit_search_path(self._connection, local=False)

    def undo(self) -> None:
        """Undo `configure`, after the last transaction."""
        connection = self._connection
        with suppress(psycopg.Error):
            connection.rollback()
            connection.execute("drop function if exists pg_temp.holds(text)")
            for name in (*_SETTINGS, "lock_timeout", "statement_timeout"):
                connection.execute(f"reset {name}".encode())
            untrusted.limit_search_path(connection, local=False)


def commit(connection: Connection) -> Outcome | None:
    """Commit the open transaction, or roll it back; return the error, as the worker reports it.

    Citus replaces an error at the commit of a single worker by one of its own, after a warning with
    the first.
    """
    warnings: list[Outcome] = []
    shown = connection.pgconn.notice_handler
    connection.pgconn.notice_handler = lambda result: warnings.append(_of(result))
    try:
        connection.execute("set local client_min_messages = warning")
        connection.execute("commit")
    except psycopg.Error as error:
        if connection.closed or not error.sqlstate or error.pgresult is None:
            raise
        found = _of(error.pgresult)
        return next((w for w in warnings if w.sqlstate.startswith("23")), found)
    finally:
        connection.pgconn.notice_handler = shown
    return None


def _listed(results: Sequence[Sequence[PGresult]]) -> frozenset[str]:
    return frozenset(place for one in results for (place,) in execute.rows(one[-1]) if place)


def _of(result: PGresult) -> Outcome:
    """Return an error, or a warning, as an outcome."""
    fields = (DiagnosticField.SQLSTATE, DiagnosticField.MESSAGE_PRIMARY)
    state_, message = ((result.error_field(name) or b"").decode() for name in fields)
    return Outcome(sqlstate=state_ or "?????", message=message)


@contextmanager
def enclosed(connection: Connection, limits: TransactionLimits) -> Iterator[Enclosure]:
    """Enclose a proof on Citus; remove first what an earlier one has left.

    Raises LockTimeout while another verify runs, and ProofError, naming the rows, if they cannot be
    removed.
    """
    with closing(open_second(connection)) as second:
        enclosure = EachAlone(connection, second)
        enclosure.rows.begin()
        enclosure.configure()
        try:
            yield enclosure
        finally:
            with signals.deferred():  # a second Ctrl-C must not leave the rows
                try:
                    enclosure.undo()
                finally:
                    enclosure.rows.remove()
