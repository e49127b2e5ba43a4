"""How long it takes to apply many files, and to find that there is nothing to do."""

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
from measure import ROOT, Run, in_turns, median, ratio, table, timed

from runner.postgres import embedded
from runner.postgres.embedded import Server

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
# What a slow disk does: every commit that waits for it takes 10 ms longer.
SLOW = {**DURABLE, "commit_delay": "10000", "commit_siblings": "0"}
OURS, YOYO, PSQL = "python -m runner apply", "yoyo apply, stock", "psql, recording nothing"

_numbers = itertools.count(1)


def many_files(folder: Path, count: int) -> None:
    """Write so many migrations, and the script that psql runs them by."""
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
    """Apply all to a new database; the time counts once all of it is there."""
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
    """Apply so many files, by us, by stock yoyo, and by psql as the limit of what can be."""
    rows: list[list[object]] = []
    with embedded.scratch(settings=settings) as server, tempfile.TemporaryDirectory() as place:
        if settings is SLOW:
            _check_slow(server)
        for count in counts:
            folder = Path(place) / f"files_{count}"
            many_files(folder, count)
            turns = rounds if count <= 1000 else 1
            names = [OURS, PSQL] + ([YOYO] if count <= 1000 and settings is not SLOW else [])
            found = in_turns(
                {name: partial(_applied, name, server, folder, count) for name in names},
                turns,
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
    """Commits that wait for the disk take 10 ms, and those that do not wait take none."""
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


_FLOOR = "import psycopg; psycopg.connect('{url}').execute('select 1')"
_HASHING = """
import hashlib, pathlib
for path in pathlib.Path('{folder}').iterdir():
    with path.open('rb') as file:
        hashlib.file_digest(file, 'sha256')
"""


def nothing_to_do(counts: list[int], rounds: int, say: Callable[[str], None]) -> str:
    """Find that all is applied, beside what Python needs to import psycopg and ask one question.

    The floor grows by reading and hashing the files: without that nobody knows that none is edited.
    """
    rows: list[list[object]] = []
    with embedded.scratch() as server, tempfile.TemporaryDirectory() as place:
        for count in counts:
            folder = Path(place) / f"files_{count}"
            many_files(folder, count)
            with fresh(server) as name:
                env = environment(server, name, Path(place))
                apply_ = _command(OURS, server, name, folder)
                floor = _FLOOR.format(url=server.url(name))
                commands: dict[str, list[str | Path]] = {
                    "apply": apply_,
                    "the floor": [sys.executable, "-c", floor],
                    "the floor, and hashing the files": [
                        sys.executable,
                        "-c",
                        floor + _HASHING.format(folder=folder),
                    ],
                }
                timed(apply_, cwd=ROOT, env=env)
                found = in_turns(
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
                    f"{ratio(runs, found['the floor']):.2f}",
                ]
                for name, runs in found.items()
            ]
    return table(["applied", "what", "s", "own CPU, s", "× floor"], rows)


def help_(rounds: int) -> str:
    """`--help` beside `python -c pass`."""
    place = Path(tempfile.gettempdir())
    env = dict(os.environ)
    found = in_turns(
        {
            "--help": lambda: timed([sys.executable, "-m", "runner", "--help"], cwd=place, env=env),
            "python -c pass": lambda: timed([sys.executable, "-c", "pass"], cwd=place, env=env),
        },
        rounds * 5,
        lambda _: None,
    )
    rows = [[name, f"{median([run.wall for run in runs]):.3f}"] for name, runs in found.items()]
    return table(["what", "s"], rows)


def start(rounds: int, say: Callable[[str], None]) -> str:
    """From no data folder to seeded, on an installed environment."""
    runs = []
    for _ in range(rounds):
        say("up, from nothing")
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
        ["what", "s"], [["up, from no data to seeded", f"{median([r.wall for r in runs]):.2f}"]]
    )
