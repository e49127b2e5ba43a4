"""Prove isolation on any schema: make rows of two tenants, try everything, roll everything back."""

from __future__ import annotations

import time
from collections.abc import Callable

from runner.errors import LockTimeout
from runner.events import Report, Working, silent
from runner.isolation.probes import catalog, functions, reads, writes
from runner.isolation.probes.findings import Findings
from runner.isolation.probes.identities import callers
from runner.isolation.probes.reads import Probe
from runner.isolation.probes.rights import Rights
from runner.isolation.rows import maker, snapshot
from runner.isolation.tenancy import relations
from runner.isolation.tenancy.config import Config
from runner.isolation.transactions import TransactionLimits, rolled_back, setup_backoff
from runner.isolation.verdict import Verdict
from runner.postgres.connection import Connection

LOCK_TIMEOUT = 1.0  # seconds: the longest that it may block a writer


def prove_generic(
    connection: Connection,
    config: Config,
    *,
    lock_timeout: float = LOCK_TIMEOUT,
    report: Report = silent,
) -> Verdict:
    """Return the verdict on the isolation of a database's tenants; changes nothing.

    `lock_timeout`: seconds. Raises UsageError if the file does not fit the database, and
    LockTimeout, naming the holders.
    """
    started = time.monotonic()
    found = tried(connection, config, lock_timeout=lock_timeout, report=report).findings
    return Verdict(
        cells=tuple(found.cells),
        breaches=tuple(found.breaches),
        warnings=tuple(found.warnings),
        seconds=time.monotonic() - started,
    )


def tried(
    connection: Connection,
    config: Config,
    *,
    lock_timeout: float = LOCK_TIMEOUT,
    report: Report = silent,
) -> Probe:
    """Return the findings with the rows that they are about, as `prove_generic` does."""
    limits = TransactionLimits.shared(lock_timeout)
    backoff = setup_backoff(lock_timeout)
    while True:
        ready: list[Probe] = []
        try:
            with rolled_back(connection, limits):
                ready.append(_prepared(connection, config, report))
                _try(ready[0], report)
                return ready[0]
        except LockTimeout:
            if ready or backoff.exhausted:
                raise
        finally:
            if not connection.closed:
                snapshot.forget(connection)
        backoff.sleep()


def _prepared(connection: Connection, config: Config, report: Report) -> Probe:
    """Make the rows, and return what the probes need."""
    tenants = relations.read(connection, config)
    catalog.check(connection, config, tenants)
    report(Working("rows of two tenants"))
    made = maker.make(connection, config, tenants)
    taken = snapshot.take(connection, made)
    return Probe(
        fixture=made,
        snapshot=taken,
        rights=Rights(connection, made, taken),
        callers=callers(connection, made),
        relations=tenants.reachable(),
        findings=Findings(connection, tenants),
    )


def _try(probe: Probe, report: Report) -> None:
    """Run every part on the rows."""
    parts: tuple[tuple[str, Callable[[Probe], None]], ...] = (
        ("privileges", catalog.judge),
        ("reading", reads.try_all),
        ("writing", writes.try_all),
        ("functions", functions.try_all),
    )
    for name, part in parts:
        report(Working(name))
        part(probe)
    catalog.accept(probe.fixture.config, probe.findings)
