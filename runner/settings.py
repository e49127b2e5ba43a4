"""Settings, each from the first that has it: flag, environment, .env, default.

The only module that reads the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.errors import UsageError

EMBEDDED_VERSIONS = (18, 16)
SCRATCH_URL = "RUNNER_SCRATCH_URL"  # read by preflight
_LONGEST_WAIT = 2_000_000  # seconds, 23 days: PostgreSQL's own limit is 2^31 ms
FLAGS = (
    *("database_url", "sql_dir", "sources", "seeds_dir", "env_file", "log"),
    *("wait", "lock_wait", "lock_timeout", "busy_wait"),
)
_YOYO_SOURCES = re.compile(r"(?m)^sources[ \t]*[=:](.*(?:\n[ \t]+.*)*)")
# Variables that select a server on their own; PGUSER or PGPASSWORD do not.
_NAMING = ("PGSERVICE", "PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE")


@dataclass(frozen=True)
class Timeouts:
    """How long a command waits, in seconds."""

    connect: float = 0.0  # for the server to accept connections, in all
    run_lock: float = 60.0  # for another run to end
    table_lock: float = 2.0  # for one table lock, per attempt; 0: no limit
    busy: float = 60.0  # for busy tables, over all attempts


@dataclass(frozen=True)
class Settings:
    database_url: str | None = field(repr=False)  # may hold a password
    database_source: str  # where it came from, for messages
    environ: Mapping[str, str] = field(repr=False)  # the environment, over what .env has
    sql_dir: Path
    sources: tuple[str, ...]  # further ones: folders in sql_dir
    seeds_dir: Path
    home: Path  # .runner: data of the embedded server, run log
    log: Path
    log_chosen: bool
    timeouts: Timeouts
    embedded_version: int

    @property
    def embedded(self) -> bool:
        """Whether no database is named, which means the embedded one."""
        return self.database_url is None

    @property
    def data_dir(self) -> Path:
        return self.home / "postgres"


def load(
    *, direct: bool = True, environ: Mapping[str, str] | None = None, **flags: Any
) -> Settings:
    """Return the settings.

    Args:
        direct: DIRECT_URL, if set, ranks above DATABASE_URL.
        environ: instead of the process's environment.
        flags: of the command line, see FLAGS; None or absent where not given. Timeouts in seconds.

    Raises UsageError for an .env file that was named and does not exist, and for invalid values.
    """
    given = os.environ if environ is None else environ
    real = {name: value for name, value in given.items() if value}
    written = _read_env_file(flags.get("env_file"))
    values = {**written, **real}  # the real environment wins

    database_url = flags.get("database_url")
    if database_url is not None and not database_url.strip():
        raise UsageError("--database-url is empty", hint="Is a variable in it not set?")
    url, source = database_url, "--database-url"
    names = ("DIRECT_URL", "DATABASE_URL") if direct else ("DATABASE_URL", "DIRECT_URL")
    for there, where in ((real, "the environment"), (written, ".env")):
        for name in names:
            if not url and name in there:
                url, source = there[name], f"{name} in {where}"
    if not url and any(name in values for name in _NAMING):
        url, source = "", "libpq's PG* variables"
    version = values.get("RUNNER_POSTGRES", str(EMBEDDED_VERSIONS[0]))
    if version not in map(str, EMBEDDED_VERSIONS):
        raise UsageError(
            f"RUNNER_POSTGRES is {version!r}; the embedded server is available as 18 and 16"
        )
    home = Path(values.get("RUNNER_HOME", ".runner"))
    log = flags.get("log") or values.get("RUNNER_LOG")
    sql_dir = Path(flags.get("sql_dir") or values.get("RUNNER_SQL_DIR", "sql"))
    sources = flags.get("sources") or values.get("RUNNER_WITH", "").split()
    return Settings(
        database_url=url,
        database_source=source if url is not None else "the embedded PostgreSQL",
        environ=values,
        sql_dir=sql_dir,
        sources=tuple(sources or _sources_in_yoyo_ini(sql_dir)),
        seeds_dir=Path(flags.get("seeds_dir") or values.get("RUNNER_SEEDS_DIR", "seeds")),
        home=home,
        log=Path(log or home / "runs.jsonl"),
        log_chosen=bool(log),
        timeouts=Timeouts(
            connect=_seconds("wait", flags, values, Timeouts.connect),
            run_lock=_seconds("lock-wait", flags, values, Timeouts.run_lock),
            table_lock=_seconds("lock-timeout", flags, values, Timeouts.table_lock),
            busy=_seconds("busy-wait", flags, values, Timeouts.busy),
        ),
        embedded_version=int(version),
    )


def wants_color(*, terminal: bool) -> bool:
    """Return whether a stream gets colors: NO_COLOR (no-color.org), FORCE_COLOR, TERM."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (terminal and can_rewrite_lines())


def can_rewrite_lines() -> bool:
    return os.environ.get("TERM", "dumb") != "dumb"


def _read_env_file(named: str | None) -> dict[str, str]:
    path = Path(named or ".env")
    if not path.is_file():
        if named:
            raise UsageError(f"The file {named} does not exist", hint="It was named by --env-file.")
        return {}
    from dotenv import dotenv_values  # noqa: PLC0415 - only where there is such a file

    try:
        # No interpolation: a password may hold a dollar sign.
        values = dotenv_values(path, interpolate=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    return {name: value for name, value in values.items() if value}


def _sources_in_yoyo_ini(sql_dir: Path) -> list[str]:
    """Return the folders in sql_dir among the `sources` of the current folder's yoyo.ini."""
    ini = Path("yoyo.ini")
    text = ini.read_text(encoding="utf-8", errors="replace") if ini.is_file() else ""
    found = _YOYO_SOURCES.search(text)
    paths = [Path(word) for word in (found[1] if found else "").split()]
    return [path.name for path in paths if path.parent == sql_dir]


def _seconds(
    name: str, flags: Mapping[str, Any], values: Mapping[str, str], default: float
) -> float:
    flag = flags.get(name.replace("-", "_"))
    variable = f"RUNNER_{name.upper().replace('-', '_')}"
    said = values.get(variable) if flag is None else str(flag)
    if said is None:
        return default
    try:
        seconds = float(said)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= _LONGEST_WAIT:
        raise UsageError(
            f"{variable if flag is None else f'--{name}'} is a number of seconds, not {said!r}"
        )
    return seconds
