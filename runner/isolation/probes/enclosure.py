"""How what is tried is enclosed, so that nothing of it remains: everything in one transaction.

On Citus, that is impossible: runner/isolation/citus/ has the other way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from runner.isolation.probes import execute
from runner.isolation.probes.execute import Attempt, Outcome
from runner.isolation.rows.fixture import Fixture
from runner.isolation.rows.snapshot import Snapshot
from runner.isolation.transactions import TransactionLimits, rolled_back
from runner.postgres.connection import Connection

MOST = 200  # rows that a statement without WHERE may change before it is ended
_REPLICA = "set local session_replication_role = replica"


class Enclosure:
    """One transaction that is rolled back, with a savepoint for each attempt."""

    by_key = False  # as of the fixture
    later: frozenset[int] = frozenset()  # as of the fixture
    narrow = False  # whether updates name the rows of the proof, where their callers may
    layers = True  # whether policies can be dropped for a moment
    everywhere = ""  # a statement after which settings of a transaction hold on every node
    nowhere_else = ""  # a statement after which a change of objects is made on this node alone
    note = ""  # what remains to be said about the run
    stop = (
        f"{MOST} / ({MOST} - set_config('isolation.rows', (coalesce(nullif(current_setting("
        "'isolation.rows', true), ''), '0')::int + 1)::text, true)::int) > 0"
    )  # a condition that ends a statement

    def replica(self, connection: Connection) -> str:
        """Return the statement after which no trigger refuses one row of many, if there is one."""
        superuser = connection.info.parameter_status("is_superuser") == "on"
        return _REPLICA if superuser else ""

    def making(self) -> AbstractContextManager[None]:
        """Enclose the making of the rows."""
        return nullcontext()

    def made(self, fixture: Fixture) -> None:
        """Take note of the rows, while they are made."""

    def ready(self, fixture: Fixture, snapshot: Snapshot) -> None:
        """Take note of the rows, once they are there."""

    def run(self, connection: Connection, tried: Sequence[Attempt]) -> Iterable[Outcome]:
        """Execute each attempt, and undo it."""
        return execute.run(connection, tried)


@contextmanager
def enclosed(connection: Connection, limits: TransactionLimits) -> Iterator[Enclosure]:
    """Enclose a proof in a transaction that is rolled back."""
    with rolled_back(connection, limits):
        yield Enclosure()
