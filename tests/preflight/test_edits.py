"""An edited file stops the run and its diff is shown; an edit without effect can be accepted."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkout import Checkout
from conftest import Database, one_server

from runner.postgres.connection import Connection
from runner.schema import fingerprint, snapshot

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


def test_edited_file_stops_the_run_and_its_diff_is_shown(checkout: Checkout) -> None:
    checkout.write(_0001_shops=SHOPS.replace("name text", "title text"))
    checkout.write(_0003_more="create table public.more ();")
    result = checkout.runner("apply")
    assert result.code == 1
    assert "0001_shops was edited after being applied" in result.err
    assert "-create table if not exists public.shops (id int, name text);" in result.err
    assert "+create table if not exists public.shops (id int, title text);" in result.err
    assert "apply --accept-edit 0001_shops" in result.err
    assert checkout.applied() == ["0001_shops", "0002_index"]


def test_long_diff_is_shortened(checkout: Checkout) -> None:
    lines = "\n".join(f"create table public.t{n} ();" for n in range(100))
    checkout.write(_0001_shops=SHOPS + lines)
    result = checkout.runner("apply")
    assert "more lines" in result.err
    assert len(result.err.splitlines()) < 60


def test_edit_without_effect_is_accepted(checkout: Checkout) -> None:
    """A comment inside a DO block is code to PostgreSQL, and changes nothing."""
    checkout.write(_0001_shops=SHOPS.replace("nothing yet", "nothing at all"))
    assert checkout.runner("status").code == 2
    result = checkout.runner("apply", "--accept-edit", "1")
    assert result.code == 0, result.err
    assert "accepted     0001_shops" in result.out
    assert checkout.runner("status").code == 0
    assert "nothing at all" in checkout.value(
        "select content from yoyo._yoyo_migration where migration_id = '0001_shops'"
    )
    assert checkout.log_lines()[-1]["operation"] == "edit"


REFUSED = {
    "changes this database": (
        SHOPS + "comment on table public.shops is 'x';",
        "run on this database:\n  table public.shops: adds comment “x”",
    ),
    "skipped here by if not exists, but not in an empty database": (
        SHOPS.replace("name text", "name text not null"),
        "run in place of the applied content:\n  column public.shops.name: adds not null",
    ),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_edit_with_an_effect_is_refused(checkout: Checkout, text: str, reason: str) -> None:
    checkout.write(_0001_shops=text)
    ran = checkout.runner("apply", "--accept-edit", "0001")
    assert ran.code == 1
    assert "The edited 0001_shops produces a different schema" in ran.err
    assert reason in ran.err
    assert "No changes were made" in ran.err
    assert checkout.value("select obj_description('public.shops'::regclass)") is None
    assert checkout.runner("status").code == 2


def test_unedited_file_cannot_be_accepted(checkout: Checkout) -> None:
    result = checkout.runner("apply", "--accept-edit", "0002")
    assert result.code == 64
    assert "0002_index is applied, so there is no edit to accept" in result.err


def test_edit_cannot_be_accepted_without_the_recorded_content(checkout: Checkout) -> None:
    checkout.do("update yoyo._yoyo_migration set content = null")
    checkout.write(_0001_shops=SHOPS + "select 2;")
    assert "was not recorded, so it cannot be compared" in checkout.runner("apply").err
    result = checkout.runner("apply", "--accept-edit", "0001")
    assert result.code == 1
    assert "so the edit cannot be compared with it" in result.err


# --- changed outside migrations -------------------------------------------------------------------


def test_status_reports_manual_changes_without_any_files(checkout: Checkout) -> None:
    assert checkout.runner("status").code == 0
    checkout.do("alter table public.shops add column extra text")
    result = checkout.runner("status")
    assert result.code == 2
    assert "changed outside migrations since 20" in result.out
    assert "after 0002_index" in result.out
    assert "nothing to do" not in result.out
    document = checkout.runner("status", "--json").document
    assert (document["clean"], document["exit_code"]) == (False, 2)
    assert document["changed_since"].endswith("Z")
    checkout.do("alter table public.shops drop column extra")
    assert checkout.runner("status").code == 0


def test_next_run_notes_the_manual_change(checkout: Checkout) -> None:
    checkout.do("alter table public.shops add column extra text")
    checkout.write(_0003_more="create table public.more ();")
    result = checkout.runner("apply")
    assert result.code == 0
    assert "changed outside migrations since 20" in result.err
    assert checkout.runner("status").code == 0


def test_accepting_an_edit_does_not_hide_a_manual_change(checkout: Checkout) -> None:
    checkout.do("alter table public.shops add column extra text")
    checkout.write(_0001_shops=SHOPS.replace("nothing yet", "nothing at all"))
    assert checkout.runner("apply", "--accept-edit", "1").code == 0
    assert "changed outside migrations" in checkout.runner("status").out


def test_failed_run_records_the_fingerprint(checkout: Checkout) -> None:
    checkout.write(_0003_more="create table public.more ();", _0004_bad="select 1 / 0;")
    assert checkout.runner("apply").code == 1
    assert "changed outside" not in checkout.runner("status").out
    checkout.do("drop table public.more")
    assert "after 0003_more" in checkout.runner("status").out


def test_edited_newest_files_may_be_applied_again_if_they_can_be_rolled_back(
    checkout: Checkout,
) -> None:
    checkout.write(_0002_index="create index k on public.shops (id);")
    again = "python -m runner rollback, then apply"
    for result in (checkout.runner("apply"), checkout.runner("status")):
        assert "rollback" not in result.err + result.out  # without a rollback file
    checkout.write(_0002_index__rollback="drop index public.i;")
    for result in (checkout.runner("apply"), checkout.runner("status")):
        assert again in result.err + result.out
    checkout.write(_0001_shops="create table public.shops (id bigint);")
    checkout.write(_0001_shops__rollback="drop table public.shops;")
    assert "python -m runner rollback --steps 2, then" in checkout.runner("apply").err
    assert checkout.runner("rollback", "--steps", "2").code == 0
    assert checkout.runner("apply").code == 0


def test_rollback_records_the_fingerprint(checkout: Checkout) -> None:
    checkout.file("sql/0002_index.rollback.sql", "drop index public.i;")
    assert checkout.runner("rollback").code == 0
    assert "changed outside" not in checkout.runner("status").out


@pytest.mark.parametrize(
    "kept", ["null", "'0:18:old'", "'1:99:' || repeat('0', 64)"], ids=["none", "format", "server"]
)
def test_incomparable_fingerprint_is_not_a_change(checkout: Checkout, kept: str) -> None:
    checkout.do(f"update yoyo._yoyo_log set fingerprint = {kept}")
    assert checkout.runner("status").code == 0


def test_facts_are_compared_only_after_the_catalog_was_written(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []
    fingerprint_of = snapshot.fingerprint

    def counted(connection: Connection) -> str:
        compared.append(by_hand)
        return fingerprint_of(connection)

    monkeypatch.setattr(snapshot, "fingerprint", counted)
    assert checkout.database
    with checkout.database.connect(autocommit=True) as conn:
        for by_hand, is_compared, is_changed in (
            ("insert into public.shops values (1); analyze public.shops", False, False),
            ("create temp table t (a serial primary key, b text default 'x')", False, False),
            ("truncate public.shops", True, False),
            ("vacuum full public.shops", True, False),
            ("create index j on public.shops (id); drop index public.j", True, False),
            ("drop index public.i", True, True),
            ("create index i on public.shops (id)", True, False),
            ("comment on schema public is 'x'", True, True),
        ):
            compared.clear()
            for statement in by_hand.split("; "):
                conn.execute(statement.encode())
            changed = fingerprint.changed_since(conn)
            assert (bool(compared), bool(changed)) == (is_compared, is_changed), by_hand
