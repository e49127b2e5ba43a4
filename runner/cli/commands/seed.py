"""Commands that pour seeds in, too: up, seed, reset."""

from __future__ import annotations

import time
from collections.abc import Mapping

from psycopg import sql

from runner.cli.commands.apply import apply_pending, migration_of, require_confirmation
from runner.cli.commands.common import Options, document, show_target, since
from runner.cli.console import Console
from runner.errors import DONE, ConfirmationRequired, UsageError
from runner.files import loader
from runner.files.sql_file import SqlFile
from runner.migrate import seeds
from runner.migrate.migrator import Migrator
from runner.migrate.plan import compare
from runner.migrate.session import migrator_for
from runner.postgres.connection import connect
from runner.postgres.target import resolve
from runner.settings import Settings

_MOST = 100_000  # organizations that --scale makes


def up(where: Settings, options: Options, console: Console) -> int:
    """Start, apply, seed, and say what to do next."""
    files, scripts = loader.read(where.sql_dir), seeds.read(where.seeds_dir)
    _start_with_port(where, options, console)
    with migrator_for(where, console.report) as migrator:
        _refuse_to_seed_elsewhere(migrator, options)
        show_target(migrator, console)
        counted = apply_pending(migrator, files, options, console)
        seeded = _seed(migrator, scripts, console)
        document(console, options, migrator, **counted, tables=seeded)
    console.note(
        "\nNext:\n"
        "  python -m runner status   what is applied\n"
        "  python -m runner psql     look around; try: table public.projects;\n"
        "  python -m runner url      the URL for your application\n"
        "  python -m runner down     stop the server; the data stay"
        if where.embedded
        else "\nNext:\n  python -m runner status"
    )
    return DONE


def seed(where: Settings, options: Options, console: Console) -> int:
    """Pour seeds/*.sql in, or so many made-up organizations."""
    orgs = _scale(options)
    scripts = seeds.read(where.seeds_dir / "scale" if orgs else where.seeds_dir)
    with migrator_for(where, console.report) as migrator:
        if orgs:
            operation = f"pour {orgs:,} made-up organizations into"
            require_confirmation(migrator, "--yes-fill", options.yes_fill, operation)
        else:
            _refuse_to_seed_elsewhere(migrator, options)
        show_target(migrator, console)
        counts = _seed(migrator, scripts, console, settings={"seed.orgs": orgs} if orgs else None)
        document(console, options, migrator, tables=counts)
    return DONE


def reset(where: Settings, options: Options, console: Console) -> int:
    """Empty the database, then apply and seed."""
    files, scripts = loader.read(where.sql_dir), seeds.read(where.seeds_dir)
    _start_with_port(where, options, console)
    if where.embedded:
        _recreate(where, console)
    with migrator_for(where, console.report) as migrator:
        show_target(migrator, console)
        require_confirmation(migrator, "--yes-delete", options.yes_delete, "empty")
        _refuse_to_seed_elsewhere(migrator, options)
        if not where.embedded:
            with migrator.lock():
                applied = compare(files, migrator.records()).applied()
                migrator.roll_back([migration_of(entry) for entry in applied])
        counted = apply_pending(migrator, files, options, console)
        seeded = _seed(migrator, scripts, console)
        document(console, options, migrator, **counted, tables=seeded)
    return DONE


def _scale(options: Options) -> int:
    """Return how many organizations are asked for, 0 where --scale is not."""
    if options.scale is None:
        return 0
    if not options.scale.isdecimal() or not 1 <= int(options.scale) <= _MOST:
        raise UsageError(
            f"--scale takes a number of organizations from 1 to {_MOST}, not {options.scale!r}",
            hint="Nothing was seeded.",
        )
    return int(options.scale)


def _seed(
    migrator: Migrator,
    scripts: list[SqlFile],
    console: Console,
    settings: Mapping[str, int] | None = None,
) -> list[seeds.TableCount]:
    started = time.monotonic()
    with migrator.lock():
        counts = seeds.load(migrator, scripts, settings)
    console.say()
    console.table(
        ("seeded", "inserted", "updated", "unchanged"),
        [(count.table, count.inserted, count.updated, count.unchanged) for count in counts],
        colalign=("left", "right", "right", "right"),
    )
    changed = sum(count.inserted + count.updated + count.deleted for count in counts)
    files = f"{len(scripts)} file{'s' if len(scripts) != 1 else ''}"
    console.say(
        f"{files} poured in, {changed or 'no'} row{'' if changed == 1 else 's'} changed"
        + since(started)
    )
    return counts


def _start_with_port(where: Settings, options: Options, console: Console) -> None:
    if options.port is None:
        return
    from runner.postgres import embedded  # noqa: PLC0415 - only where a port is asked for

    if not where.embedded:
        raise UsageError(
            f"--port is for the embedded server, but {where.database_source} names the database",
            hint="Nothing was done.",
        )
    embedded.start(
        where.data_dir, version=where.embedded_version, port=options.port, report=console.note
    )


def _recreate(where: Settings, console: Console) -> None:
    """Drop and make the embedded database; those who are connected to it are thrown out."""
    target = resolve(where, report=console.report)
    with connect(target, dbname="postgres") as connection:
        name = sql.Identifier(target.name)
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(name))
        connection.execute(sql.SQL("create database {}").format(name))


def _refuse_to_seed_elsewhere(migrator: Migrator, options: Options) -> None:
    if migrator.target and not migrator.target.is_local and not options.yes:
        raise ConfirmationRequired(
            f"Seeds are made-up data for development, and {migrator.target.url()} is not local",
            hint="If it is meant: --yes. To migrate only: python -m runner apply. "
            "Nothing was done.",
        )
