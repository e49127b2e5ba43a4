"""What `check` proves of migration files: bad ones fail, by name and proof; good ones pass."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from checkout import Checkout
from conftest import SQL_DIR

from runner.errors import FileError, UsageError
from runner.files import loader
from runner.files.loader import Migration
from runner.migrate import seeds
from runner.preflight import checks
from runner.preflight.checks import out_of_order
from runner.preflight.checks.finding import Finding
from runner.preflight.scratch import ScratchServer, scratch_server

SHOP = """
    create table if not exists public.shops (
        id bigint generated always as identity primary key,
        name text,
        status text not null default 'open' check (status in ('open', 'closed'))
    );
    comment on table public.shops is 'Where things are sold.';
"""
NO_SHOP = "drop table if exists public.shops;"


@pytest.fixture(scope="module")
def scratch() -> Iterator[ScratchServer]:
    with scratch_server(18) as scratch:
        yield scratch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sql"


def migrations(folder: Path, **texts: str) -> list[Migration]:
    """Lay files on the shelf: `_0002_name="…"`, and its way back as `_0002_name__rollback`."""
    folder.mkdir(exist_ok=True)
    for name, text in {"_0001_shops": SHOP, "_0001_shops__rollback": NO_SHOP, **texts}.items():
        path = folder / f"{name.lstrip('_').replace('__', '.')}.sql"
        path.write_text(f"-- {path.stem}\n{dedent(text)}", encoding="utf-8")
    return loader.read(folder)


def failures(scratch: ScratchServer, found: list[Migration]) -> list[Finding]:
    """What is found, the linter's rules aside: these files are small."""
    return [one for one in checks.check(scratch, found).failed if "squawk" not in one.what]


def test_the_files_of_this_repository_hold(scratch: ScratchServer) -> None:
    loaded = seeds.read(SQL_DIR.parent / "seeds")
    found = checks.check(scratch, loader.read(SQL_DIR), loaded)
    assert found.failed == []
    assert len(found.lines) == 9
    assert {tuple(line.proofs.items()) for line in found.lines} == {
        (("re-run", True), ("rollback", True), ("over data", True), ("lint", True))
    }
    assert list(found.wholes.values()) == [True, True]
    assert found.notes == []


def test_one_file_alone(scratch: ScratchServer, folder: Path) -> None:
    found = migrations(
        folder,
        _0002_bad="alter table public.shops add column x text;",
        _0002_bad__rollback="alter table public.shops drop column x;",
        _0003_worse="select 1;",
    )
    checked = checks.check(scratch, found, only=found[1])
    assert [line.id for line in checked.lines] == ["0002_bad"]
    assert checked.wholes == {}
    assert {one.file for one in checked.failed} == {"0002_bad"}


# What a file does, its way back, and what is said of it: proof, words, details.
BAD = {
    "cannot be run again": (
        "alter table public.shops add column city text;",
        "alter table public.shops drop column if exists city;",
        ("re-run", 'cannot be run again: column "city"', ""),
    ),
    "run again, it changes the catalog": (
        "create index on public.shops (name);",
        "drop index public.shops_name_idx;",
        ("re-run", "changes something when it is run again", "makes index public.shops_name_idx1"),
    ),
    "run again, it changes rows": (
        "create table if not exists public.facts (name text); insert into public.facts values (1);",
        "drop table public.facts;",
        ("re-run", "changes something when it is run again", "changes rows"),
    ),
    "no way back": (
        "alter table public.shops add column if not exists city text;",
        None,
        ("rollback", "has no way back", ""),
    ),
    "a way back that fails": (
        "alter table public.shops add column if not exists city text;",
        "alter table public.shops drop column town;",
        ("rollback", 'cannot be taken back: column "town"', ""),
    ),
    "a way back that forgets an index": (
        "create index if not exists by_name on public.shops (name);",
        "comment on table public.shops is 'Where things are sold.';",
        (
            "rollback",
            "is not wholly taken back",
            "index public.by_name: after the way back and not before the file",
        ),
    ),
    "a way back that forgets a grant": (
        "grant select on public.shops to pg_monitor;",
        "revoke insert on public.shops from pg_monitor;",
        (
            "rollback",
            "is not wholly taken back",
            "table public.shops: select to pg_monitor after the way back only",
        ),
    ),
    "a way back that forgets a comment": (
        "comment on column public.shops.name is 'As on its sign.';",
        "comment on column public.shops.status is null;",
        (
            "rollback",
            "is not wholly taken back",
            "column public.shops.name: comment “As on its sign.” after the way back, "
            "not before the file",
        ),
    ),
    "a way back that takes too much": (
        "alter table public.shops add column if not exists city text;",
        "alter table public.shops drop column if exists city, drop column if exists name;",
        (
            "rollback",
            "is not wholly taken back",
            "column public.shops.name: before the file and not after the way back",
        ),
    ),
    "not null without a default, over rows": (
        "alter table public.shops add column if not exists city text not null;",
        "alter table public.shops drop column if exists city;",
        ("over data", 'fails where the tables have rows: column "city"', ""),
    ),
    "not null over nulls": (
        "alter table public.shops alter name set not null;",
        "alter table public.shops alter name drop not null;",
        ("over data", 'fails where the tables have rows: column "name"', ""),
    ),
    "a check that is too narrow": (
        "do $$ begin if not exists (select from pg_constraint where conname = 'narrow') then "
        "alter table public.shops add constraint narrow check (status = 'open'); end if; end $$;",
        "alter table public.shops drop constraint if exists narrow;",
        ("over data", 'fails where the tables have rows: check constraint "narrow"', ""),
    ),
    "a unique index over duplicates": (
        "create unique index if not exists one_name on public.shops (status);",
        "drop index if exists public.one_name;",
        ("over data", "fails where the tables have rows: could not create unique index", ""),
    ),
    "over rows, it changes them each time": (
        "update public.shops set name = coalesce(name, '') || '!';",
        "comment on table public.shops is 'Where things are sold.';",
        ("over data", "changes rows when it is run again", "rows of public.shops"),
    ),
    "a question": (
        "select 1; create index if not exists by_name on public.shops (name);",
        "drop index if exists public.by_name;",
        ("lint", "asks and changes nothing: select", "`do` block"),
    ),
    "nothing at all": (
        "-- to be written",
        "drop index if exists public.by_name;",
        ("lint", "holds no statement", ""),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "back", "said"), BAD.values(), ids=BAD)
def test_a_bad_file_fails_by_name(
    scratch: ScratchServer, folder: Path, text: str, back: str | None, said: tuple[str, str, str]
) -> None:
    ways = {} if back is None else {"_0002_bad__rollback": back}
    shelved = migrations(folder, _0002_bad=text, **ways)
    found = checks.check(scratch, shelved, only=shelved[1]).failed
    proof, words, detail = said
    of_file = [one for one in found if one.proof == proof and "squawk" not in one.what]
    assert [one.file for one in of_file] == ["0002_bad"], found
    assert words in of_file[0].what
    assert not detail or [line for line in of_file[0].details if detail in line], of_file


def test_good_files_hold(scratch: ScratchServer, folder: Path) -> None:
    assert failures(scratch, migrations(folder)) == []


def test_what_only_psql_sees_is_another_schema(scratch: ScratchServer, folder: Path) -> None:
    found = failures(
        scratch,
        migrations(
            folder,
            _0002_sly="do $$ begin if current_setting('application_name') = 'psql' then "
            "create table if not exists public.sly (); end if; end $$;",
            _0002_sly__rollback="drop table if exists public.sly;",
        ),
    )
    assert [(one.proof, one.details) for one in found] == [
        (
            "psql makes the same, all at once",
            ("table public.sly: by psql and not by the runner",),
        )
    ]


def test_a_file_that_undoes_a_later_one_is_seen_over_the_finished_schema(
    scratch: ScratchServer, folder: Path
) -> None:
    found = failures(
        scratch,
        migrations(
            folder,
            _0002_index="drop index if exists public.by_name;"
            "create index if not exists by_status on public.shops (status);",
            _0002_index__rollback="drop index if exists public.by_status;",
            _0003_name="create index if not exists by_name on public.shops (name);",
            _0003_name__rollback="drop index if exists public.by_name;",
        ),
    )
    assert [(one.file, one.details) for one in found] == [
        ("0002_index", ("drops index public.by_name",))
    ]


def test_a_file_outside_a_transaction_is_proved_too(scratch: ScratchServer, folder: Path) -> None:
    header = "-- transactional: false\n"
    found = failures(
        scratch,
        migrations(
            folder,
            _0002_index=f"{header}create index concurrently if not exists n "
            "on public.shops (name);",
            _0002_index__rollback=f"{header}drop index concurrently if exists public.n;",
        ),
    )
    assert found == []


def test_after_a_file_that_fails_the_next_ones_are_still_proved(
    scratch: ScratchServer, folder: Path
) -> None:
    found = failures(
        scratch,
        migrations(
            folder,
            _0002_one="alter table public.shops add column a text;",
            _0002_one__rollback="alter table public.shops drop column a;",
            _0003_two="alter table public.shops add column b text;",
            _0003_two__rollback="alter table public.shops drop column b;",
        ),
    )
    again = [one.file for one in found if one.proof == "re-run"]
    assert again == ["0002_one", "0003_two"]


def test_squawk_is_asked(scratch: ScratchServer, folder: Path) -> None:
    found = checks.check(
        scratch, migrations(folder, _0002_index="create index n on public.shops (name);")
    )
    said = [
        one for one in found.failed if "(squawk: require-concurrent-index-creation)" in one.what
    ]
    assert [str(one.place).partition("sql/")[2] for one in said] == ["0002_index.sql:2:1"]


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def checkout(folder: Path) -> Checkout:
    migrations(
        folder,
        _0002_bad="alter table public.shops add column city text;",
        _0002_bad__rollback="alter table public.shops drop column city;",
    )
    return Checkout(folder.parent)


def test_check_says_of_each_file_what_holds_and_exits_with_4(checkout: Checkout) -> None:
    said = checkout.runner("check")
    assert said.code == 4, said.err
    head, first, second, *rest = said.out.splitlines()
    assert head.split() == ["re-run", "rollback", "over", "data", "lint"]
    assert first.split()[:5] == ["0001_shops", "✓", "✓", "✓", "✗"]
    assert second.split()[:5] == ["0002_bad", "✗", "✓", "✗", "✗"]
    assert "✗ re-run: 0002_bad cannot be run again" in "\n".join(rest)
    assert "  at sql/0002_bad.sql:2:1" in rest
    assert re.fullmatch(r"2 files, 10 proofs, \d failed, in \d+\.\d s", rest[-1])
    assert max(map(len, (head, first, second))) <= 80


def test_check_speaks_json(checkout: Checkout) -> None:
    said = checkout.runner("check", "--json", "--file", "2")
    assert said.code == 4
    assert said.err == ""
    assert set(said.document) == {
        *("schema_version", "command", "ok", "exit_code", "server_version"),
        *("files", "wholes", "failed", "notes", "ms"),
    }
    [line] = said.document["files"]
    assert (line["id"], line["proofs"]["re-run"]) == ("0002_bad", False)
    place = next(one["place"] for one in said.document["failed"] if one["proof"] == "re-run")
    assert (place["file"], place["line"]) == ("sql/0002_bad.sql", 2)


# --- late ---------------------------------------------------------------------------------------

EARLY = {
    "_0002_city": "alter table public.shops add column if not exists city text;",
    "_0003_index": "create index if not exists by_name on public.shops (name);",
}


def test_two_files_that_commute_may_come_in_any_order(scratch: ScratchServer, folder: Path) -> None:
    found = migrations(folder, **EARLY)
    words, failed = out_of_order.check(scratch, found, [found[1]])
    assert failed == []
    assert words == "late files: 0002_city may come after all others, safe to merge"


def test_two_files_that_do_not_commute_are_told(scratch: ScratchServer, folder: Path) -> None:
    default = "alter table public.shops alter name set default '{}';"
    found = migrations(folder, _0002_one=default.format(1), _0003_two=default.format(2))
    _, [failed] = out_of_order.check(scratch, found, [found[1]])
    assert failed.details == (
        "column public.shops.name: default '2'::text in order, '1'::text with the late ones last",
    )


def test_a_late_file_that_a_later_one_needs_is_told(scratch: ScratchServer, folder: Path) -> None:
    found = migrations(folder, _0002_a="create table public.a ();", _0003_b="drop table public.a;")
    _, [failed] = out_of_order.check(scratch, found, [found[1]])
    assert "do not apply with 0002_a last" in failed.what
    assert str(failed.place).endswith("0003_b.sql:2:1")
    found = migrations(folder, _0003_b="-- depends: 0002_a\ndrop table public.a;")
    _, [failed] = out_of_order.check(scratch, found, [found[1]])
    assert (failed.file, failed.what) == ("0003_b", "depends on 0002_a, which would come after it")


@pytest.fixture
def repository(folder: Path) -> Path:
    """A git repository whose first commit has 0001 and 0003, tagged `deployed`."""
    migrations(folder, _0003_index=EARLY["_0003_index"])
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "x"), ("tag", "deployed")):
        git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *words]
        subprocess.run(git, cwd=folder.parent, check=True)
    return folder


def test_what_a_branch_lacks_is_late_there(scratch: ScratchServer, repository: Path) -> None:
    (repository / "0002_city.sql").write_text(EARLY["_0002_city"], encoding="utf-8")
    (repository / "0003_index.sql").unlink()  # as on a branch that has not merged it yet
    with out_of_order.against(repository, "deployed") as (found, those_late):
        assert [file.id for file in found] == ["0001_shops", "0002_city", "0003_index"]
        assert [file.id for file in those_late] == ["0002_city"]
        assert out_of_order.check(scratch, found, those_late)[1] == []


def test_a_number_that_is_taken_there_is_an_error(repository: Path) -> None:
    (repository / "0003_index.sql").rename(repository / "0003_other.sql")
    with (
        pytest.raises(FileError, match="0003_other has the number of 0003_index"),
        out_of_order.against(repository, "deployed"),
    ):
        pass


def test_an_unknown_ref_is_an_error(repository: Path) -> None:
    with (
        pytest.raises(UsageError, match="git does not know the files of nowhere"),
        out_of_order.against(repository, "nowhere"),
    ):
        pass
