"""Benchmark: creating a large data set, compared with COPY of the same rows."""

from __future__ import annotations

import contextlib
import itertools
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
from applying import DURABLE, environment
from measure import ROOT, Run, interleaved, median, ratio, table, timed

from runner import embedded
from runner.embedded import Server
from runner.preflight.temporary_server import temporary_server

TABLES = ("organizations", "users", "projects", "workflows", "ai_agents", "audit_logs")
OURS, COPY = "python -m runner seed --scale", "COPY of the same rows, user triggers disabled"
# Checks of the rows, however created: the count per table, and rules that no constraint covers.
_COUNTS = "select " + ", ".join(f"(select count(*) from public.{name})" for name in TABLES)
_WRONG = """
    select
        (
            select count(*) from public.organizations as o
            where not exists (
                select from public.users as u where u.org_id = o.id and 'OWNER' = any (u.roles)
            )
        ),
        (
            select count(*) from public.workflows as w
            inner join public.users as u on u.org_id = w.org_id and u.id = w.approver_id
            where not u.roles && '{OWNER,ADMIN}'
        ),
        (
            select count(*) from public.workflows as w
            where w.approved_at is not null and not exists (
                select from public.audit_logs as l
                where l.org_id = w.org_id and l.target_id = w.id and l.action = 'workflow.approved'
            )
        )
"""
_numbers = itertools.count(1)


@contextlib.contextmanager
def copied(server: Server, template: str) -> Iterator[str]:
    """Create a copy of a database, yield its name, and drop it."""
    name = f"scale_{next(_numbers)}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"create database {name} template {template}".encode())
        yield name
        admin.execute(f"drop database {name}".encode())


def counted(server: Server, name: str) -> tuple[int, ...]:
    """Return the number of rows of each table, after checking the rows."""
    with psycopg.connect(server.url(name)) as conn:
        assert conn.execute(_WRONG).fetchone() == (0, 0, 0), name
        return conn.execute(_COUNTS.encode()).fetchall()[0]


def _runner(server: Server, name: str, home: Path, *words: str) -> Run:
    command = [sys.executable, "-m", "runner", *words]
    return timed(command, cwd=ROOT, env=environment(server, name, home))


def _seeded(server: Server, place: Path, orgs: int, rows: tuple[int, ...]) -> Run:
    """Time `seed --scale`; checks the rows, and that a second run adds none."""
    with copied(server, "with_schema") as name:
        words = ("seed", "--scale", str(orgs), "--yes-fill", name)
        run = _runner(server, name, place, *words)
        assert counted(server, name) == rows
        _runner(server, name, place, *words)
        assert counted(server, name) == rows
    return run


def _copied_in(server: Server, place: Path, rows: tuple[int, ...]) -> Run:
    """Time COPY of the same rows by psql; checks the rows."""
    psql = embedded.program("psql", server.version)
    with copied(server, "with_schema") as name:
        command: list[str | Path] = [
            psql,
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            server.url(name),
        ]
        run = timed(
            [*command, "-f", place / "copy.psql"],
            cwd=place,
            env=environment(server, name, place),
        )
        assert counted(server, name) == rows
    return run


def _write_out(server: Server, place: Path, name: str) -> None:
    """Write the rows of a database to files, and a psql script that copies them into another."""
    script = ["begin;"]
    with psycopg.connect(server.url(name)) as conn:
        for one in TABLES:
            script.append(f"alter table public.{one} disable trigger user;")
            with (
                (place / f"{one}.copy").open("wb") as file,
                conn.cursor().copy(f"copy public.{one} to stdout".encode()) as copy,
            ):
                for piece in copy:
                    file.write(piece)
    script += [f"\\copy public.{one} from {place}/{one}.copy" for one in TABLES]
    script += [f"alter table public.{one} enable trigger user;" for one in TABLES]
    (place / "copy.psql").write_text("\n".join((*script, "commit;")), encoding="utf-8")


def make(sizes: list[int], rounds: int, say: Callable[[str], None]) -> str:
    """Return a table: creating each number of organizations by us and by COPY."""
    lines: list[list[object]] = []
    with temporary_server(settings=DURABLE) as server, tempfile.TemporaryDirectory() as folder:
        with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
            admin.execute("create database with_schema")
        place = Path(folder)
        _runner(server, "with_schema", place, "apply")
        for orgs in sizes:
            with copied(server, "with_schema") as name:
                _runner(server, name, place, "seed", "--scale", str(orgs), "--yes-fill", name)
                rows = counted(server, name)
                assert rows[0] == orgs
                _write_out(server, place, name)
            say(f"{orgs:,} organizations, {sum(rows):,} rows")
            found = interleaved(
                {
                    OURS: partial(_seeded, server, place, orgs, rows),
                    COPY: partial(_copied_in, server, place, rows),
                },
                rounds,
                say,
            )
            lines += [
                [
                    f"{orgs:,}",
                    f"{sum(rows):,}",
                    which,
                    f"{median([run.wall for run in runs]):.1f}",
                    f"{ratio(runs, found[COPY]):.2f}",
                ]
                for which, runs in found.items()
            ]
    return table(["organizations", "rows", "by", "s", "× COPY"], lines)
