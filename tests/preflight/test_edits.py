"""An edited file stops the run and shows its lines; one that makes the same can be accepted."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkout import Checkout
from conftest import Database, one_server

pytestmark = one_server

SHOPS = """\
-- 0001_shops
create table if not exists public.shops (id int, name text);
do $$
begin
    perform 1;  -- nothing yet
end
$$;
"""


@pytest.fixture
def checkout(tmp_path: Path, empty_database: Database) -> Checkout:
    made = Checkout(tmp_path, empty_database)
    made.write(_0001_shops=SHOPS, _0002_index="create index if not exists i on public.shops (id);")
    made.apply()
    return made


def test_an_edit_stops_the_run_and_shows_the_lines(checkout: Checkout) -> None:
    checkout.write(_0001_shops=SHOPS.replace("name text", "title text"))
    checkout.write(_0003_more="create table public.more ();")
    said = checkout.runner("apply")
    assert said.code == 1
    assert "0001_shops was edited after being applied" in said.err
    assert "-create table if not exists public.shops (id int, name text);" in said.err
    assert "+create table if not exists public.shops (id int, title text);" in said.err
    assert "apply --accept-edit 0001_shops" in said.err
    assert checkout.applied() == ["0001_shops", "0002_index"]


def test_a_long_difference_is_cut(checkout: Checkout) -> None:
    lines = "\n".join(f"create table public.t{n} ();" for n in range(100))
    checkout.write(_0001_shops=SHOPS + lines)
    said = checkout.runner("apply")
    assert "more lines" in said.err
    assert len(said.err.splitlines()) < 60


def test_an_edit_that_makes_the_same_is_accepted(checkout: Checkout) -> None:
    """A comment inside a DO block is code to PostgreSQL, and changes nothing."""
    checkout.write(_0001_shops=SHOPS.replace("nothing yet", "nothing at all"))
    assert checkout.runner("status").code == 2
    said = checkout.runner("apply", "--accept-edit", "1")
    assert said.code == 0, said.err
    assert "accepted     0001_shops" in said.out
    assert checkout.runner("status").code == 0
    assert "nothing at all" in checkout.value(
        "select content from yoyo._yoyo_migration where migration_id = '0001_shops'"
    )
    assert checkout.log_lines()[-1]["operation"] == "edit"


REFUSED = {
    "changes this database": (
        SHOPS + "comment on table public.shops is 'x';",
        "run over this database:\n  table public.shops: adds comment “x”",
    ),
    "a guard would skip it here, and an empty database would get it": (
        SHOPS.replace("name text", "name text not null"),
        "run in place of what was applied:\n  column public.shops.name: adds not null",
    ),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_an_edit_that_makes_something_else_is_refused(
    checkout: Checkout, text: str, said: str
) -> None:
    checkout.write(_0001_shops=text)
    ran = checkout.runner("apply", "--accept-edit", "0001")
    assert ran.code == 1
    assert "The edit of 0001_shops makes something else" in ran.err
    assert said in ran.err
    assert "Nothing was recorded" in ran.err
    assert checkout.value("select obj_description('public.shops'::regclass)") is None
    assert checkout.runner("status").code == 2


def test_what_was_not_edited_cannot_be_accepted(checkout: Checkout) -> None:
    said = checkout.runner("apply", "--accept-edit", "0002")
    assert said.code == 64
    assert "0002_index is applied, so there is no edit to accept" in said.err


def test_where_the_text_was_not_kept_nothing_is_proven(checkout: Checkout) -> None:
    checkout.do("update yoyo._yoyo_migration set content = null")
    checkout.write(_0001_shops=SHOPS + "select 2;")
    assert "was not kept, so it cannot be compared" in checkout.runner("apply").err
    said = checkout.runner("apply", "--accept-edit", "0001")
    assert said.code == 1
    assert "so nothing proves that the edit makes the same" in said.err


# --- changed by somebody else ---------------------------------------------------------------------


def test_status_sees_a_change_by_hand_without_any_files(checkout: Checkout) -> None:
    assert checkout.runner("status").code == 0
    checkout.do("alter table public.shops add column extra text")
    said = checkout.runner("status")
    assert said.code == 2
    assert "changed outside migrations since 20" in said.out
    assert "after 0002_index" in said.out
    assert "nothing to do" not in said.out
    document = checkout.runner("status", "--json").document
    assert (document["clean"], document["exit_code"]) == (False, 2)
    assert document["changed_since"].endswith("Z")
    checkout.do("alter table public.shops drop column extra")
    assert checkout.runner("status").code == 0


def test_the_next_run_notes_the_change_that_it_covers(checkout: Checkout) -> None:
    checkout.do("alter table public.shops add column extra text")
    checkout.write(_0003_more="create table public.more ();")
    said = checkout.runner("apply")
    assert said.code == 0
    assert "changed outside migrations since 20" in said.err
    assert checkout.runner("status").code == 0


def test_accepting_an_edit_hides_no_change(checkout: Checkout) -> None:
    checkout.do("alter table public.shops add column extra text")
    checkout.write(_0001_shops=SHOPS.replace("nothing yet", "nothing at all"))
    assert checkout.runner("apply", "--accept-edit", "1").code == 0
    assert "changed outside migrations" in checkout.runner("status").out


def test_a_run_that_failed_on_its_way_keeps_what_it_left(checkout: Checkout) -> None:
    checkout.write(_0003_more="create table public.more ();", _0004_bad="select 1 / 0;")
    assert checkout.runner("apply").code == 1
    assert "changed outside" not in checkout.runner("status").out
    checkout.do("drop table public.more")
    assert "after 0003_more" in checkout.runner("status").out


def test_a_rollback_keeps_it_too(checkout: Checkout) -> None:
    checkout.file("sql/0002_index.rollback.sql", "drop index public.i;")
    assert checkout.runner("rollback").code == 0
    assert "changed outside" not in checkout.runner("status").out


@pytest.mark.parametrize(
    "kept", ["null", "'0:18:old'", "'1:99:' || repeat('0', 64)"], ids=["none", "format", "server"]
)
def test_what_cannot_be_compared_is_no_change(checkout: Checkout, kept: str) -> None:
    checkout.do(f"update yoyo._yoyo_log set fingerprint = {kept}")
    assert checkout.runner("status").code == 0
