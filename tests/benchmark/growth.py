"""How it grows: with files, with tables, with rows."""

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
from measure import ROOT, Run, in_turns, median, table, timed

from runner.postgres import embedded
from runner.postgres.embedded import Server

_DONE, _TO_DO, _FAILED = 0, 2, 4  # exit codes
_SNAPSHOT = """
import psycopg
from runner import catalog
with psycopg.connect('{url}', autocommit=True) as connection:
    facts = catalog.snapshot(connection).facts
assert {least} < len(facts), len(facts)
"""
# A tenant's table as those of sql/, which nobody decided on: verify has to name each.
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
LockWait = Callable[[], Run]


@contextmanager
def _ground() -> Iterator[tuple[Server, Path]]:
    """A server, and a folder that its user can reach."""
    with embedded.scratch() as server, tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        yield server, Path(place)


def _shelf(place: Path, size: int) -> Path:
    """Write so many migrations, each with its way back."""
    folder = place / f"files_{size}"
    many_files(folder, size)
    for n in range(1, size + 1):
        back = folder / f"{n:05}_make_t{n}.rollback.sql"
        back.write_text(
            f"drop function if exists public.f{n} (text);\ndrop table if exists public.t{n};\n",
            encoding="utf-8",
        )
    return folder


class _Desk:
    """A database, and the commands that are timed on it."""

    def __init__(self, server: Server, name: str, place: Path, sql_dir: Path) -> None:
        self.url = server.url(name)
        self._name = name
        self._sql_dir = sql_dir
        self._place = place
        self._env = environment(server, name, place)

    def turn(self, *words: str, code: int = _DONE, says: str = "") -> LockWait:
        """Return a run of a command, which must exit with `code` and say `says`."""
        more: list[str | Path] = ["--sql-dir", self._sql_dir, "--seeds-dir", ROOT / "seeds"]
        command = [sys.executable, "-m", "runner", *words, *more]
        return partial(
            timed, command, cwd=self._place, env=self._env, code=code, says=says.encode()
        )

    def snapshot(self, least: int) -> LockWait:
        """Return a look at the whole catalog, of more than so many facts."""
        text = _SNAPSHOT.format(url=self.url, least=least)
        return partial(timed, [sys.executable, "-c", text], cwd=ROOT, env=self._env)

    def do(self, statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statements.encode())

    def count(self, query: str) -> int:
        with psycopg.connect(self.url) as connection:
            return int(connection.execute(query.encode()).fetchall()[0][0])


def with_files(sizes: Sequence[int], rounds: int, say: Callable[[str], None]) -> str:
    """With the number of files, each of which makes a table, an index, a function."""
    found: dict[str, dict[int, list[Run]]] = {}
    with _ground() as (server, place):
        for size in sizes:
            folder = _shelf(place, size)
            with fresh(server) as name:
                desk = _Desk(server, name, place, folder)
                runs = in_turns({"apply": desk.turn("apply", says=f"{size} applied now")}, 1, say)
                assert desk.count(_MADE) == size
                turns = {
                    "apply, nothing to do": desk.turn("apply", says="nothing to apply"),
                    "status": desk.turn("status", says=f"{size} applied"),
                    "snapshot": desk.snapshot(20 * size),
                    "verify --only drift": desk.turn(
                        "verify", "--only", "drift", says=" 0 breaches"
                    ),
                }
                runs |= in_turns(turns, rounds, say)
                back = desk.turn("rollback", "--all", "--yes-delete", name, says=f"{size} rolled")
                runs |= in_turns({"rollback --all": back}, 1, say)
                assert desk.count(_MADE) == 0
            for what, measured in runs.items():
                found.setdefault(what, {})[size] = measured
    return _table("files", sizes, found)


def tried_out(sizes: Sequence[int], say: Callable[[str], None]) -> str:
    """With the number of files that are tried out, not only applied.

    `plan` looks at the whole catalog after each statement that changes it, `check` seven times
    for each file, over rows in every table: both grow with files × tables.
    """
    found: dict[str, dict[int, list[Run]]] = {}
    with _ground() as (server, place):
        for size in sizes:
            folder = _shelf(place, size)
            with fresh(server) as name:
                desk = _Desk(server, name, place, folder)
                # The linter has something to say of each file, and no proof but the linter's.
                turns = {
                    "plan": desk.turn("plan", code=_TO_DO, says=f"t{size}"),
                    "check": desk.turn("check", code=_FAILED, says=f"proofs, {size} failed"),
                }
                for what, measured in in_turns(turns, 1, say).items():
                    found.setdefault(what, {})[size] = measured
    return _table("files that are new", sizes, found)


def with_tables(sizes: Sequence[int], rounds: int, say: Callable[[str], None]) -> str:
    """With the number of tenants' tables: those of sql/, and more like them."""
    found: dict[str, dict[int, list[Run]]] = {}
    with _ground() as (server, place):
        for size in sizes:
            more = size - 6
            with fresh(server) as name:
                desk = _Desk(server, name, place, ROOT / "sql")
                timed_ = desk.turn("apply", says="applied now")
                timed_()
                for n in range(more):
                    desk.do(_TENANT_TABLE.format(n=n))
                code, named = (
                    (_FAILED, f"public.more_{more - 1}") if more else (_DONE, "0 breaches")
                )
                pending = place / "pending"
                pending.mkdir(exist_ok=True)
                text = "alter table public.users add column if not exists nickname text;\n"
                (pending / "0001_add_nickname.sql").write_text(text, encoding="utf-8")
                plan = _Desk(server, name, place, pending)
                turns = {
                    "snapshot": desk.snapshot(20 * size),
                    "plan, one statement": plan.turn("plan", code=_TO_DO, says="nickname"),
                    "verify --only drift": desk.turn(
                        "verify", "--only", "drift", code=code, says=named
                    ),
                    "types": desk.turn("types", says="class Organization"),
                    "diagram": desk.turn("diagram", says=">organizations<"),
                }
                runs = in_turns(turns, rounds, say)
                whole = {"verify": desk.turn("verify", "-v", code=code, says=named)}
                runs |= in_turns(whole, 1, say)
            for what, measured in runs.items():
                found.setdefault(what, {})[size] = measured
    return _table("tables", sizes, found)


def with_rows(sizes: Sequence[int], rounds: int, say: Callable[[str], None]) -> str:
    """With the number of rows, in about a twentieth as many organizations."""
    found: dict[str, dict[int, list[Run]]] = {}
    with _ground() as (server, place):
        for size in sizes:
            with fresh(server) as name:
                desk = _Desk(server, name, place, ROOT / "sql")
                desk.turn("apply", says="applied now")()
                scale = ("--scale", str(max(size // 21, 1)), "--yes-fill", name)
                runs = in_turns({"seed --scale": desk.turn("seed", *scale)}, 1, say)
                assert 0.7 * size < sum(scaling.counted(server, name)) < 1.3 * size
                turns = {
                    "seed --scale, again": desk.turn("seed", *scale, says="no rows changed"),
                    "apply, nothing to do": desk.turn("apply", says="nothing to apply"),
                    "snapshot": desk.snapshot(200),
                }
                runs |= in_turns(turns, rounds, say)
                runs |= in_turns({"verify": desk.turn("verify", says=" 0 breaches")}, 1, say)
            for what, measured in runs.items():
                found.setdefault(what, {})[size] = measured
    return _table("rows", sizes, found)


def _table(of: str, sizes: Sequence[int], found: dict[str, dict[int, list[Run]]]) -> str:
    """A line for each command: seconds at each size, and how steeply the last step went up."""
    lines = []
    for what, by_size in found.items():
        seconds = {size: median([run.wall for run in runs]) for size, runs in by_size.items()}
        cells = [f"{seconds[size]:.2f}" if size in seconds else "" for size in sizes]
        known = [size for size in sizes if size in seconds]
        steep = ""
        if len(known) > 1:
            small, large = known[-2:]
            steep = f"{seconds[large] / seconds[small]:.1f} for {large / small:.0f}"
        lines.append([what, *cells, steep])
    headers = [f"s, at so many {of}", *(f"{size:,}" for size in sizes), "× at the last step"]
    return table(headers, lines)
