"""The backend for yoyo that yoyo.ini names, found through the entry point group `yoyo.backends`.

Plain `yoyo apply`, `list`, `rollback` and `mark` take the same code path, under the same lock and
with the same guarantees, as `python -m runner`. No other module imports yoyo.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from psycopg.conninfo import make_conninfo
from yoyo import exceptions
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.migrations import Migration as YoyoMigration
from yoyo.migrations import MigrationList, get_migration_hash

from runner import settings
from runner.cli.console import Console
from runner.errors import FileError, PlanError, RunnerError
from runner.events import Note
from runner.files import loader
from runner.migrate.plan import Plan, compare, require_recorded
from runner.migrate.session import migrator_for
from runner.postgres import signals
from runner.postgres.connection import translate_errors
from runner.preflight import distribution, foreign, lookup
from runner.preflight.confirmation import require_to_roll_back
from runner.preflight.rollbacks import refuse_needed

_MARKED = "Marked without a look at the database. To compare it first: python -m runner baseline"


class Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo has no types
    def __init__(self, dburi: Any, migration_table: str) -> None:
        self._console = Console()
        self._closing = ExitStack()
        super().__init__(dburi, migration_table)

    def connect(self, dburi: Any) -> Any:
        """Connect to the database of the settings, or to the one after runner:// in `-d`."""
        self._closing.enter_context(signals.installed())
        with self._plain_errors():
            _, user, password, host, port, database, more = dburi
            dbname = database or None
            named = make_conninfo(host=host, port=port, user=user, password=password, dbname=dbname)
            named = make_conninfo(named, **more)
            found = settings.load(database_url=named or None)
            self.migrator = self._closing.enter_context(migrator_for(found, self._console.report))
        return self.migrator.connection

    def init_database(self) -> None:
        """Do nothing: yoyo would create a lock table and test transactions here."""

    def ensure_internal_schema_updated(self) -> None:
        """Do nothing: the tables are created with the first record."""

    @contextmanager
    def lock(self, timeout: float = 10) -> Iterator[None]:
        """Hold the advisory lock; every command of yoyo runs inside, so errors are handled here."""
        # Not `timeout`: RUNNER_LOCK_WAIT is the one setting for it.
        with self._plain_errors(), self.migrator.lock():
            yield

    def break_lock(self) -> None:
        self._console.say("There is no lock to break: it is released when its connection ends.")

    def get_applied_migration_hashes(self) -> list[str]:
        return [get_migration_hash(id_.rpartition("/")[2]) for id_ in self.migrator.records()]

    def to_apply(self, migration_list: MigrationList) -> MigrationList:
        """Return the pending ones in order. Raises PlanError as `python -m runner apply` does."""
        return self._chosen(migration_list, self._plan(migration_list).pending())

    def to_rollback(self, migration_list: MigrationList) -> MigrationList:
        applied = self._plan(migration_list).applied()
        return self._chosen(migration_list, [e.migration for e in applied if e.migration])

    def apply_migrations(self, migration_list: MigrationList, force: bool = False) -> None:
        _refuse(force, migration_list)
        plan = self._plan(migration_list)
        foreign.refuse(self.migrator.connection, plan, report=self._console.report)
        self.migrator.apply(_files(migration_list))
        distribution.require(self.migrator.connection)
        self._summary("applied", len(migration_list))

    def rollback_migrations(self, migration_list: MigrationList, force: bool = False) -> None:
        _refuse(force, migration_list)
        assert self.migrator.target  # noqa: S101 - `migrator_for` sets it
        everything = len(migration_list) == len(self.migrator.records()) > 1
        require_to_roll_back(self.migrator.target, None, everything=everything)
        files = _files(migration_list)
        refuse_needed(self._plan(migration_list), files)
        self.migrator.roll_back(files)
        self._summary("rolled back", len(migration_list))

    def mark_migrations(self, migration_list: MigrationList) -> None:
        self._console.report(Note(_MARKED))
        for file in _files(migration_list):
            require_recorded(self.migrator.records(), file, applied=False)
            self.migrator.record(file, "mark")

    def unmark_migrations(self, migration_list: MigrationList) -> None:
        for file in _files(migration_list):
            require_recorded(self.migrator.records(), file, applied=True)
            self.migrator.record(file, "unmark")

    def _plan(self, migration_list: MigrationList) -> Plan:
        return compare(_all_files(migration_list), self.migrator.records())

    def _chosen(
        self, migration_list: MigrationList, files: Iterable[loader.Migration]
    ) -> MigrationList:
        by_name: dict[str, YoyoMigration] = {m.id: m for m in migration_list}
        return migration_list.replace([by_name[f.name] for f in files if f.name in by_name])

    def _summary(self, operation: str, count: int) -> None:
        self._console.say(f"{count} {operation}" if count else f"nothing to be {operation}")

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Print errors and exit with their code; yoyo would show a traceback."""
        try:
            with translate_errors():
                yield
        except (RunnerError, signals.Interrupt) as error:
            self._end(signals.as_error(error))
        except (exceptions.BadMigration, exceptions.MigrationConflict) as error:
            self._end(FileError(f"yoyo cannot read the migrations: {error}"))
        except (ValueError, LookupError, OSError) as error:  # UnicodeDecodeError among them
            self._end(FileError(f"yoyo cannot read the migrations: {error!r}"))

    def _end(self, error: RunnerError) -> NoReturn:
        self._console.error(error, "")
        raise SystemExit(error.exit_code) from None


def _all_files(migration_list: MigrationList) -> list[loader.Migration]:
    """Return all files of the folders yoyo chose from: the order depends on all of them."""
    return lookup.in_folders({Path(migration.path).parent for migration in migration_list})


def _files(migration_list: MigrationList) -> list[loader.Migration]:
    by_name = {file.name: file for file in _all_files(migration_list)}
    return [by_name[migration.id] for migration in migration_list]


def _refuse(force: bool, migration_list: MigrationList) -> None:
    if force:
        raise PlanError(
            "--force would record a migration that partly failed",
            hint="Fix the file, or `yoyo mark` it if its work was done by hand.",
        )
    if migration_list.post_apply:
        raise FileError(
            "post-apply files are not supported",
            hint="Put what has to run after each apply into seeds/ or a migration.",
        )
