"""Commands that pour seeds in, too: up, seed, reset."""

from __future__ import annotations

import time
from collections.abc import Mapping

from psycopg import sql

from runner.cli.commands.apply import apply_pending, file_of, two_signals
from runner.cli.commands.common import Options, document, say_target, since
from runner.cli.console import Console
from runner.errors import DONE, Refused, UsageError
from runner.files import loader
from runner.files.sql_file import Script
from runner.migrate import seeds
from runner.migrate.migrator import Ledger
from runner.migrate.plan import compare
from runner.migrate.session import opened
from runner.postgres.connection import connect
from runner.postgres.target import resolve
from runner.settings import Settings

_MOST = 100_000  # organizations that --scale makes


def up(where: Settings, options: Options, console: Console) -> int:
    """Start, apply, seed, and say what to do next."""
    files, scripts = loader.read(where.sql_dir), seeds.read(where.seeds_dir)
    _start_with_port(where, options, console)
    with opened(where, console.report) as ledger:
        _refuse_to_seed_elsewhere(ledger, options)
        say_target(ledger, console)
        counted = apply_pending(ledger, files, options, console)
        seeded = _seed(ledger, scripts, console)
        document(console, options, ledger, **counted, tables=seeded)
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
    with opened(where, console.report) as ledger:
        if orgs:
            deed = f"pour {orgs:,} made-up organizations into"
            two_signals(ledger, "--yes-fill", options.yes_fill, deed)
        else:
            _refuse_to_seed_elsewhere(ledger, options)
        say_target(ledger, console)
        counts = _seed(ledger, scripts, console, settings={"seed.orgs": orgs} if orgs else None)
        document(console, options, ledger, tables=counts)
    return DONE


def reset(where: Settings, options: Options, console: Console) -> int:
    """Empty the database, then apply and seed."""
    files, scripts = loader.read(where.sql_dir), seeds.read(where.seeds_dir)
    _start_with_port(where, options, console)
    if where.embedded:
        _recreate(where, console)
    with opened(where, console.report) as ledger:
        say_target(ledger, console)
        two_signals(ledger, "--yes-delete", options.yes_delete, "empty")
        _refuse_to_seed_elsewhere(ledger, options)
        if not where.embedded:
            with ledger.lock():
                applied = compare(files, ledger.records()).applied()
                ledger.roll_back([file_of(entry) for entry in applied])
        counted = apply_pending(ledger, files, options, console)
        seeded = _seed(ledger, scripts, console)
        document(console, options, ledger, **counted, tables=seeded)
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
    ledger: Ledger,
    scripts: list[Script],
    console: Console,
    settings: Mapping[str, int] | None = None,
) -> list[seeds.TableCount]:
    started = time.monotonic()
    with ledger.lock():
        counts = seeds.pour(ledger, scripts, settings)
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


def _refuse_to_seed_elsewhere(ledger: Ledger, options: Options) -> None:
    if ledger.target and not ledger.target.is_local and not options.yes:
        raise Refused(
            f"Seeds are made-up data for development, and {ledger.target.url()} is not local",
            hint="If it is meant: --yes. To migrate only: python -m runner apply. "
            "Nothing was done.",
        )
