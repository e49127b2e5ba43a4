"""Commands about this checkout: its files, its embedded server."""

from __future__ import annotations

from runner.cli.commands.common import Options
from runner.cli.console import Console
from runner.errors import DONE, UsageError
from runner.files import loader
from runner.settings import Settings

_HEADER = """\
-- {id}
-- Say in one sentence what this is for.
{depends}
"""


def new(where: Settings, options: Options, console: Console) -> int:
    """Make the next numbered file and its way back."""
    try:
        where.sql_dir.mkdir(exist_ok=True)
        known = loader.read(where.sql_dir) if any(where.sql_dir.glob("*.sql")) else []
        id_ = loader.next_name(where.sql_dir, options.name)
        depends = f"-- depends: {known[-1].id}\n" if known else ""
        forth, back = where.sql_dir / f"{id_}.sql", where.sql_dir / f"{id_}.rollback.sql"
        with forth.open("x", encoding="utf-8") as file:
            file.write(_HEADER.format(id=id_, depends=depends))
        with back.open("x", encoding="utf-8") as file:
            file.write(_HEADER.format(id=f"{id_}: the way back", depends=""))
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be made: {error.strerror}", hint="Nothing else was made."
        ) from None
    console.say(f"{forth}\n{back}")
    console.document(options.command, ok=True, exit_code=DONE, files=[forth, back])
    console.note("Write both, then: python -m runner apply")
    return DONE


def down(where: Settings, options: Options, console: Console) -> int:
    """Stop the embedded server."""
    from runner.postgres import embedded  # noqa: PLC0415 - this command alone is about nothing else

    if not where.embedded:
        raise UsageError(
            f"There is nothing to stop: {where.database_source} names the database",
            hint="`down` stops the embedded server only; unset it to mean that one.",
        )
    stopped = embedded.stop(where.data_dir)
    console.say("stopped; the data stay" if stopped else "was not running")
    console.document(options.command, ok=True, exit_code=DONE, stopped=stopped)
    return DONE
