"""Benchmark: how run times grow with the number of files, tables and rows."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
import scaling
from applying import environment, fresh, many_files
from measure import ROOT, Run, interleaved, median, table, timed

from runner.embedded import Server
from runner.preflight.temporary_server import temporary_server

_DONE, _TO_DO, _FAILED = 0, 2, 4  # exit codes
_SNAPSHOT = """
import psycopg
from runner.schema import snapshot
with psycopg.connect('{url}', autocommit=True) as connection:
    facts = snapshot.take(connection).facts
assert {least} < len(facts), len(facts)
"""
# A tenant table like those of sql/ that is not in isolation.toml: verify has to report each.
_TENANT_TABLE = """
create table public.more_{n} (like public.ai_agents including all);
alter table public.more_{n}
    add constraint more_{n}_org_id_fkey foreign key (org_id) references public.organizations (id);
alter table public.more_{n} enable row level security;
alter table public.more_{n} force row level security;
grant select on public.more_{n} to authenticated;
create policy select_member on public.more_{n} for select to authenticated
using (org_id = (select app.caller_org()));
create policy tenant_isolation on public.more_{n} as restrictive for all to authenticated
using (org_id = (select app.caller_org()));
"""
_MADE = "select count(*) from pg_class where relname ~ '^t[0-9]+$' and relkind = 'r'"
Measurement = Callable[[], Run]


@contextmanager
def _server_and_folder() -> Iterator[tuple[Server, Path]]:
    """A server, and a temporary folder that the server's user can enter."""
    with temporary_server() as server, tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        yield server, Path(place)


def _write_migrations(place: Path, size: int) -> Path:
    """Write `size` migrations with rollback files, and return their folder."""
    folder = place / f"files_{size}"
    many_files(folder, size)
    for n in range(1, size + 1):
        rollback = folder / f"{n:05}_make_t{n}.rollback.sql"
        rollback.write_text(
            f"drop function if exists public.f{n} (text);\ndrop table if exists public.t{n};\n",
            encoding="utf-8",
        )
    return folder


class _TimedDatabase:
    """A database, and the commands that are timed on it."""

    def __init__(self, server: Server, name: str, place: Path, sql_dir: Path) -> None:
        self.url = server.url(name)
        self._name = name
        self._sql_dir = sql_dir
        self._place = place
        self._env = environment(server, name, place)

    def measurement(self, *words: str, code: int = _DONE, says: str = "") -> Measurement:
        """Return a timed run of a command that must exit with `code` and print `says`."""
        more: list[str | Path] = ["--sql-dir", self._sql_dir, "--seeds-dir", ROOT / "seeds"]
        command = [sys.executable, "-m", "runner", *words, *more]
        return partial(
            timed, command, cwd=self._place, env=self._env, code=code, says=says.encode()
        )

    def snapshot(self, least: int) -> Measurement:
        """Return a timed snapshot of the catalog, which must have more than `least` facts."""
        text = _SNAPSHOT.format(url=self.url, least=least)
        return partial(timed, [sys.executable, "-c", text], cwd=ROOT, env=self._env)

    def do(self, statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statements.encode())

    def count(self, query: str) -> int:
        with psycopg.connect(self.url) as connection:
            return int(connection.execute(query.encode()).fetchall()[0][0])


def with_files(sizes: Sequence[int], rounds: int, say: Callable[[str], None]) -> str:
    """Return a table by number of files; each creates a table, an index and a function."""
    found: dict[str, dict[int, list[Run]]] = {}
    with _server_and_folder() as (server, place):
        for size in sizes:
            folder = _write_migrations(place, size)
            with fresh(server) as name:
                database = _TimedDatabase(server, name, place, folder)
                runs = interleaved(
                    {"apply": database.measurement("apply", says=f"{size} applied now")}, 1, say
                )
                assert database.count(_MADE) == size
                measurements = {
                    "apply, nothing to do": database.measurement("apply", says="nothing to apply"),
                    "status": database.measurement("status", says=f"{size} applied"),
                    "snapshot": database.snapshot(20 * size),
                    "verify --only drift": database.measurement(
                        "verify", "--only", "drift", says=" 0 breaches"
                    ),
                }
                runs |= interleaved(measurements, rounds, say)
                rollback = database.measurement(
                    "rollback", "--all", "--yes-delete", name, says=f"{size} rolled"
                )
                runs |= interleaved({"rollback --all": rollback}, 1, say)
                assert database.count(_MADE) == 0
            for what, measured in runs.items():
                found.setdefault(what, {})[size] = measured
    return _table("files", sizes, found)


def with_new_files(sizes: Sequence[int], say: Callable[[str], None]) -> str:
    """Return a table of `plan` and `check` by number of new files.

    Both read what was changed in the catalog; `check` also has rows in every table.
    """
    found: dict[str, dict[int, list[Run]]] = {}
    with _server_and_folder() as (server, place):
        for size in sizes:
            folder = _write_migrations(place, size)
            with fresh(server) as name:
                database = _TimedDatabase(server, name, place, folder)
                measurements = {
                    "plan": database.measurement("plan", code=_TO_DO, says=f"t{size}"),
                    "check": database.measurement("check", says="checks, 0 failed"),
                }
                for what, measured in interleaved(measurements, 1, say).items():
                    found.setdefault(what, {})[size] = measured
    return _table("new files", sizes, found)


def with_tables(sizes: Sequence[int], rounds: int, say: Callable[[str], None]) -> str:
    """Return a table by number of tenant tables: those of sql/, and further ones like them."""
    found: dict[str, dict[int, list[Run]]] = {}
    with _server_and_folder() as (server, place):
        for size in sizes:
            more = size - 6
            with fresh(server) as name:
                database = _TimedDatabase(server, name, place, ROOT / "sql")
                timed_ = database.measurement("apply", says="applied now")
                timed_()
                for n in range(more):
                    database.do(_TENANT_TABLE.format(n=n))
                code, named = (
                    (_FAILED, f"public.more_{more - 1}") if more else (_DONE, "0 breaches")
                )
                pending = place / "pending"
                pending.mkdir(exist_ok=True)
                text = "alter table public.users add column if not exists nickname text;\n"
                (pending / "0001_add_nickname.sql").write_text(text, encoding="utf-8")
                plan = _TimedDatabase(server, name, place, pending)
                measurements = {
                    "snapshot": database.snapshot(20 * size),
                    "plan, one statement": plan.measurement("plan", code=_TO_DO, says="nickname"),
                    "verify --only drift": database.measurement(
                        "verify", "--only", "drift", code=code, says=named
                    ),
                    "types": database.measurement("types", says="class Organization"),
                    "diagram": database.measurement("diagram", says=">organizations<"),
                }
                runs = interleaved(measurements, rounds, say)
                whole = {"verify": database.measurement("verify", "-v", code=code, says=named)}
                runs |= interleaved(whole, 1, say)
            for what, measured in runs.items():
                found.setdefault(what, {})[size] = measured
    return _table("tables", sizes, found)


def with_rows(sizes: Sequence[int], rounds: int, say: Callable[[str], None]) -> str:
    """Return a table by number of rows; about 20 rows per organization."""
    found: dict[str, dict[int, list[Run]]] = {}
    with _server_and_folder() as (server, place):
        for size in sizes:
            with fresh(server) as name:
                database = _TimedDatabase(server, name, place, ROOT / "sql")
                database.measurement("apply", says="applied now")()
                scale = ("--scale", str(max(size // 21, 1)), "--yes-fill", name)
                runs = interleaved({"seed --scale": database.measurement("seed", *scale)}, 1, say)
                assert 0.7 * size < sum(scaling.counted(server, name)) < 1.3 * size
                measurements = {
                    "seed --scale, again": database.measurement(
                        "seed", *scale, says="no rows changed"
                    ),
                    "apply, nothing to do": database.measurement("apply", says="nothing to apply"),
                    "snapshot": database.snapshot(200),
                }
                runs |= interleaved(measurements, rounds, say)
                runs |= interleaved(
                    {"verify": database.measurement("verify", says=" 0 breaches")}, 1, say
                )
            for what, measured in runs.items():
                found.setdefault(what, {})[size] = measured
    return _table("rows", sizes, found)


def _table(of: str, sizes: Sequence[int], found: dict[str, dict[int, list[Run]]]) -> str:
    """Format a line per command: seconds at each size, and growth from the last size but one."""
    lines = []
    for what, by_size in found.items():
        seconds = {size: median([run.wall for run in runs]) for size, runs in by_size.items()}
        cells = [f"{seconds[size]:.2f}" if size in seconds else "" for size in sizes]
        known = [size for size in sizes if size in seconds]
        growth = ""
        if len(known) > 1:
            small, large = known[-2:]
            growth = f"{seconds[large] / seconds[small]:.1f}× for {large / small:.0f}×"
        lines.append([what, *cells, growth])
    headers = [f"seconds, by number of {of}", *(f"{size:,}" for size in sizes), "growth, last step"]
    return table(headers, lines)
