"""What is interrupted: small files of every kind, the commands on them, and the real files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from checkout import ROOT
from server_harness import CATALOGUE, RECORDS, UNFINISHED, Room, Stage

FILES = {
    "0001_create_items": """\
        create table public.items (id int primary key, name text not null);
        comment on table public.items is 'Things.';
        insert into public.items select n, 'item ' || n from generate_series(1, 20) as n;
        """,
    "0001_create_items.rollback": "drop table public.items;",
    "0002_create_colours": """\
        create type public.colour as enum ('RED', 'BLUE');
        create function public.paint() returns trigger language plpgsql as $$
        begin
            new.colour := coalesce(new.colour, 'RED');
            return new;
        end $$;
        alter table public.items add column colour public.colour;
        create trigger paint before insert on public.items
        for each row execute function public.paint();
        """,
    "0002_create_colours.rollback": """\
        drop trigger paint on public.items;
        alter table public.items drop column colour;
        drop function public.paint;
        drop type public.colour;
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

# --- what is interrupted ------------------------------------------------------------------------


@dataclass(frozen=True)
class Act:
    """A command, the state it starts from, what a person does then, and the rows to compare."""

    words: Sequence[str]
    before: Callable[[Room], object]
    then: str
    rows: str
    whole: Sequence[str]  # how the same comes to be when nothing happens
    real: bool = False  # on the files of this repository, with points after each message only

    def words_in(self, room: Room) -> list[str]:
        assert room.database
        names = {"DATABASE": room.database.name}
        return [names.get(word, word) for word in self.words]

    def facts(self, room: Room) -> list[Any]:
        """All that must be as if nothing had been."""
        return [room.look(text) for text in (CATALOGUE, RECORDS, UNFINISHED, self.rows)]

    def points(self, room: Room) -> dict[int, str]:
        """The points to hit, by their number; of the real files, those after something is done."""
        self.before(room)
        passed = enumerate(room.points(*self.words_in(room), inner=not self.real), start=1)
        quiet = ("before", "after begin; set", "after select")
        return {n: point for n, point in passed if not (self.real and point.startswith(quiet))}


def empty(room: Room) -> None:
    room.operator.execute(
        "drop schema if exists yoyo, auth, app cascade; "
        "drop schema public cascade; create schema public; grant usage on schema public to public"
    )


def unseeded(room: Room) -> None:
    room.operator.execute("delete from public.items where id >= 100")


def as_it_was(_: Room) -> None:
    """All of it is applied, by the run after the last interrupt."""


ITEMS = "select * from public.items order by id"
TENANTS = """
    select count(*) from public.audit_logs union all select count(*) from public.users union all
    select count(*) from public.workflows union all select count(*) from public.ai_agents
    """
ROLLBACK = ["rollback", "--all", "--yes-delete", "DATABASE"]
ACTS = {
    "the first apply": Act(["apply"], empty, "apply", ITEMS, ["apply"]),
    "a rollback of all": Act(ROLLBACK, as_it_was, "apply", ITEMS, ["apply"]),
    "a seed": Act(["seed"], unseeded, "seed", ITEMS, ["apply", "seed"]),
    "up, with the real files": Act(["up"], empty, "up", TENANTS, ["up"], real=True),
}


@contextmanager
def rooms_for(act: Act, stage: Stage, count: int) -> Iterator[list[Room]]:
    """Databases and folders in which all of it is done already."""
    with ExitStack() as stack:
        rooms = [stack.enter_context(stage.room()) for _ in range(count)]
        for room in rooms:
            furnish(room, real=act.real)
            make_whole(room, act)
        yield rooms


def furnish(room: Room, *, real: bool = False) -> None:
    """Put the files there."""
    if real:
        for folder in ("sql", "seeds"):
            (room.folder / folder).symlink_to(ROOT / folder)
        return
    for name, text in FILES.items():
        room.file(f"sql/{name}.sql", text)
    room.seed(**SEEDS)


def make_whole(room: Room, act: Act) -> None:
    empty(room)
    for command in act.whole:
        said = room.fork(command)
        assert said.code == 0, said.err
