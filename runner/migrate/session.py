"""Connect to the database of the settings, for one command."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from runner.events import Report, silent
from runner.migrate import recorder
from runner.migrate.migrator import Migrator
from runner.migrate.run_log import RunLog
from runner.postgres import pooler
from runner.postgres.connection import (
    ENABLE_CLIENT_CONNECTION_CHECK,
    connect,
    refuse_read_only,
    translate_errors,
)
from runner.postgres.target import locate
from runner.settings import Settings


@contextmanager
def migrator_for(
    settings: Settings,
    report: Report = silent,
    *,
    create: bool = True,
    log: bool = True,
    write: bool = True,
) -> Iterator[Migrator]:
    """Yield the migrator of the settings' database; psycopg errors inside become RunnerErrors.

    Args:
        create: create the embedded database if there is none.
        log: write the run log.
        write: reject a database that cannot be written to or locked.

    Raises what `target.locate`, `connection.connect` and `pooler.backend_pid` raise.
    """
    target = locate(settings, create=create, report=report)
    if write:
        pooler.refuse_by_name(target)
    backend_pid = 0
    run_log: RunLog | None = None
    with ExitStack() as stack:
        connection = connect(target, wait=settings.timeouts.connect, report=report)
        stack.callback(connection.close)
        stack.enter_context(translate_errors())
        if write and not target.embedded:
            refuse_read_only(connection, target)
            backend_pid = pooler.backend_pid(connection, target)
        if write:
            connection.execute(ENABLE_CLIENT_CONNECTION_CHECK)
        if not log:  # a command that reads, or that rolls back what it does
            # JIT: to compile a query of the catalog takes longer than to run it.
            read = "set lock_timeout = '2s'; set quote_all_identifiers = off; set jit = off"
            connection.execute(read)
        if log:
            facts = {
                "server_version": connection.info.parameter_status("server_version") or "",
                "target": target.url(),
                "by": f"{recorder.operating_system_user()}@{socket.gethostname()}",
            }
            run_log = RunLog(settings.log, chosen=settings.log_chosen, facts=facts, report=report)
            stack.callback(run_log.close)
        yield Migrator(
            connection,
            target=target,
            report=report,
            log=run_log,
            timeouts=settings.timeouts,
            backend_pid=backend_pid,
        )
