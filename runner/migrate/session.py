"""One command's time with a database: reached, its ledger opened, its run log kept."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

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
from runner.postgres.target import resolve
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
    """Reach the database of the settings and open its ledger.

    `create`: make the embedded database if there is none; `log`: keep the run log; `write`: refuse
    a database that cannot be written or locked. Raises whatever `target`,
    `reach.connect` and `pooler.session` raise.
    """
    target = resolve(settings, create=create, report=report)
    if write:
        pooler.refuse_by_name(target)
    backend = 0
    run_log: RunLog | None = None
    connection = connect(target, wait=settings.wait, report=report)
    try:
        if write and not target.embedded:
            refuse_read_only(connection, target)
            with translate_errors():
                backend = pooler.session(connection, target)
        if write:
            with translate_errors():
                connection.execute(ENABLE_CLIENT_CONNECTION_CHECK)
        if log:
            facts = {
                "server_version": connection.info.parameter_status("server_version") or "",
                "target": target.url(),
                "by": f"{recorder.operating_system_user()}@{socket.gethostname()}",
            }
            run_log = RunLog(settings.log, chosen=settings.log_chosen, facts=facts, report=report)
        with translate_errors():
            yield Migrator(
                connection,
                target=target,
                report=report,
                log=run_log,
                lock_wait=settings.lock_wait,
                lock_timeout=settings.lock_timeout,
                busy_wait=settings.busy_wait,
                backend=backend,
            )
    finally:
        if run_log:
            run_log.close()
        connection.close()
