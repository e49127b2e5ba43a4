"""The seed files: what is in them, that they converge, and that two worlds come out of them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import Caller, Database, Server, act_as
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.postgres import embedded

FILES = sorted((Path(__file__).parents[2] / "seeds").glob("*.sql"))
TABLES = ("organizations", "users", "projects", "workflows", "ai_agents", "audit_logs")
SKERRY_LINE, ODD_LOAF = "cskerryline00000000000000", "coddloaf00000000000000000"
MAREN = Caller("Maren, OWNER", "authenticated", "5ea51de0-0000-4000-8000-000000000001")
WILMA = Caller("Wilma, MEMBER", "authenticated", "0dd10af0-0000-4000-8000-000000000003")

Key = tuple[str, str]
Edit = tuple[str, str]


def load(conn: Connection[TupleRow], edits: Mapping[str, Edit] | None = None) -> None:
    """All files in one transaction; `edits` replaces a text that a file holds exactly once."""
    with conn.transaction():
        for file in FILES:
            text = file.read_text(encoding="utf-8")
            for old, new in [edits[file.name]] if edits and file.name in edits else []:
                assert text.count(old) == 1, f"{file.name} should hold {old!r} once"
                text = text.replace(old, new)
            conn.execute(text)


def rows(conn: Connection[TupleRow]) -> dict[Key, dict[str, Any]]:
    """Every row of the six tables by table and id."""
    return {
        (table, row["id"]): row
        for table in TABLES
        for (row,) in conn.execute(f"select to_jsonb(t) from public.{table} as t")
    }


def org(row: Mapping[str, Any]) -> str:
    """Whose row it is."""
    return str(row.get("org_id", row["id"]))


def versions(conn: Connection[TupleRow]) -> set[TupleRow]:
    """Which transaction wrote each row, and where it lies: the same only if nobody wrote again."""
    return {
        (table, *row)
        for table in TABLES
        for row in conn.execute(f"select id, xmin::text, ctid::text from public.{table}")
    }


def changed(before: dict[Key, dict[str, Any]], after: dict[Key, dict[str, Any]]) -> set[Key]:
    """The rows that are not what they were, automatic audit rows aside."""
    return {
        key
        for key in before | after
        if before.get(key) != after.get(key)
        and after.get(key, {}).get("action") not in {"insert", "update", "delete"}
    }


def audited(before: dict[Key, dict[str, Any]], after: dict[Key, dict[str, Any]]) -> set[Key]:
    """What the audit rows that came by themselves are about."""
    return {
        (row["target_type"], row["target_id"])
        for key, row in after.items()
        if key not in before and key[0] == "audit_logs"
    }


def psql(database: Database, file: Path) -> str:
    """Run one file as a reader would; returns what psql had to say about it."""
    done = subprocess.run(
        [
            embedded.program("psql", 18),
            *("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"),
            f"--dbname={database.conninfo()}",
            f"--file={file}",
        ],
        env={**os.environ, "PGCLIENTENCODING": "utf8"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr + (f"exit {done.returncode}" if done.returncode else "")


@pytest.fixture(scope="module")
def seeded(server: Server, template: str) -> Iterator[Connection[TupleRow]]:
    """A superuser in a seeded database that the tests of this module only read."""
    with server.database(of=template) as database, database.connect(autocommit=True) as conn:
        load(conn)
        yield conn


@pytest.fixture
def own(database: Database) -> Iterator[Connection[TupleRow]]:
    """A superuser in a seeded database of one's own."""
    with database.connect(autocommit=True) as conn:
        load(conn)
        yield conn


# what is in them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_says_its_name_and_its_purpose_and_is_not_wide(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(r"\d\d_[a-z_]+", file.stem)
    assert lines[0] == f"-- {file.stem}"
    assert re.fullmatch(r"-- [A-Z].*[.:]", lines[1])
    assert max(map(len, lines)) <= 100


def test_each_table_has_its_file_in_the_order_of_references() -> None:
    assert [file.stem[3:] for file in FILES] == list(TABLES)


def test_the_two_organizations_pay_for_different_plans(seeded: Connection[TupleRow]) -> None:
    plans = seeded.execute("select id, billing_plan::text from public.organizations").fetchall()
    assert dict(plans) == {SKERRY_LINE: "ENTERPRISE", ODD_LOAF: "FREE"}


@pytest.mark.parametrize("org_id", [SKERRY_LINE, ODD_LOAF])
def test_each_organization_has_an_owner_an_admin_and_members(
    seeded: Connection[TupleRow], org_id: str
) -> None:
    held = [
        role
        for (roles,) in seeded.execute(
            "select roles::text[] from public.users where org_id = %s", [org_id]
        )
        for role in roles
    ]
    assert held.count("OWNER") == 1
    assert held.count("ADMIN") == 1
    assert held.count("MEMBER") >= 2


@pytest.mark.parametrize("org_id", [SKERRY_LINE, ODD_LOAF])
@pytest.mark.parametrize("table", TABLES[1:])
def test_no_table_of_an_organization_is_empty(
    seeded: Connection[TupleRow], table: str, org_id: str
) -> None:
    found = seeded.execute(f"select count(*) from public.{table} where org_id = %s", [org_id])
    assert found.fetchall() > [(1,)]


def test_somebody_is_invited_but_not_linked(seeded: Connection[TupleRow]) -> None:
    unlinked = seeded.execute("select name from public.users where auth_user_id is null")
    assert unlinked.fetchall() == [("Pip Sorrel",)]


def test_every_status_of_a_project_occurs(seeded: Connection[TupleRow]) -> None:
    found = seeded.execute("select distinct status from public.projects").fetchall()
    assert {status for (status,) in found} == {"draft", "active", "paused", "archived"}


def test_every_gate_occurs_approved_and_otherwise_every_status(
    seeded: Connection[TupleRow],
) -> None:
    found = seeded.execute("select gate::text, status from public.workflows").fetchall()
    assert {gate for gate, status in found if status == "approved"} == {f"G{n}" for n in range(9)}
    assert {status for _, status in found} == {"pending", "in_review", "approved", "rejected"}


def test_no_gate_is_approved_before_the_one_below_it(seeded: Connection[TupleRow]) -> None:
    hasty = seeded.execute(
        "select later.id from public.workflows as later"
        " where later.gate > 'G0' and not exists ("
        "   select from public.workflows as earlier"
        "   where earlier.org_id = later.org_id and earlier.project_id = later.project_id"
        "   and earlier.gate = ("
        "     select max(g) from unnest(enum_range(null::public.workflow_gate)) as g"
        "     where g < later.gate"
        "   )"
        "   and (earlier.status = 'approved' or later.status = 'pending')"
        "   and (later.approved_at is null or earlier.approved_at < later.approved_at)"
        " )"
    )
    assert hasty.fetchall() == []


def test_whoever_approved_is_owner_or_admin_of_that_organization(
    seeded: Connection[TupleRow],
) -> None:
    found = seeded.execute(
        "select approver.roles && '{OWNER,ADMIN}', workflow.approver_id"
        " from public.workflows as workflow"
        " left join public.users as approver"
        "   on approver.org_id = workflow.org_id and approver.id = workflow.approver_id"
        " where workflow.status = 'approved'"
    ).fetchall()
    assert {allowed for allowed, _ in found} == {True}
    assert len({approver for _, approver in found}) == 4, "owner and admin of both"


def test_agents_are_of_several_types_and_within_the_plan(seeded: Connection[TupleRow]) -> None:
    found = seeded.execute(
        "select org.id, (org.limits ->> 'agents')::int, array_agg(agent.type)"
        " from public.organizations as org"
        " join public.ai_agents as agent on agent.org_id = org.id"
        " group by org.id"
    ).fetchall()
    assert len(found) == 2
    for _, limit, types in found:
        assert 3 <= len(set(types)) == len(types) <= limit


def test_the_curated_history_uses_the_words_of_the_platform(seeded: Connection[TupleRow]) -> None:
    said = {
        row["action"] for (_, key), row in rows(seeded).items() if re.match(r"c[a-z]+audit\d", key)
    }
    assert len(said) > 5
    assert all(re.fullmatch(r"[a-z]+(\.[a-z_]+)+", action) for action in said)


def test_every_seeded_row_left_its_automatic_audit_row(seeded: Connection[TupleRow]) -> None:
    everything = rows(seeded)
    born = {
        (row["target_type"], row["target_id"])
        for row in everything.values()
        if row.get("action") == "insert"
    }
    assert born == {key for key in everything if key[0] != "audit_logs"}


def test_the_curated_history_speaks_of_rows_that_exist(seeded: Connection[TupleRow]) -> None:
    everything = rows(seeded)
    for (table, _), row in everything.items():
        if table == "audit_logs":
            assert (row["target_type"], row["target_id"]) in everything
            about = row["meta"].get("workflow_id")
            assert about is None or ("workflows", about) in everything


# that they converge -------------------------------------------------------------------------------


def test_poured_twice_they_write_nothing_at_all(own: Connection[TupleRow]) -> None:
    before = versions(own)
    load(own)
    assert versions(own) == before


def test_each_file_runs_twice_in_psql_without_a_word(database: Database) -> None:
    assert [psql(database, file) for file in FILES] == [""] * len(FILES)
    with database.connect(autocommit=True) as conn:
        before = versions(conn)
        assert [psql(database, file) for file in FILES] == [""] * len(FILES)
        assert versions(conn) == before


@pytest.mark.parametrize(
    ("file", "old", "new", "row"),
    [
        ("01_organizations", "'FREE'", "'PRO'", ("organizations", ODD_LOAF)),
        ("01_organizations", "a loaf, leaning", "a loaf, upright", ("organizations", ODD_LOAF)),
        ("02_users", "Isbel Farrowmere", "Isbel Marrable", ("users", "cskerryuser04isbel0000000")),
        ("02_users", "{ADMIN,MEMBER}", "{OWNER,ADMIN}", ("users", "coddloafuser02benno000000")),
        ("03_projects", "'archived'", "'paused'", ("projects", "cskerryproj04foghorn00000")),
        ("03_projects", "the seals complain", "them", ("projects", "cskerryproj03quiet0000000")),
        ("04_workflows", '"Pip"', '"Wilma"', ("workflows", "coddloafflow03g0sitter000")),
        ("04_workflows", '"pages": 7', '"pages": 8', ("workflows", "coddloafflow01g7second000")),
        ("05_ai_agents", '"Crust"', '"Crumb"', ("ai_agents", "coddloafagent02critic0000")),
    ],
)
def test_an_edited_row_changes_and_no_other(
    own: Connection[TupleRow], file: str, old: str, new: str, row: Key
) -> None:
    before = rows(own)
    load(own, {f"{file}.sql": (old, new)})
    after = rows(own)
    assert changed(before, after) == {row}
    assert audited(before, after) == {row}
    settled = versions(own)
    load(own, {f"{file}.sql": (old, new)})
    assert versions(own) == settled


def test_an_approved_workflow_that_is_edited_is_approved_again_as_the_page_says(
    own: Connection[TupleRow],
) -> None:
    key = ("workflows", "coddloafflow01g7second000")
    before = rows(own)[key]
    load(own, {"04_workflows.sql": ('"pages": 7', '"pages": 8')})
    assert rows(own)[key] == {**before, "metadata": {**before["metadata"], "pages": 8}}


def test_a_row_changed_by_hand_is_brought_back(own: Connection[TupleRow]) -> None:
    before = rows(own)
    own.execute("update public.organizations set name = 'X', limits = '{}'")
    own.execute("update public.users set name = 'X', roles = '{OWNER}', auth_user_id = null")
    own.execute("update public.projects set name = 'X', status = 'draft', description = null")
    own.execute("update public.workflows set status = 'pending'")
    own.execute("update public.workflows set gate = 'G0', metadata = '{}'")
    own.execute("update public.ai_agents set type = 'X', performance = '{}'")
    load(own)
    after = rows(own)
    for key in changed(before, after):
        assert after[key] == {**before[key], "updated_at": after[key]["updated_at"]}


def test_a_row_they_do_not_name_is_left_alone(own: Connection[TupleRow]) -> None:
    own.execute("insert into public.projects (org_id, name) values (%s, 'Mine')", [ODD_LOAF])
    before = versions(own)
    load(own)
    assert versions(own) == before


def test_an_edited_audit_row_is_refused_and_nothing_else_is_kept(
    own: Connection[TupleRow],
) -> None:
    before = versions(own)
    with pytest.raises(psycopg.errors.CheckViolation, match="append-only"):
        load(
            own,
            {
                "03_projects.sql": ("'archived'", "'paused'"),
                "06_audit_logs.sql": ("Ring the bell.", "Ring it twice."),
            },
        )
    assert versions(own) == before


# two worlds ---------------------------------------------------------------------------------------


def test_an_owner_and_a_member_elsewhere_see_different_worlds(
    seeded: Connection[TupleRow],
) -> None:
    everything = rows(seeded)
    with act_as(seeded, MAREN):
        ferries = rows(seeded)
    with act_as(seeded, WILMA):
        loaves = rows(seeded)
    assert ferries == {key: row for key, row in everything.items() if org(row) == SKERRY_LINE}
    assert loaves == {
        key: row
        for key, row in everything.items()
        if org(row) == ODD_LOAF and key[0] != "audit_logs"  # a MEMBER reads no audit
    }
    assert {table for table, _ in ferries} == set(TABLES)
    assert {table for table, _ in loaves} == set(TABLES) - {"audit_logs"}
