"""The seed files: their contents, idempotency, and isolation of the two organizations."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import Caller, Database, Server, act_as, one_server
from psycopg import Connection
from psycopg.rows import TupleRow

from runner import embedded

FILES = sorted((Path(__file__).parents[2] / "seeds").glob("*.sql"))
TABLES = ("organizations", "users", "projects", "workflows", "ai_agents", "audit_logs")
SKERRY_LINE, ODD_LOAF = "cskerryline00000000000000", "coddloaf00000000000000000"
MAREN = Caller("Maren, OWNER", "authenticated", "5ea51de0-0000-4000-8000-000000000001")
WILMA = Caller("Wilma, MEMBER", "authenticated", "0dd10af0-0000-4000-8000-000000000003")

Key = tuple[str, str]
Edit = tuple[str, str]


def load(conn: Connection[TupleRow], edits: Mapping[str, Edit] | None = None) -> None:
    """Run all files in one transaction; `edits` replaces a text that occurs once in a file."""
    with conn.transaction():
        for file in FILES:
            text = file.read_text(encoding="utf-8")
            for old, new in [edits[file.name]] if edits and file.name in edits else []:
                assert text.count(old) == 1, f"{old!r} should occur once in {file.name}"
                text = text.replace(old, new)
            conn.execute(text)


def rows(conn: Connection[TupleRow]) -> dict[Key, dict[str, Any]]:
    """All rows of the six tables by table and id."""
    return {
        (table, row["id"]): row
        for table in TABLES
        for (row,) in conn.execute(f"select to_jsonb(t) from public.{table} as t")
    }


def org(row: Mapping[str, Any]) -> str:
    """The organization of a row."""
    return str(row.get("org_id", row["id"]))


def versions(conn: Connection[TupleRow]) -> set[TupleRow]:
    """The xmin and ctid of each row, which change whenever the row is written."""
    return {
        (table, *row)
        for table in TABLES
        for row in conn.execute(f"select id, xmin::text, ctid::text from public.{table}")
    }


def changed(before: dict[Key, dict[str, Any]], after: dict[Key, dict[str, Any]]) -> set[Key]:
    """The keys of changed rows, except automatic audit rows."""
    return {
        key
        for key in before | after
        if before.get(key) != after.get(key)
        and after.get(key, {}).get("action") not in {"insert", "update", "delete"}
    }


def audited(before: dict[Key, dict[str, Any]], after: dict[Key, dict[str, Any]]) -> set[Key]:
    """The targets of the new audit rows."""
    return {
        (row["target_type"], row["target_id"])
        for key, row in after.items()
        if key not in before and key[0] == "audit_logs"
    }


def psql(database: Database, file: Path) -> str:
    """Run one file with psql and return its output."""
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
    """A superuser connection to a seeded database that the tests of this module only read."""
    with server.database(of=template) as database, database.connect(autocommit=True) as conn:
        load(conn)
        yield conn


@pytest.fixture
def own(database: Database) -> Iterator[Connection[TupleRow]]:
    """A superuser connection to a seeded database for one test."""
    with database.connect(autocommit=True) as conn:
        load(conn)
        yield conn


# contents -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_files_begin_with_name_and_purpose_and_have_short_lines(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(r"\d\d_[a-z_]+", file.stem)
    assert lines[0] == f"-- {file.stem}"
    assert re.fullmatch(r"-- [A-Z].*[.:]", lines[1])
    assert max(map(len, lines)) <= 100


def test_each_table_has_a_file_in_dependency_order() -> None:
    assert [file.stem[3:] for file in FILES] == list(TABLES)


def test_organizations_have_different_plans(seeded: Connection[TupleRow]) -> None:
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
def test_every_organization_has_rows_in_every_table(
    seeded: Connection[TupleRow], table: str, org_id: str
) -> None:
    found = seeded.execute(f"select count(*) from public.{table} where org_id = %s", [org_id])
    assert found.fetchall() > [(1,)]


def test_one_user_is_invited_but_not_linked(seeded: Connection[TupleRow]) -> None:
    unlinked = seeded.execute("select name from public.users where auth_user_id is null")
    assert unlinked.fetchall() == [("Pip Sorrel",)]


def test_every_project_status_occurs(seeded: Connection[TupleRow]) -> None:
    found = seeded.execute("select distinct status from public.projects").fetchall()
    assert {status for (status,) in found} == {"draft", "active", "paused", "archived"}


def test_every_gate_is_approved_and_every_status_occurs(
    seeded: Connection[TupleRow],
) -> None:
    found = seeded.execute("select gate::text, status from public.workflows").fetchall()
    assert {gate for gate, status in found if status == "approved"} == {f"G{n}" for n in range(9)}
    assert {status for _, status in found} == {"pending", "in_review", "approved", "rejected"}


def test_gates_are_approved_in_order(seeded: Connection[TupleRow]) -> None:
    out_of_order = seeded.execute(
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
    assert out_of_order.fetchall() == []


def test_approvers_are_owners_or_admins_of_the_organization(
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


def test_agents_have_different_types_and_respect_the_limits(seeded: Connection[TupleRow]) -> None:
    found = seeded.execute(
        "select org.id, (org.limits ->> 'agents')::int, array_agg(agent.type)"
        " from public.organizations as org"
        " join public.ai_agents as agent on agent.org_id = org.id"
        " group by org.id"
    ).fetchall()
    assert len(found) == 2
    for _, limit, types in found:
        assert 3 <= len(set(types)) == len(types) <= limit


def test_seeded_audit_rows_use_application_actions(seeded: Connection[TupleRow]) -> None:
    actions = {
        row["action"] for (_, key), row in rows(seeded).items() if re.match(r"c[a-z]+audit\d", key)
    }
    assert len(actions) > 5
    assert all(re.fullmatch(r"[a-z]+(\.[a-z_]+)+", action) for action in actions)


def test_every_seeded_row_has_an_automatic_audit_row(seeded: Connection[TupleRow]) -> None:
    everything = rows(seeded)
    inserted = {
        (row["target_type"], row["target_id"])
        for row in everything.values()
        if row.get("action") == "insert"
    }
    assert inserted == {key for key in everything if key[0] != "audit_logs"}


def test_seeded_audit_rows_reference_existing_rows(seeded: Connection[TupleRow]) -> None:
    everything = rows(seeded)
    for (table, _), row in everything.items():
        if table == "audit_logs":
            assert (row["target_type"], row["target_id"]) in everything
            about = row["meta"].get("workflow_id")
            assert about is None or ("workflows", about) in everything


# idempotency --------------------------------------------------------------------------------------


def test_loading_seeds_twice_writes_nothing(own: Connection[TupleRow]) -> None:
    before = versions(own)
    load(own)
    assert versions(own) == before


@one_server
def test_each_file_runs_twice_in_psql_without_output(database: Database) -> None:
    assert [psql(database, file) for file in FILES] == [""] * len(FILES)
    with database.connect(autocommit=True) as conn:
        before = versions(conn)
        assert [psql(database, file) for file in FILES] == [""] * len(FILES)
        assert versions(conn) == before


@one_server
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
def test_edited_row_is_updated_and_no_other(
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


def test_edited_approved_workflow_stays_approved(
    own: Connection[TupleRow],
) -> None:
    key = ("workflows", "coddloafflow01g7second000")
    before = rows(own)[key]
    load(own, {"04_workflows.sql": ('"pages": 7', '"pages": 8')})
    assert rows(own)[key] == {**before, "metadata": {**before["metadata"], "pages": 8}}


def test_manually_changed_rows_are_restored(own: Connection[TupleRow]) -> None:
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


def test_unlisted_row_is_not_changed(own: Connection[TupleRow]) -> None:
    own.execute("insert into public.projects (org_id, name) values (%s, 'Mine')", [ODD_LOAF])
    before = versions(own)
    load(own)
    assert versions(own) == before


def test_edited_audit_row_is_rejected_and_all_files_are_rolled_back(
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


# isolation ----------------------------------------------------------------------------------------


def test_owner_and_member_see_only_their_own_organization(
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
        if org(row) == ODD_LOAF and key[0] != "audit_logs"  # a MEMBER cannot read audit logs
    }
    assert {table for table, _ in ferries} == set(TABLES)
    assert {table for table, _ in loaves} == set(TABLES) - {"audit_logs"}
