"""What is interrupted: commands on small files of every kind and on the real files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from checkout import ROOT
from server_harness import CATALOG, RECORDS, UNFINISHED, ServerHarness, Workspace

FILES = {
    "0001_create_items": """\
        create table public.items (id int primary key, name text not null);
        comment on table public.items is 'Things.';
        insert into public.items select n, 'item ' || n from generate_series(1, 20) as n;
        """,
    "0001_create_items.rollback": "drop table public.items;",
    "0002_create_colors": """\
        create type public.color as enum ('RED', 'BLUE');
        create function public.paint() returns trigger language plpgsql as $$
        begin
            new.color := coalesce(new.color, 'RED');
            return new;
        end $$;
        alter table public.items add column color public.color;
        create trigger paint before insert on public.items
        for each row execute function public.paint();
        """,
    "0002_create_colors.rollback": """\
        drop trigger paint on public.items;
        alter table public.items drop column color;
        drop function public.paint;
        drop type public.color;
        """,
    "0003_index_items": """\
        -- transactional: false

        create index concurrently if not exists items_name_idx on public.items (name);
        insert into public.items values (21, 'from outside') on conflict do nothing;
        create unique index concurrently if not exists items_both_idx on public.items (id, name);
        """,
    "0003_index_items.rollback": """\
        -- transactional: false

        drop index concurrently if exists public.items_both_idx;
        delete from public.items where id = 21;
        drop index concurrently if exists public.items_name_idx;
        """,
    "0004_shout": """\
        update public.items set name = upper(name) where id % 2 = 0;
        alter table public.items add constraint items_id_check check (id > 0);
        """,
    "0004_shout.rollback": """\
        alter table public.items drop constraint items_id_check;
        update public.items set name = lower(name) where id % 2 = 0;
        """,
}
SEEDS = {
    "10_more": """\
        insert into public.items (id, name) values (100, 'seeded'), (101, 'seeded')
        on conflict (id) do update set name = excluded.name
        where items.name is distinct from excluded.name;
        """,
    "20_rename": """\
        update public.items set name = 'renamed' where id = 100 and name <> 'renamed';
        insert into public.items (id, name) values (102, 'seeded') on conflict do nothing;
        """,
}

# --- scenarios ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario:
    """A command that is interrupted: its initial state, what completes it, what is compared."""

    arguments: Sequence[str]
    set_up: Callable[[Workspace], object]
    rerun: str  # the command that completes the work after the interruption
    rows_query: str
    uninterrupted: Sequence[str]  # the commands that produce the expected state
    real: bool = False  # on the files of this repository, with no points inside messages

    def arguments_in(self, workspace: Workspace) -> list[str]:
        assert workspace.database
        names = {"DATABASE": workspace.database.name}
        return [names.get(argument, argument) for argument in self.arguments]

    def state(self, workspace: Workspace) -> list[Any]:
        """Return everything that must be as it is after an uninterrupted run."""
        return [workspace.query(text) for text in (CATALOG, RECORDS, UNFINISHED, self.rows_query)]

    def points(self, workspace: Workspace) -> dict[int, str]:
        """Return the points to test by number; of the real files, only those after a change."""
        self.set_up(workspace)
        arguments = self.arguments_in(workspace)
        passed = enumerate(workspace.points(*arguments, inner=not self.real), start=1)
        skipped = ("before", "after begin; set", "after select")
        return {n: point for n, point in passed if not (self.real and point.startswith(skipped))}


def drop_all(workspace: Workspace) -> None:
    workspace.operator.execute(
        "drop schema if exists yoyo, auth, app cascade; "
        "drop schema public cascade; create schema public; grant usage on schema public to public"
    )


def delete_seed_rows(workspace: Workspace) -> None:
    workspace.operator.execute("delete from public.items where id >= 100")


def leave_applied(_: Workspace) -> None:
    """Change nothing: the run after the last interruption has applied all files."""


ITEMS = "select * from public.items order by id"
TENANTS = """
    select count(*) from public.audit_logs union all select count(*) from public.users union all
    select count(*) from public.workflows union all select count(*) from public.ai_agents
    """
ROLLBACK = ["rollback", "--all", "--yes-delete", "DATABASE"]
SCENARIOS = {
    "first apply": Scenario(["apply"], drop_all, "apply", ITEMS, ["apply"]),
    "rollback of all": Scenario(ROLLBACK, leave_applied, "apply", ITEMS, ["apply"]),
    "seed": Scenario(["seed"], delete_seed_rows, "seed", ITEMS, ["apply", "seed"]),
    "up with the real files": Scenario(["up"], drop_all, "up", TENANTS, ["up"], real=True),
}


@contextmanager
def completed_workspaces(
    scenario: Scenario, harness: ServerHarness, count: int
) -> Iterator[list[Workspace]]:
    """Workspaces in which the scenario has run to its end without an interruption.

    Only the first of them, if the scenario starts from an empty database.
    """
    with ExitStack() as stack:
        workspaces = [stack.enter_context(harness.workspace()) for _ in range(count)]
        for workspace in workspaces:
            write_files(workspace, real=scenario.real)
            if workspace is workspaces[0] or scenario.set_up is not drop_all:
                complete(workspace, scenario)
        yield workspaces


def write_files(workspace: Workspace, *, real: bool = False) -> None:
    """Write the migrations and seeds of this module, or link those of this repository."""
    if real:
        for folder in ("sql", "seeds"):
            (workspace.folder / folder).symlink_to(ROOT / folder)
        return
    for name, text in FILES.items():
        workspace.file(f"sql/{name}.sql", text)
    workspace.seed(**SEEDS)


def complete(workspace: Workspace, scenario: Scenario) -> None:
    """Empty the database and run the scenario to its end without an interruption."""
    drop_all(workspace)
    for command in scenario.uninterrupted:
        result = workspace.run_child(command)
        assert result.code == 0, result.err
