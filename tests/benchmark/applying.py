"""Benchmark: applying many files, applying with nothing to do, `--help` and first start."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import psycopg
from measure import ROOT, Run, interleaved, median, ratio, table, timed

from runner import embedded
from runner.embedded import Server
from runner.preflight.temporary_server import temporary_server

_FILE = """\
-- {id}
-- One table, one index, one function.

create table if not exists public.t{n} (
    id bigint generated always as identity primary key,
    name text not null,
    at timestamptz not null default now()
);
create index if not exists t{n}_name_idx on public.t{n} (name);
create or replace function public.f{n}(wanted text)
returns bigint
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return (select count(*) from public.t{n} as t where t.name = wanted);
end
$$;
"""
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
# A slow disk: every commit that waits for it takes 10 ms longer.
SLOW = {**DURABLE, "commit_delay": "10000", "commit_siblings": "0"}
OURS, YOYO, PSQL = "python -m runner apply", "yoyo apply, stock", "psql, without recording"

_numbers = itertools.count(1)


def many_files(folder: Path, count: int) -> None:
    """Write `count` migrations, and a psql script that runs them."""
    folder.mkdir()
    script = ["\\set ON_ERROR_STOP on"]
    for n in range(1, count + 1):
        path = folder / f"{n:05}_make_t{n}.sql"
        path.write_text(_FILE.format(id=path.stem, n=n), encoding="utf-8")
        script += ["begin;", f"\\i {path}", "commit;"]
    folder.with_suffix(".psql").write_text("\n".join(script), encoding="utf-8")


@contextlib.contextmanager
def fresh(server: Server) -> Iterator[str]:
    """The name of a new database."""
    name = f"bench_{next(_numbers)}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
        yield name
        admin.execute(f"drop database {name}".encode())


def environment(server: Server, name: str, home: Path) -> dict[str, str]:
    """Return the environment of a command on database `name`, with its own RUNNER_HOME."""
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("PG")},
        "DATABASE_URL": server.url(name),
        "RUNNER_HOME": str(home / "home"),
    }


def _command(which: str, server: Server, name: str, folder: Path) -> list[str | Path]:
    url = server.url(name)
    if which == OURS:
        return [sys.executable, "-m", "runner", "apply", "--sql-dir", folder]
    if which == YOYO:
        stock = url.replace("postgresql://", "postgresql+psycopg://")
        yoyo = Path(sys.executable).with_name("yoyo")
        return [yoyo, "apply", "--batch", "--no-config-file", "-d", stock, folder]
    psql = embedded.program("psql", server.version)
    return [psql, "-X", "-q", "-d", url, "-f", folder.with_suffix(".psql")]


def _applied(which: str, server: Server, folder: Path, count: int) -> Run:
    """Time applying all files to a new database; checks tables and records afterwards."""
    with fresh(server) as name:
        run = timed(
            _command(which, server, name, folder),
            cwd=folder.parent,
            env=environment(server, name, folder.parent),
        )
        with psycopg.connect(server.url(name)) as conn:
            made = conn.execute(
                "select count(*) from pg_class where relname ~ '^t[0-9]+$' and relkind = 'r'"
            ).fetchone()
            records = {
                OURS: "yoyo._yoyo_migration",
                YOYO: "public._yoyo_migration",
                PSQL: "generate_series(1, %s)",
            }[which]
            kept = conn.execute(
                f"select count(*) from {records}".encode(), [count] if which == PSQL else []
            ).fetchone()
        assert made == kept == (count,), (which, made, kept)
    return run


def apply(
    counts: list[int], rounds: int, say: Callable[[str], None], settings: Mapping[str, str]
) -> str:
    """Return a table: applying each count of files by us, stock yoyo, and psql as the minimum."""
    rows: list[list[object]] = []
    with temporary_server(settings=settings) as server, tempfile.TemporaryDirectory() as place:
        if settings is SLOW:
            _check_slow(server)
        for count in counts:
            folder = Path(place) / f"files_{count}"
            many_files(folder, count)
            repeats = rounds if count <= 1000 else 1
            names = [OURS, PSQL] + ([YOYO] if count <= 1000 and settings is not SLOW else [])
            found = interleaved(
                {name: partial(_applied, name, server, folder, count) for name in names},
                repeats,
                say,
            )
            rows += [
                [
                    f"{count:,}",
                    name,
                    f"{median([run.wall for run in runs]):.2f}",
                    f"{median([run.cpu for run in runs]):.2f}",
                    f"{ratio(runs, found[PSQL]):.2f}",
                ]
                for name, runs in found.items()
            ]
    return table(["files", "by", "s", "own CPU, s", "× psql"], rows)


def _check_slow(server: Server) -> None:
    """Check that commits which wait for the disk take 10 ms, and that others do not."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
        conn.execute("create table public.t (n integer)")
        took = {}
        for wait in ("on", "off"):
            conn.execute(f"set synchronous_commit = {wait}".encode())
            started = time.monotonic()
            for _ in range(20):
                conn.execute("insert into public.t values (1)")
            took[wait] = (time.monotonic() - started) / 20
    assert took["on"] > 0.01 > took["off"], took


_MINIMUM = "import psycopg; psycopg.connect('{url}').execute('select 1')"
_HASHING = """
import hashlib, pathlib
for path in pathlib.Path('{folder}').iterdir():
    with path.open('rb') as file:
        hashlib.file_digest(file, 'sha256')
"""


def nothing_to_do(counts: list[int], rounds: int, say: Callable[[str], None]) -> str:
    """Return a table: apply with nothing to do, compared with a minimum.

    The minimum is Python importing psycopg and sending one query; a second one also reads and
    hashes the files, which is needed to find edited ones.
    """
    rows: list[list[object]] = []
    with temporary_server() as server, tempfile.TemporaryDirectory() as place:
        for count in counts:
            folder = Path(place) / f"files_{count}"
            many_files(folder, count)
            with fresh(server) as name:
                env = environment(server, name, Path(place))
                apply_ = _command(OURS, server, name, folder)
                minimum = _MINIMUM.format(url=server.url(name))
                commands: dict[str, list[str | Path]] = {
                    "apply": apply_,
                    "minimum": [sys.executable, "-c", minimum],
                    "minimum, plus hashing the files": [
                        sys.executable,
                        "-c",
                        minimum + _HASHING.format(folder=folder),
                    ],
                }
                timed(apply_, cwd=ROOT, env=env)
                found = interleaved(
                    {
                        what: partial(timed, command, cwd=Path(place), env=env)
                        for what, command in commands.items()
                    },
                    rounds * 5,
                    lambda _: None,
                )
                say(f"{count} files applied, nothing to do")
            rows += [
                [
                    f"{count:,}",
                    name,
                    f"{median([run.wall for run in runs]):.3f}",
                    f"{median([run.cpu for run in runs]):.3f}",
                    f"{ratio(runs, found['minimum']):.2f}",
                ]
                for name, runs in found.items()
            ]
    return table(["files applied", "command", "s", "own CPU, s", "× minimum"], rows)


def help_(rounds: int) -> str:
    """Return a table: `--help` compared with `python -c pass`."""
    place = Path(tempfile.gettempdir())
    env = dict(os.environ)
    found = interleaved(
        {
            "--help": lambda: timed([sys.executable, "-m", "runner", "--help"], cwd=place, env=env),
            "python -c pass": lambda: timed([sys.executable, "-c", "pass"], cwd=place, env=env),
        },
        rounds * 5,
        lambda _: None,
    )
    rows = [[name, f"{median([run.wall for run in runs]):.3f}"] for name, runs in found.items()]
    return table(["command", "s"], rows)


def start(rounds: int, say: Callable[[str], None]) -> str:
    """Return the time of `up` without a data folder, until the database is seeded."""
    runs = []
    for _ in range(rounds):
        say("up, without a data folder")
        with tempfile.TemporaryDirectory() as place:
            Path(place).chmod(0o755)
            env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
            env |= {"RUNNER_HOME": f"{place}/home", "DATABASE_URL": ""}
            try:
                command = [sys.executable, "-m", "runner", "up"]
                runs.append(timed(command, cwd=ROOT, env=env))
            finally:
                timed([sys.executable, "-m", "runner", "down"], cwd=ROOT, env=env)
    return table(
        ["command", "s"], [["up, without a data folder", f"{median([r.wall for r in runs]):.2f}"]]
    )
