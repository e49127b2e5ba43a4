"""One command's time with a database: reached, its ledger opened, its run log kept."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from runner import database, pooler, reach, records
from runner.events import Report, silent
from runner.ledger import Ledger
from runner.runlog import RunLog
from runner.settings import Settings


@contextmanager
def opened(
    settings: Settings,
    report: Report = silent,
    *,
    create: bool = True,
    log: bool = True,
    write: bool = True,
) -> Iterator[Ledger]:
    """Reach the database of the settings and open its ledger.

    `create`: make the embedded database if there is none; `log`: keep the run log; `write`: refuse
    a database that cannot be written or locked. Raises whatever `database.target`,
    `reach.connect` and `pooler.session` raise.
    """
    target = database.target(settings, create=create, report=report)
    if write:
        pooler.refuse_by_name(target)
    backend = 0
    run_log: RunLog | None = None
    connection = reach.connect(target, wait=settings.wait, report=report)
    try:
        if write and not target.embedded:
            reach.refuse_read_only(connection, target)
            with reach.in_words():
                backend = pooler.session(connection, target)
        if write:
            with reach.in_words():
                connection.execute(database.NOTICE_A_DEAD_CLIENT)
        if log:
            facts = {
                "server_version": connection.info.parameter_status("server_version") or "",
                "target": target.url(),
                "by": f"{records.operating_system_user()}@{socket.gethostname()}",
            }
            run_log = RunLog(settings.log, chosen=settings.log_chosen, facts=facts, report=report)
        with reach.in_words():
            yield Ledger(
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
