"""What isolation.toml says of the tenants and people of the database that is shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from runner.errors import UsageError
from runner.isolation import toml_file
from runner.isolation.tenancy import config
from runner.isolation.tenancy.config import Actor, Config


@dataclass(frozen=True)
class Project:
    """The configuration, or why there is none."""

    config: Config | None
    problem: str = ""
    advice: tuple[str, ...] = ()  # lines

    @property
    def actors(self) -> tuple[Actor, ...]:
        """The actors, in the order of the file."""
        return tuple(self.config.actors.values()) if self.config else ()

    @property
    def schemas(self) -> list[str] | None:
        """The exposed schemas, if the file names them."""
        return list(self.config.schemas) if self.config and self.config.schemas else None

    def tenant_column(self, *names: str) -> str:
        """Return the column that says whose a row is, in a table with these names."""
        if self.config is None:
            return ""
        columns = self.config.tenant_columns
        return next((columns[n] for n in names if n in columns), self.config.tenant_column)


def read(sql_dir: Path) -> Project:
    """Return what the folder's isolation.toml says now; a mistake in it is a problem, no error."""
    path = sql_dir / toml_file.NAME
    try:
        stat = path.stat()
    except OSError:
        return _read(path, 0, 0)
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _read(path: Path, *_state: int) -> Project:
    try:
        return Project(config.read(path))
    except UsageError as error:
        return Project(None, error.message, tuple(error.hint.splitlines()))
