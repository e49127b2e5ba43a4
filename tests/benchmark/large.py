"""Benchmark: time and memory for applying one large file."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
from applying import OURS, PSQL, environment, fresh
from measure import Run, interleaved, median, ratio, table, timed

from runner import embedded
from runner.embedded import Server
from runner.preflight.temporary_server import temporary_server

_ROW = "(1, 'a row of some length; with a semicolon, as texts may have one')"
_MB = 1_000_000


def _inserts(size: int) -> Iterator[str]:
    line = f"insert into public.t values {_ROW};\n"
    return (line for _ in range(size // len(line)))


def _one_insert(size: int) -> Iterator[str]:
    yield f"insert into public.t values {_ROW}"
    yield from (f",\n{_ROW}" for _ in range(size // len(_ROW)))


def _one_string(size: int) -> Iterator[str]:
    yield "insert into public.t values (1, E'"
    yield from ("a\\n" for _ in range(size // 3))
    yield "');\n"


FILES: dict[str, tuple[Callable[[int], Iterator[str]], int]] = {
    "50 MB of inserts": (_inserts, 50 * _MB),
    "one insert of 10 MB": (_one_insert, 10 * _MB),
    "one string of 10 MB": (_one_string, 10 * _MB),
}


def _applied(which: str, server: Server, file: Path, rows: int) -> Run:
    """Time applying the file to a new database; checks the number of rows afterwards."""
    with fresh(server) as name:
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "runner",
            "apply",
            "--sql-dir",
            file.parent,
        ]
        if which == PSQL:
            psql = embedded.program("psql", server.version)
            command = [psql, "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-d", server.url(name)]
            command += ["-f", file]
        run = timed(command, cwd=file.parent, env=environment(server, name, file.parents[1]))
        with psycopg.connect(server.url(name)) as conn:
            made = conn.execute("select count(*) from public.t").fetchone()
        assert made == (rows,), (which, made)
    return run


def apply(rounds: int, say: Callable[[str], None]) -> str:
    """Return a table: applying large files by us, and by psql in one transaction."""
    lines: list[list[object]] = []
    with temporary_server() as server, tempfile.TemporaryDirectory() as place:
        for number, (name, (content, size)) in enumerate(FILES.items()):
            file = Path(place) / str(number) / "0001_t.sql"
            file.parent.mkdir()
            with file.open("w", encoding="utf-8") as handle:
                handle.write("create table public.t (n int, t text);\n")
                rows = 0
                for piece in content(size):
                    rows += piece.count("(1, ")
                    handle.write(piece)
            say(f"{name}: {rows:,} rows")
            found = interleaved(
                {which: partial(_applied, which, server, file, rows) for which in (OURS, PSQL)},
                rounds,
                say,
            )
            lines += [
                [
                    name,
                    which,
                    f"{median([run.wall for run in runs]):.1f}",
                    f"{median([run.cpu for run in runs]):.1f}",
                    f"{median([run.peak for run in runs]):.0f}",
                    f"{ratio(runs, found[PSQL]):.2f}",
                ]
                for which, runs in found.items()
            ]
    return table(["file", "by", "s", "own CPU, s", "peak MB", "× psql"], lines)
