"""The first isolation.toml of a project, from the catalog of a live database and by trying."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import UsageError
from runner.events import Report, silent
from runner.isolation import toml_file
from runner.isolation.draft import rights, schema, text
from runner.isolation.tenancy import config
from runner.isolation.verdict import Breach
from runner.postgres.connection import Connection


@dataclass(frozen=True)
class Written:
    """The file that was written, what a person has to decide, and the leaks that were found."""

    path: Path
    text: str
    undecided: list[str] = field(default_factory=list)
    leaks: list[Breach] = field(default_factory=list)


def write(connection: Connection, sql_dir: Path, report: Report = silent) -> Written:
    """Write isolation.toml from a database, which is not changed.

    A right is written where the privileges allow it and it works in the own tenant. What works
    across tenants is a leak. What cannot be decided is a comment in the file.

    Raises UsageError if there is such a file, if it cannot be written, or if no tenant is found;
    RunnerError and LockTimeout as `probes.generic.prove_generic`.
    """
    path = sql_dir / toml_file.NAME
    if path.exists():
        raise UsageError(
            f"{path} exists, and is not overwritten",
            hint="Edit it, or move it away first. To prove what it says: python -m runner verify",
        )
    draft = schema.read(connection, str(path))
    tried = rights.by_trying(connection, draft, report)
    for question in tried.open:
        draft.ask("rights", question)
    written = text.text(draft, tried.config)
    config.parse(written, str(path))  # what verify cannot read is not written
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(written)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    return Written(path, written, [question for _, question in draft.undecided], tried.leaks)
