"""Where each value comes from: flag, environment, .env, default, in this order.

The only room that reads the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import UsageError

EMBEDDED_VERSIONS = (18, 16)
_LONGEST_WAIT = 2_000_000  # seconds, 23 days: PostgreSQL's own timeouts end a little above
# Any of these names a server by itself; PGUSER or PGPASSWORD alone do not.
_NAMING = ("PGSERVICE", "PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE")


@dataclass(frozen=True)
class Settings:
    """Everything a command needs to know, decided once."""

    database_url: str | None = field(repr=False)  # may hold a password
    database_source: str  # where it came from, for messages
    environ: Mapping[str, str] = field(repr=False)  # the environment with .env below it
    sql_dir: Path
    seeds_dir: Path
    home: Path  # .runner: data of the embedded server, run log
    log: Path
    log_chosen: bool
    wait: float  # seconds, like the next three
    lock_wait: float
    lock_timeout: float
    busy_wait: float
    embedded_version: int

    @property
    def embedded(self) -> bool:
        """Whether nothing names a database, so that the one from the wheel is meant."""
        return self.database_url is None

    @property
    def data_dir(self) -> Path:
        """Where the embedded server keeps its data."""
        return self.home / "postgres"


def load(
    *,
    database_url: str | None = None,
    sql_dir: str | None = None,
    seeds_dir: str | None = None,
    env_file: str | None = None,
    log: str | None = None,
    wait: float | None = None,
    lock_wait: float | None = None,
    lock_timeout: float | None = None,
    busy_wait: float | None = None,
    direct: bool = True,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Decide every value; the arguments are what the command line said, or None.

    `direct`: DIRECT_URL, if there is one, is meant rather than DATABASE_URL. Raises UsageError for
    an .env file that was named and does not exist, and for a value that makes no sense.
    """
    given = os.environ if environ is None else environ
    real = {name: value for name, value in given.items() if value}
    written = _read_env_file(env_file)
    values = {**written, **real}  # the real environment wins

    if database_url is not None and not database_url.strip():
        raise UsageError(
            "--database-url is empty", hint="Is a variable in it not set? Nothing was done."
        )
    url, source = database_url, "--database-url"
    names = ("DIRECT_URL", "DATABASE_URL") if direct else ("DATABASE_URL", "DIRECT_URL")
    for there, where in ((real, "the environment"), (written, ".env")):
        for name in names:
            if not url and name in there:
                url, source = there[name], f"{name} in {where}"
    if not url and any(name in values for name in _NAMING):
        url, source = "", "libpq's PG* variables"
    home = Path(values.get("RUNNER_HOME", ".runner"))
    return Settings(
        database_url=url,
        database_source=source if url is not None else "the embedded PostgreSQL",
        environ=values,
        sql_dir=Path(sql_dir or values.get("RUNNER_SQL_DIR", "sql")),
        seeds_dir=Path(seeds_dir or values.get("RUNNER_SEEDS_DIR", "seeds")),
        home=home,
        log=Path(log or values.get("RUNNER_LOG") or home / "runs.jsonl"),
        log_chosen=bool(log or values.get("RUNNER_LOG")),
        wait=_seconds("wait", wait, values, default=0.0),
        lock_wait=_seconds("lock-wait", lock_wait, values, default=60.0),
        lock_timeout=_seconds("lock-timeout", lock_timeout, values, default=2.0),
        busy_wait=_seconds("busy-wait", busy_wait, values, default=60.0),
        embedded_version=_version(values.get("RUNNER_POSTGRES", str(EMBEDDED_VERSIONS[0]))),
    )


def wants_colour(*, terminal: bool) -> bool:
    """Return whether a stream should be coloured: no-color.org, and what terminals say."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (terminal and can_rewrite_lines())


def can_rewrite_lines() -> bool:
    """Return whether a terminal is one on which a line can be taken back."""
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
        raise UsageError(f"{path} cannot be read: {error}", hint="Nothing was done.") from None
    return {name: value for name, value in values.items() if value}


def _seconds(name: str, flag: float | None, values: Mapping[str, str], *, default: float) -> float:
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
            f"{variable if flag is None else f'--{name}'} is a number of seconds, not {said!r}",
            hint="Nothing was done.",
        )
    return seconds


def _version(value: str) -> int:
    for version in EMBEDDED_VERSIONS:
        if value == str(version):
            return version
    raise UsageError(
        f"RUNNER_POSTGRES is {value!r}; the embedded server comes in 18 and 16",
        hint="Nothing was started.",
    )
