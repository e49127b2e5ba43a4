"""Citus: the rows are committed for a while, and each trial has a transaction with one role.

A coordinator has a connection to each worker for every role, and one does not see what another has
not committed. So nothing that several roles look at can be rolled back with all of them.
"""

from __future__ import annotations

from runner.postgres.connection import Connection

_IS_THERE = "select to_regclass('pg_catalog.pg_dist_partition') is not null"
_DISTRIBUTED = "select logicalrelid::oid from pg_catalog.pg_dist_partition where partmethod = 'h'"
# Reference tables that repeat for all nodes what a distributed table says, checked at a commit.
_CHECKED_AT_THE_END = """
    select distinct k.confrelid
    from pg_catalog.pg_constraint as k
    inner join pg_catalog.pg_dist_partition as d
        on d.logicalrelid = k.confrelid and d.partmethod = 'n'
    where k.contype = 'f' and k.condeferred
"""


def distributed(connection: Connection) -> frozenset[int]:
    """Return the distributed tables; none on a server without Citus, and before any is."""
    with connection.transaction():
        if connection.execute(_IS_THERE).fetchone() != (True,):
            return frozenset()
        return frozenset(oid for (oid,) in connection.execute(_DISTRIBUTED))


def checked_at_the_end(connection: Connection) -> frozenset[int]:
    """Return the reference tables to which all foreign keys are deferred from the start."""
    return frozenset(oid for (oid,) in connection.execute(_CHECKED_AT_THE_END))
