"""SARIF and annotations: each breach at the line that created the object, the same in each run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from checkout import ROOT, Checkout
from conftest import Database, one_server

import runner
from runner.isolation.report.places import Places
from runner.isolation.report.sarif import sarif, workflow_commands
from runner.isolation.verdict import Breach, Cell, Check, Verdict

FIRST = """\
-- 0001_first
-- One table.

create schema clubs;
do $$ begin
    create role member;
end $$;
create table if not exists clubs.posts (
    id int,
    "Body" text
);
create policy read_posts on clubs.posts for select to member using (true);
create policy read_posts on clubs.seats for select to member using (true);
grant select on clubs.posts, clubs.seats to member;
create or replace function clubs.caller() returns text language sql return 'a';
create trigger keep before update on clubs.posts for each row execute function clubs.keep();
create or replace view clubs.latest as select 1;
create or replace view clubs.latest as select id from clubs.posts;
-- create table clubs.posts: only a comment
"""
SECOND = """\
-- 0002_second

alter table clubs.posts add column draft boolean;
create or replace function clubs.caller() returns text language sql return 'b';
"""
THIRD = """\
-- 0003_third

create type clubs.rank as enum ('a');
create table clubs.tasks (
    title text not null unique,
    rank clubs.rank check (title in ('x') or rank is not null),
    post_id int,
    constraint tasks_post foreign key (post_id) references clubs.posts (id)
);
alter table clubs.tasks add column priority int;
alter table clubs.tasks add constraint high check (priority in (1, 2)), add check (rank > 'a');
create function clubs.task() returns text language sql return 'a';
create policy of_task on clubs.tasks using (true);
"""
FOURTH = """\
-- 0004_fourth

alter type clubs.rank add value if not exists 'b';
alter policy of_task on clubs.tasks using (rank = 'b');
alter table clubs.tasks drop constraint tasks_post;
alter table clubs.tasks
    add constraint tasks_post foreign key (post_id) references clubs.seats (id);
alter table clubs.tasks
    rename column title to name;
alter function clubs.task() security definer;
create unique index tasks_ranks on clubs.tasks (rank);
alter table clubs.tasks alter priority set not null;
"""


@pytest.fixture
def sql_dir(tmp_path: Path) -> Path:
    """Four migrations and the isolation data."""
    folder = tmp_path / "sql"
    folder.mkdir()
    files = {"0001_first": FIRST, "0002_second": SECOND, "0003_third": THIRD, "0004_fourth": FOURTH}
    for name, text in files.items():
        (folder / f"{name}.sql").write_text(text, encoding="utf-8")
        (folder / f"{name}.rollback.sql").write_text(FIRST, encoding="utf-8")
    (folder / "isolation.toml").write_text("[tenant]\n", encoding="utf-8")
    return folder


def breach(subject: str, cause: str = "", proof: str = "01_rule") -> Breach:
    return Breach(proof, subject, f"{subject} is open", exposed="a row", cause=cause, fix="fix it;")


def exported(verdict: Verdict, places: Places) -> dict[str, Any]:
    """Return the only run of the SARIF file."""
    document = json.loads(sarif(verdict, places))
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("/sarif-schema-2.1.0.json")
    [run] = document["runs"]
    assert isinstance(run, dict)
    return run


# --- places --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "cause", "place"),
    [
        ("clubs.posts", "", "0001_first.sql:8"),
        ("table clubs.posts", "", "0001_first.sql:8"),
        ('relation "clubs"."posts"', "", "0001_first.sql:8"),
        ("policy read_posts on clubs.posts", "", "0001_first.sql:12"),
        ("policy clubs.seats.read_posts", "", "0001_first.sql:13"),
        ("clubs.posts", "policy read_posts on clubs.posts: for select", "0001_first.sql:12"),
        ("clubs.posts", "grant select on clubs.seats to member", "0001_first.sql:14"),
        ("clubs.posts", "grant update on clubs.posts to member", "0001_first.sql:8"),
        ("clubs.posts", "row-level security is off on clubs.posts", "0001_first.sql:8"),
        ("function clubs.caller()", "", "0002_second.sql:4"),
        ("trigger keep on clubs.posts", "", "0001_first.sql:16"),
        ('column clubs.posts."Body"', "", "0001_first.sql:10"),
        ("column clubs.posts.draft", "", "0002_second.sql:3"),
        ("policy made_by_hand on clubs.posts", "", "0001_first.sql:8"),
        ("role member", "", "0001_first.sql:6"),
        ("schema clubs", "", "0001_first.sql:4"),
        ("0002_second", "", "0002_second.sql:1"),
        ("clubs.post", "", "isolation.toml:1"),
        ("the database", "", "isolation.toml:1"),
        ("", "", "isolation.toml:1"),
        ("table clubs.(*+?[", "", "isolation.toml:1"),
        ('table clubs."po[st]ts"', "", "isolation.toml:1"),
        ("view clubs.latest", "", "0001_first.sql:18"),
        ("type clubs.rank", "", "0004_fourth.sql:3"),
        ("policy clubs.tasks.of_task", "", "0004_fourth.sql:4"),
        ("clubs.tasks", "constraint tasks_post on clubs.tasks: a reference", "0004_fourth.sql:7"),
        ("column clubs.tasks.name", "", "0004_fourth.sql:9"),
        ("clubs.tasks", "function clubs.task(): it is wrong", "0004_fourth.sql:10"),
        ("constraint clubs.tasks.tasks_ranks", "", "0004_fourth.sql:11"),
        ("column clubs.tasks.priority", "", "0004_fourth.sql:12"),
        ("column clubs.tasks.rank", "", "0003_third.sql:6"),
        ("constraint clubs.tasks.high", "", "0003_third.sql:11"),
        ("constraint clubs.tasks.tasks_rank_check", "", "0003_third.sql:11"),
        ("constraint clubs.tasks.tasks_title_key", "", "0003_third.sql:5"),
        ("table clubs.tasks", "", "0003_third.sql:4"),
    ],
)
def test_place_is_the_line_that_created_or_changed_the_object_last(
    sql_dir: Path, subject: str, cause: str, place: str
) -> None:
    path, line = Places(sql_dir, sql_dir.parent).of(breach(subject, cause))
    assert f"{path}:{line}" == f"sql/{place}"


def test_place_without_isolation_data_is_the_folder(sql_dir: Path) -> None:
    (sql_dir / "isolation.toml").unlink()
    places = Places(sql_dir, sql_dir.parent)
    assert places.of(breach("the database")) == (Path("sql"), None)
    verdict = Verdict(breaches=(breach("the database"),))
    [result] = exported(verdict, places)["results"]
    assert result["locations"][0]["physicalLocation"] == {"artifactLocation": {"uri": "sql"}}
    assert next(workflow_commands(verdict, places)).startswith("::error file=sql,title=")


def test_statements_that_load_rows_are_not_searched(sql_dir: Path) -> None:
    """Only those that may create something are, and no very long one: a search takes time."""
    loading = "create table clubs.later as values " + ", ".join(["('create grant on')"] * 40_000)
    (sql_dir / "0002_second.sql").write_text(
        f"insert into x values ('{'grant ' * 40_000}');{loading}"
    )
    places = Places(sql_dir, sql_dir.parent)
    assert places.of(breach("clubs.later")) == (Path("sql/isolation.toml"), 1)
    assert places.of(breach("clubs.posts")).path == Path("sql/0001_first.sql")


def test_migrations_that_cannot_be_read_have_no_places(sql_dir: Path) -> None:
    (sql_dir / "0002_second.sql").write_bytes(b"\xff")
    place = Places(sql_dir, sql_dir.parent).of(breach("clubs.posts"))
    assert place == (Path("sql/isolation.toml"), 1)


def test_place_outside_of_the_repository_is_absolute(sql_dir: Path, tmp_path: Path) -> None:
    places = Places(sql_dir, tmp_path / "elsewhere")
    [result] = exported(Verdict(breaches=(breach("clubs.posts"),)), places)["results"]
    location = result["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == (sql_dir / "0001_first.sql").resolve().as_uri()


# --- SARIF ---------------------------------------------------------------------------------------


def test_sarif_has_the_properties_that_github_requires(sql_dir: Path) -> None:
    rule = Check("rule", "01_rule", "A table is open.", "the manual", "1 object", passed=False)
    passed = replace(rule, name="02_rule", passed=True)
    file = replace(rule, kind="file", name="0001_first")
    cell = Cell("posts", "select", "rows", "member", "other", False, "1 row", False, "select 1")
    verdict = Verdict(
        cells=(cell,),
        checks=(file, rule, passed),
        breaches=(breach("clubs.posts"), breach("clubs.posts", "a cause", cell.title)),
        warnings=("note: an old server", "no lock file"),
    )
    run = exported(verdict, Places(sql_dir, sql_dir.parent))
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("plainsql verify", runner.__version__)
    assert [rule["id"] for rule in driver["rules"]] == ["01_rule", "02_rule", cell.title]
    assert all(
        rule["shortDescription"]["text"] and rule["help"]["text"] for rule in driver["rules"]
    )
    assert driver["rules"][0]["help"]["text"] == "A table is open.\na row\nSource: the manual"
    assert "member must not select rows of posts" in driver["rules"][2]["shortDescription"]["text"]
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] == "error"
        assert result["locations"] == [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "sql/0001_first.sql"},
                    "region": {"startLine": 8},
                },
                "logicalLocations": [{"fullyQualifiedName": "clubs.posts"}],
            }
        ]
    assert run["results"][1]["message"]["text"] == (
        "clubs.posts is open\nCause: a cause\nFix:\nfix it;"
    )
    [invocation] = run["invocations"]
    assert invocation["executionSuccessful"] is True
    assert [
        (each["level"], each["message"]["text"])
        for each in invocation["toolExecutionNotifications"]
    ] == [("note", "an old server"), ("warning", "no lock file")]


def test_exposed_rows_are_not_in_the_file(sql_dir: Path) -> None:
    attack = Check("attack", "101_read", "A tenant reads.", "a page", "1 step", passed=False)
    failed = replace(breach("clubs.posts", proof="101_read"), exposed="secret row")
    text = sarif(Verdict(checks=(attack,), breaches=(failed,)), Places(sql_dir))
    assert "secret" not in text


def test_fingerprints_are_stable_and_distinct(sql_dir: Path) -> None:
    breaches = (
        breach("clubs.posts", "cproofaway123456"),
        breach("clubs.posts", "cproofaway654321"),
        breach("clubs.seats"),
        breach("clubs.posts", proof="02_rule"),
    )
    found = [
        [
            result["partialFingerprints"]["primaryLocationLineHash"]
            for result in exported(Verdict(breaches=given), Places(sql_dir))["results"]
        ]
        for given in (breaches, tuple(replace(b, cause="other", actor="X") for b in breaches))
    ]
    assert found[0] == found[1]
    assert len(set(found[0])) == len(breaches)


def test_path_is_a_valid_uri(tmp_path: Path, sql_dir: Path) -> None:
    folder = tmp_path / "sql files, 100%"
    sql_dir.rename(folder)
    verdict = Verdict(breaches=(breach("clubs.posts"),))
    places = Places(folder, tmp_path)
    [result] = exported(verdict, places)["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "sql%20files%2C%20100%25/0001_first.sql"
    [command] = workflow_commands(verdict, places)
    assert "file=sql files%2C 100%25/0001_first.sql,line=8," in command


# --- GitHub Actions ------------------------------------------------------------------------------


def test_annotations_are_escaped_and_one_per_cause(sql_dir: Path) -> None:
    first = replace(breach("clubs.posts", proof="posts: a, b"), summary="100%\r\n::error::forged")
    verdict = Verdict(
        breaches=(first, replace(first, proof="another")), warnings=("note: old", "a\nb")
    )
    assert list(workflow_commands(verdict, Places(sql_dir, sql_dir.parent))) == [
        "::error file=sql/0001_first.sql,line=8,title=posts%3A a%2C b::"
        "100%25%0D%0A::error::forged%0AFix:%0Afix it;%0AAlso affected: 1 more",
        "::notice title=verify::old",
        "::warning title=verify::a%0Ab",
    ]


@one_server
def test_verify_writes_sarif_and_annotates_in_github_actions(
    tmp_path: Path, database: Database
) -> None:
    shutil.copytree(ROOT / "sql", tmp_path / "sql")
    checkout = Checkout(tmp_path, database)
    checkout.do("alter policy select_member on public.projects using (true)")
    checkout.do("drop policy tenant_isolation on public.projects")
    words = ("verify", "--only", "projects", "--sarif", "verify.sarif")
    path = "sql/0009_enable_row_level_security.sql"
    text = (ROOT / path).read_text(encoding="utf-8")
    line = text[: text.index("create policy select_member on public.projects")].count("\n") + 1

    plain = checkout.runner(*words)
    assert plain.code == 4
    assert "written: verify.sarif" in plain.out and "::error" not in plain.out
    written = (tmp_path / "verify.sarif").read_text(encoding="utf-8")
    [run] = json.loads(written)["runs"]
    assert len({result["ruleId"] for result in run["results"]}) > 1
    for result in run["results"]:
        location = result["locations"][0]["physicalLocation"]
        assert location == {"artifactLocation": {"uri": path}, "region": {"startLine": line}}

    github = checkout.runner(*words, GITHUB_ACTIONS="true", GITHUB_WORKSPACE=str(tmp_path.parent))
    assert (
        f"\n::error file={tmp_path.name}/{path},line={line},title=public.projects.select."
        in github.out
    )
    again = (tmp_path / "verify.sarif").read_text(encoding="utf-8")
    assert again.replace(f"{tmp_path.name}/", "") == written  # nothing random in it
    for option in ("--json", "--quiet"):
        assert "::error" not in checkout.runner(*words, option, GITHUB_ACTIONS="true").out


@one_server
def test_sarif_that_cannot_be_written_is_a_usage_error(tmp_path: Path, database: Database) -> None:
    shutil.copytree(ROOT / "sql", tmp_path / "sql")
    result = Checkout(tmp_path, database).runner(
        *("verify", "--only", "projects", "--sarif", "no/such/folder.sarif")
    )
    assert result.code == 64
    assert "no/such/folder.sarif cannot be written" in result.err
