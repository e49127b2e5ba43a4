"""Benchmark: a deploy of one file, status, plan and check as files grow, each with its limit."""

from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import psycopg
from applying import OURS, PSQL, YOYO, environment, fresh, many_files
from measure import Run, interleaved, median, ratio, table, timed

from runner import embedded
from runner.embedded import Server
from runner.preflight.temporary_server import temporary_server

DBMATE, NO_OP, STATUS = "dbmate up", "apply, nothing to do", "status --json"
MINIMUM = "the same by psycopg alone"
# What no runner in Python can go below: the files are read and hashed, and those that are not
# recorded are run, each in one transaction with its record. Nothing is checked.
_MINIMUM = """
import hashlib, pathlib, sys
import psycopg

with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    connection.execute("create table if not exists records (id text primary key, hash text)")
    known = {id for id, in connection.execute("select id from records")}
    for path in sorted(pathlib.Path(sys.argv[2]).glob("*.sql")):
        text = path.read_bytes()
        digest = hashlib.sha256(text).hexdigest()
        if path.stem not in known:
            record = f"insert into records values ('{path.stem}', '{digest}')"
            connection.execute(b"begin; " + text + f"; {record}; commit".encode())
"""
_MORE = "create table if not exists public.more (id bigint primary key);\n"
_DBMATE = "-- migrate:up\n{}\n-- migrate:down\n"


def table_of_limits(rounds: int, say: Callable[[str], None]) -> str:
    """Return a table: what a change costs with many files, and whether each is within its limit."""
    lines: list[list[object]] = []
    with temporary_server() as server, tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        for rows in (
            _one_more(server, Path(place), 1000, rounds, say),
            _many(server, Path(place), rounds, say),
            _pending(server, Path(place), say),
        ):
            lines += rows
    return table(["what", "s", "compared", "limit", "within"], lines)


def _line(what: str, seconds: float, compared: str, value: float, limit: float) -> list[object]:
    within = "yes" if value <= limit else "**no**"
    return [what, f"{seconds:.2f}", compared, f"{limit:g}", within]


def _one_more(
    server: Server, place: Path, count: int, rounds: int, say: Callable[[str], None]
) -> list[list[object]]:
    """One more file on many applied ones, by each tool; nothing to do, and status."""
    folder = place / f"files_{count}"
    many_files(folder, count)
    dbmate = shutil.which("dbmate")
    with fresh(server) as ours, fresh(server) as stock, fresh(server) as mate, fresh(server) as low:
        env = environment(server, ours, place)
        apply_: list[str | Path] = [sys.executable, "-m", "runner", "apply", "--sql-dir", folder]
        url = server.url(stock).replace("postgresql://", "postgresql+psycopg://")
        yoyo: list[str | Path] = [
            Path(sys.executable).with_name("yoyo"),
            "apply",
            "--batch",
            "--no-config-file",
        ]
        yoyo += ["-d", url, folder]
        minimum = _minimum(server, low, folder)
        for command in (apply_, yoyo, minimum):
            timed(command, cwd=place, env=env)
        copies = place / "dbmate"
        mate_command: list[str | Path] = [
            dbmate or "dbmate",
            "--no-dump-schema",
            "--migrations-dir",
            copies,
            "up",
        ]
        mate_env = {**env, "DATABASE_URL": _dbmate_url(server, mate)}
        if dbmate:
            copies.mkdir()
            for path in folder.iterdir():
                text = path.read_text(encoding="utf-8")
                (copies / path.name).write_text(_DBMATE.format(text), encoding="utf-8")
            timed(mate_command, cwd=place, env=mate_env)
        numbers = itertools.count(count + 1)

        def one_more(command: Sequence[str | Path], environ: dict[str, str]) -> Run:
            name = f"{next(numbers):05}_more.sql"
            (folder / name).write_text(_MORE, encoding="utf-8")
            if dbmate:
                (copies / name).write_text(_DBMATE.format(_MORE), encoding="utf-8")
            run = timed(command, cwd=place, env=environ)
            others = ((apply_, env), (yoyo, env), (minimum, env), (mate_command, mate_env))
            for each, its in others:
                if each is not command and (dbmate or each is not mate_command):
                    timed(each, cwd=place, env=its)  # so that one file is pending for the next
            return run

        status: list[str | Path] = [*apply_[:3], "status", "--json", "--sql-dir", folder]
        runs = {
            OURS: partial(one_more, apply_, env),
            NO_OP: partial(timed, apply_, cwd=place, env=env),
            STATUS: partial(timed, status, cwd=place, env=env),
            MINIMUM: partial(one_more, minimum, env),
            YOYO: partial(one_more, yoyo, env),
        }
        if dbmate:
            runs[DBMATE] = partial(one_more, mate_command, mate_env)
        found = interleaved(runs, rounds, say)
    compared = {name: ratio(one, found[NO_OP]) for name, one in found.items()}
    limits = {OURS: 1.3, STATUS: 2.0}
    return [
        _line(
            f"{'' if name in (NO_OP, STATUS) else 'one more file on '}{count:,} applied: {name}",
            median([run.wall for run in one]),
            f"{compared[name]:.2f} × nothing to do",
            compared[name],
            limits[name],
        )
        if name in limits
        else [
            f"{'' if name == NO_OP else 'one more file on '}{count:,} applied: {name}",
            f"{median([run.wall for run in one]):.2f}",
            f"{compared[name]:.2f} × nothing to do",
            "",
            "",
        ]
        for name, one in found.items()
    ]


def _minimum(server: Server, name: str, folder: Path) -> list[str | Path]:
    return [sys.executable, "-c", _MINIMUM, server.url(name), folder]


def _dbmate_url(server: Server, name: str) -> str:
    with psycopg.connect(server.url(name)) as connection:
        info = connection.info
        return f"postgres://{info.user}@/{name}?socket={info.host}&port={info.port}&sslmode=disable"


def _many(
    server: Server, place: Path, rounds: int, say: Callable[[str], None]
) -> list[list[object]]:
    """A new database with 100 files, beside psql."""
    folder = place / "files_100"
    many_files(folder, 100)

    def run(which: str) -> Run:
        with fresh(server) as name:
            psql: list[str | Path] = [
                embedded.program("psql", server.version),
                "-X",
                "-q",
                "-d",
                server.url(name),
            ]
            psql += ["-f", folder.with_suffix(".psql")]
            ours: list[str | Path] = [sys.executable, "-m", "runner", "apply", "--sql-dir", folder]
            commands = {OURS: ours, PSQL: psql, MINIMUM: _minimum(server, name, folder)}
            return timed(commands[which], cwd=place, env=environment(server, name, place))

    found = interleaved(
        {which: partial(run, which) for which in (OURS, PSQL, MINIMUM)}, rounds, say
    )
    seconds = {which: median([one.wall for one in runs]) for which, runs in found.items()}
    times = {which: ratio(runs, found[PSQL]) for which, runs in found.items()}
    what = "100 files on a new database"
    return [
        _line(what, seconds[OURS], f"{times[OURS]:.2f} × psql", times[OURS], 1.6),
        [f"{what}: {MINIMUM}", f"{seconds[MINIMUM]:.2f}", f"{times[MINIMUM]:.2f} × psql", "", ""],
    ]


def _pending(server: Server, place: Path, say: Callable[[str], None]) -> list[list[object]]:
    """`plan` and `check` of new files, each a table, an index, a function and its rollback."""
    limits = {("plan", 100): 3.0, ("check", 100): 12.0, ("check", 300): 40.0}
    lines: list[list[object]] = []
    for command, size in (
        *(("plan", size) for size in (10, 20, 60, 100)),
        *(("check", size) for size in (10, 20, 60, 100, 300)),
    ):
        folder = place / f"pending_{command}_{size}"
        many_files(folder, size)
        for n, path in enumerate(sorted(folder.glob("*.sql")), start=1):
            rollback = (
                f"drop function if exists public.f{n}(text);\ndrop table if exists public.t{n};"
            )
            path.with_suffix(".rollback.sql").write_text(rollback, encoding="utf-8")
        say(f"{command} of {size} new files")
        with fresh(server) as name:
            words: list[str | Path] = [sys.executable, "-m", "runner", command, "--sql-dir", folder]
            env = environment(server, name, place)
            run = timed(words, cwd=place, env=env, code=2 if command == "plan" else 0)
        limit = limits.get((command, size))
        what = f"{command} of {size} new files"
        each = f"{run.wall / size * 1000:.0f} ms a file"
        lines.append(
            _line(what, run.wall, each, run.wall, limit)
            if limit
            else [what, f"{run.wall:.2f}", each, "", ""]
        )
    return lines
