"""Seeds on a scratch server: as existing rows, and whether they load into the finished schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.errors import Interrupted, RunnerError
from runner.execution import transactional
from runner.files.sql_file import SqlFile
from runner.postgres.connection import Connection


def load_fitting(connection: Connection, seeds: Sequence[SqlFile]) -> None:
    """Load each seed file that the current schema accepts."""
    for file in seeds:
        try:
            with connection.transaction():
                transactional.run_whole(connection, file, state="")
        except Interrupted:
            raise
        except RunnerError:  # written for an earlier or later schema
            continue
        finally:
            connection.execute(transactional.RESET_SESSION.encode())


def not_loaded(connection: Connection, seeds: Sequence[SqlFile]) -> Iterator[str]:
    """Yield a note if the seeds do not load into an empty database with all files, as `up` does."""
    file = None
    try:
        with connection.transaction(force_rollback=True):
            for file in seeds:
                transactional.run_whole(connection, file, state="")
    except Interrupted:
        raise
    except RunnerError as error:
        yield f"{file} does not load into the schema that the files make: {error.message}"
    finally:
        connection.execute(transactional.RESET_SESSION.encode())
