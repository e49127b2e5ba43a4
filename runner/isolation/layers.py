"""Try the permissive policies on their own: what crosses tenants, without the restrictive ones.

Dropping a policy locks the table exclusively until it is rolled back, so each step ends within the
lock timeout.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql

from runner.errors import LockTimeout
from runner.events import Report, Working
from runner.isolation import server_advisories
from runner.isolation.probes import execute, reads, writes
from runner.isolation.probes.execute import NOT_TRIED, Attempt, Outcome
from runner.isolation.probes.findings import Findings
from runner.isolation.probes.reads import Probe
from runner.isolation.tenancy.objects import Relation
from runner.isolation.transactions import LOCK_ERRORS, TransactionLimits, lock_holders, lost
from runner.postgres.connection import Connection
from runner.postgres.retry import Backoff
from runner.queries import query

_POLICIES = "select count(*) from pg_catalog.pg_policy"


def try_permissive_alone(probe: Probe, lock_timeout: float, report: Report) -> None:
    """Record what reaches another tenant without the restrictive policies, table by table.

    A table whose policies could not be dropped is a warning.
    """
    connection = probe.findings.connection
    by_oid = {relation.oid: relation for relation in probe.relations}
    backoff = Backoff(0.1, 1.6, factor=2.0, limit=3.0 + 5 * lock_timeout)  # for all tables together
    rows = connection.execute(query("isolation/restrictive_policies"), {"oids": list(by_oid)})
    for oid, drop, is_owner in rows.fetchall():
        relation, reason = by_oid[oid], ""
        if not is_owner:
            reason = "only the table's owner may do that."
        else:
            execute.give_way(connection)
            report(Working(f"{relation.qualified} without its restrictive policies"))
            try:
                _try(probe, relation, _Exclusive(drop, lock_timeout, backoff))
            except LockTimeout as locked:
                reason = locked.hint.partition("\n")[0]
        if reason:
            probe.findings.warnings.append(
                f"{relation.qualified}: its permissive policies were not tried on their own, "
                f"because the restrictive ones could not be dropped: {reason}"
            )


def try_drop_owned(probe: Probe, lock_timeout: float, report: Report) -> None:
    """Record which actors' roles drop policies of tables that they do not own, by DROP OWNED BY.

    On a server with that vulnerability it is a warning, because only an update helps.
    """
    connection = probe.findings.connection
    limits = TransactionLimits.exclusive(lock_timeout)
    affected = server_advisories.DROP_OWNED.affects(connection.info.server_version)
    for role in probe.fixture.tenants.api_roles:
        report(Working(f"DROP OWNED BY {role}"))
        name = sql.Identifier(role)
        try:
            with connection.transaction(force_rollback=True):
                for statement in filter(None, (probe.enclosure.nowhere_else, limits.settings)):
                    connection.execute(statement.encode())
                [(before,)] = connection.execute(_POLICIES).fetchall()
                drop = sql.SQL("set local role {}; drop owned by {}").format(name, name)
                connection.execute(drop)
                connection.execute("set local role none")
                [(after,)] = connection.execute(_POLICIES).fetchall()
        except psycopg.Error as error:
            if connection.closed:
                raise lost(error, limits) from None
            refused = error.sqlstate not in NOT_TRIED
            before = after = 0
            if not refused:
                probe.findings.warnings.append(
                    f"DROP OWNED BY {role} was not tried: it {NOT_TRIED[error.sqlstate or '']}"
                )
        if after < before and affected:
            probe.findings.warnings.append(
                f"{role} can drop {before - after} policies with DROP OWNED BY (tried, and rolled "
                f"back): the hole of this server, {server_advisories.DROP_OWNED.cve}"
            )
        elif after < before:
            probe.findings.breach(
                f"DROP OWNED BY {role}",
                f"role {role}",
                f"{role} can drop {before - after} policies with DROP OWNED BY (tried, and rolled "
                "back)",
                cause="the role owns tables with policies, or is a member of their owner",
                fix=f"-- let no role of [actors] own a table: reassign owned by {role}",
            )


def _try(probe: Probe, relation: Relation, exclusive: _Exclusive) -> None:
    found = Findings(probe.findings.connection, probe.fixture.tenants)
    alone = replace(
        probe,
        relations=[relation],
        callers=[c for c in probe.callers if not c.everywhere],
        findings=found,
        execute=exclusive,
    )
    reads.try_all(alone)
    writes.try_all(alone)
    crossing = {cell.title for cell in found.cells if cell.where == "other"}
    for breach in found.breaches:
        if breach.proof in crossing:
            probe.findings.breaches.append(
                replace(
                    breach,
                    proof=f"{breach.proof}, without the restrictive policies",
                    summary=f"{breach.summary}, if the restrictive policies are dropped",
                )
            )
    late = sum(cell.outcome in NOT_TRIED for cell in found.cells)
    if late:
        raise LockTimeout("", hint=f"{late} cells took too long.")


@dataclass
class _Exclusive:
    """Executes attempts while policies are dropped, in steps that end within the lock timeout."""

    drop: str
    lock_timeout: float
    backoff: Backoff

    def __call__(self, connection: Connection, tried: Sequence[Attempt]) -> Iterator[Outcome]:
        limits = TransactionLimits.exclusive(self.lock_timeout)
        remaining = list(tried)
        while remaining:
            outcomes = self._step(connection, remaining, limits)
            remaining = remaining[len(outcomes) :]
            yield from outcomes

    def _step(
        self, connection: Connection, tried: Sequence[Attempt], limits: TransactionLimits
    ) -> list[Outcome]:
        found: list[Outcome] = []
        self._lock(connection, limits)
        end = time.monotonic() + limits.budget
        try:
            while len(found) < len(tried) and time.monotonic() < end:
                batch = tried[len(found) : len(found) + limits.batch_size]
                found += execute.run(connection, batch, gives_way=False)
            connection.execute("rollback to savepoint exclusive; release savepoint exclusive")
        except psycopg.OperationalError as error:
            if not connection.closed:
                raise
            raise lost(error, limits) from None
        return found

    def _lock(self, connection: Connection, limits: TransactionLimits) -> None:
        """Drop the policies. Raises LockTimeout, naming the holders, when the retries are over."""
        while True:
            connection.execute("savepoint exclusive")
            try:
                connection.execute(f"{limits.settings}; {self.drop}".encode())
            except LOCK_ERRORS as error:
                connection.execute("rollback to savepoint exclusive; release savepoint exclusive")
                if self.backoff.exhausted:
                    holders = lock_holders(connection) or "a session that has since ended"
                    raise LockTimeout(
                        f"Could not acquire a lock: {error.diag.message_primary}",
                        hint=f"Locks are held by {holders}.",
                    ) from None
            else:
                return
            self.backoff.sleep()
