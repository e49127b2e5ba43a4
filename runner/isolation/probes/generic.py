"""Make rows of two tenants for any schema, try every right on them, and roll everything back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import psycopg

from runner.errors import LockTimeout, ProofError
from runner.events import Report, Working, silent
from runner.isolation.citus import distributed
from runner.isolation.citus import enclosure as citus
from runner.isolation.probes import catalog, functions, reads, writes
from runner.isolation.probes.enclosure import Enclosure, enclosed
from runner.isolation.probes.findings import Findings
from runner.isolation.probes.identities import callers
from runner.isolation.probes.reads import Probe
from runner.isolation.probes.rights import Rights
from runner.isolation.rows import maker, snapshot
from runner.isolation.rows.fixture import Fixture, requests
from runner.isolation.rows.refresh import refresh
from runner.isolation.tenancy import relations
from runner.isolation.tenancy.config import Config
from runner.isolation.transactions import Awaited, TransactionLimits, setup_backoff
from runner.isolation.verdict import Breach
from runner.postgres.connection import Connection

LOCK_TIMEOUT = 1.0  # seconds: the longest that it may block a writer
_MOST = 5  # times that it starts, because another session waits


def on_rows(
    connection: Connection,
    config: Config,
    work: Callable[[Probe], None],
    *,
    lock_timeout: float = LOCK_TIMEOUT,
    report: Report = silent,
) -> Probe:
    """Run `work` in a transaction that contains the rows, and roll it back; return the findings.

    `lock_timeout`: seconds. The rows are tried again while a lock blocks them, and everything is
    while another session waits for this one, as a schema change does. Raises UsageError if the file
    does not fit the database, LockTimeout, naming the holders, and ProofError if no rows can be
    made.
    """
    limits = TransactionLimits.shared(lock_timeout)
    enclose = citus.enclosed if distributed(connection) else enclosed
    backoff, given_way = setup_backoff(lock_timeout), 0
    while True:
        ready: list[Probe] = []
        try:
            with enclose(connection, limits) as enclosure:
                alone = given_way == 0
                ready.append(prepared(connection, config, report, enclosure, exclusive=alone))
                work(ready[0])
                return ready[0]
        except Awaited:
            given_way += 1
            if given_way == _MOST:
                raise
        except LockTimeout:
            if ready or backoff.exhausted:
                raise
        finally:
            if not connection.closed:
                snapshot.forget(connection)
        backoff.sleep()


def tried(connection: Connection, config: Config, *, report: Report = silent) -> Probe:
    """Return the findings of all rights with the rows that they are about, as `on_rows` does."""
    return on_rows(connection, config, lambda probe: try_rights(probe, report), report=report)


def prepared(
    connection: Connection,
    config: Config,
    report: Report = silent,
    enclosure: Enclosure | None = None,
    *,
    exclusive: bool = True,
) -> Probe:
    """Make the rows, and return what the probes need; `exclusive` as of `refresh`."""
    enclosure = enclosure or Enclosure()
    tenants = relations.read(connection, config)
    if tenants.blocked:
        raise ProofError(
            f"Nothing was tried: {tenants.blocked}",
            hint="Connect as the tables' owner, if that is no superuser; or look at that object, "
            "and drop it or give it to the tables' owner.",
        )
    committed = ", which are committed until the end" if enclosure.note else ""
    report(Working(f"rows of two tenants{committed}"))
    made = Fixture(
        config,
        tenants,
        requests=requests(connection, config),
        by_key=enclosure.by_key,
        later=enclosure.later,
    )
    try:
        with enclosure.making():
            maker.make(connection, made)
            if not made.ids:
                reasons = [f"{f.relation.qualified}: {f.reason}" for f in made.failures]
                raise _no_rows(config, *reasons[:1])
            enclosure.made(made)
    except psycopg.errors.InsufficientPrivilege as error:
        raise _no_rows(config, error.diag.message_primary or str(error)) from None
    refresh(connection, made, exclusive=exclusive, committed=bool(enclosure.note))
    taken = snapshot.take(connection, made)
    enclosure.ready(made, taken)
    return Probe(
        fixture=made,
        snapshot=taken,
        rights=Rights(connection, made, taken),
        callers=callers(connection, made),
        relations=tenants.reachable(),
        findings=Findings(connection, tenants),
        enclosure=enclosure,
    )


def _no_rows(config: Config, reason: str = "no table has the tenant's column") -> ProofError:
    return ProofError(
        f"The rows of two tenants could not be inserted: {reason}",
        hint=f"verify makes rows in every table that {config.path} is about: connect as the "
        "tables' owner, or as a superuser.",
    )


def try_rights(
    probe: Probe,
    report: Report,
    *,
    whole: bool = True,
    done: Callable[[Sequence[Breach]], bool] = lambda _: False,
) -> None:
    """Read, write and call as every caller; `whole`: also what is about no single relation.

    `done`: whether the breaches so far end the run, asked after each part.
    """
    parts: tuple[tuple[str, Callable[[Probe], None]], ...] = (
        ("privileges", catalog.judge),
        ("reading", reads.try_all),
        ("writing", writes.try_all),
        ("functions", functions.try_all),
    )
    for name, part in parts if whole else parts[:3]:
        report(Working(name))
        part(probe)
        if done(probe.findings.breaches):
            return
