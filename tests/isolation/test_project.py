"""The isolation data of a project: its validation, its random ids, and a schema other than ours."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from checkout import ROOT, Checkout
from conftest import SQL_DIR, Database, one_server
from promises import PROJECT

from runner.errors import RunnerError, UsageError
from runner.files import loader
from runner.isolation.project import load
from runner.isolation.proof import prove
from runner.isolation.rows.identity import A, B
from runner.isolation.rows.named import Ids
from runner.isolation.sql_cases import scenario

TEXT = (SQL_DIR / "isolation.toml").read_text(encoding="utf-8")
# Names of this schema that the package must not know.
NAMES = re.compile(
    r"\b(organizations|workflows|ai_agents|audit_logs|caller_(org|user)\w*|org_id|auth_user_id|user_role"
    r"|public\.(users|projects))\b"
)
# What the studio takes from isolation.toml.
DECLARED = re.compile(
    r"\b(organization|authenticated|service_role|anon|OWNER|ADMIN|MEMBER)\b|request\.jwt|public\."
)
# Where they remain, and why.
EXCEPTIONS = {
    "runner/cli/commands/seed.py": "the word for the companies that --scale makes up",
    "runner/isolation/report/verdict.html": "the word, in prose",
}


def project(folder: Path, text: str) -> Path:
    """Write a copy of the project's folder with this isolation.toml."""
    shutil.copytree(SQL_DIR / "isolation", folder / "isolation")
    (folder / "isolation.toml").write_text(text, encoding="utf-8")
    return folder


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


# --- validation ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "wrong", "problem", "hint"),
    [
        ("[tenant]", "[tennant]", "unknown section [tennant]", "Did you mean tenant?"),
        ('column = "org_id" ', 'colum = "org_id" ', "unknown key in [tenant]: 'colum'", "column?"),
        (
            'user = "auth_user_id"',
            'usr = "auth_user_id"',
            "unknown key in [people]: 'usr'",
            "user?",
        ),
        (
            'member = "ADMIN" }',
            'membr = "ADMIN" }',
            "unknown key 'membr' in [actors.ADMIN]",
            "member",
        ),
        ('anon = { role = "anon" }', "anon = { }", "anon has no role", ""),
        ('"OWNER ADMIN" =', '"OWNR ADMIN" =', "unknown actor 'OWNR'", "mean OWNER?"),
        ('["OWNER", "ADMIN"]', '["OWNR"]', "unknown actor 'OWNR'", "mean OWNER?"),
        ('["OWNER", "ADMIN"]', "[1]", "allowed must be a list of strings", ""),
        ('["OWNER", "ADMIN"]', '"everybody"', "allowed must be a list of strings", ""),
        ('insert = "service_role"', 'insrt = "service_role"', "unknown command of", "insert?"),
        ('sql = "delete from', 'sqll = "delete from', "unknown key 'sqll' in [cases.", "sql?"),
        (":'workflow'\"", ":'wrkflow'\"", "unknown variable :'wrkflow'", "workflow?"),
        ('internal_schemas = ["app"]', "internal_schemas = true", "must be a list of names", ""),
        ("[conventions]", "[conventions", "", ""),
    ],
)
def test_mistake_is_an_error_with_line_and_nearest_word(
    tmp_path: Path, right: str, wrong: str, problem: str, hint: str
) -> None:
    assert right in TEXT
    text = TEXT.replace(right, wrong, 1)
    with pytest.raises(UsageError) as error:
        load(project(tmp_path, text))
    where = f"{tmp_path / 'isolation.toml'}:{line_of(text, wrong)}:"
    assert error.value.message.startswith(where)
    assert problem in error.value.message
    assert hint in error.value.hint
    assert error.value.place
    assert error.value.place.line == line_of(text, wrong)


def test_section_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"isolation.toml:1: \[tenant\] has no column"):
        load(project(tmp_path, "[actors]\nA = { role = 'a', member = 'A' }\n"))


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        (
            "attacks/101_mine.sql",
            "-- 101_mine\n-- It.\n-- safe: So.\n-- source: a\n\n-- as: A\nselect 1",
            "the number 101 is taken by attacks/101_read_by_key.sql",
        ),
        ("attacks/901_mine.sql", "select 1", "the first line must be its name"),
        (
            "attacks/901_mine.sql",
            "-- 901_mine\n-- It.\n-- safe: So.\n-- source: a\n-- setting: jwt\n\nselect 1",
            "no request has the setting jwt",
        ),
        ("rules/99_mine.sql", "-- 99_mine\n-- It.\n\nselect 1", "missing header field: -- source:"),
    ],
)
def test_malformed_case_of_a_project_is_an_error(
    tmp_path: Path, name: str, text: str, problem: str
) -> None:
    folder = project(tmp_path, TEXT)
    (folder / "isolation" / name).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=re.escape(problem)) as error:
        load(folder)
    assert str(folder / "isolation" / name) in error.value.message


@one_server
def test_malformed_step_of_a_project_is_an_error_before_anything_is_tried(
    database: Database, tmp_path: Path
) -> None:
    folder = project(tmp_path, TEXT)
    head = "-- 901_mine\n-- It.\n-- safe: So.\n-- source: a\n\n"
    step = "-- as: {}\n-- expect: nothing\nselect :'{}'\n"
    for actor, name, problem, hint in (
        ("OWNR", "org", "unknown actor 'OWNR'", "Did you mean OWNER?"),
        ("OWNER", "projct", "unknown variable :'projct'", "Did you mean project?"),
    ):
        file = folder / "isolation" / "attacks" / "901_mine.sql"
        file.write_text(head + step.format(actor, name), encoding="utf-8")
        with (
            database.connect(autocommit=True) as connection,
            pytest.raises(UsageError, match=re.escape(problem)) as error,
        ):
            prove(connection, load(folder))
        assert error.value.message.startswith(str(file))
        assert error.value.hint == hint


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"isolation\.toml does not exist") as error:
        load(tmp_path)
    assert "verify --only drift" in error.value.hint


@one_server
def test_verify_without_isolation_data_ends_with_64(
    empty_database: Database, tmp_path: Path
) -> None:
    checkout = Checkout(tmp_path, empty_database)
    checkout.write(_0001_a="create table public.a (id int);")
    checkout.apply()
    result = checkout.runner("verify")
    assert result.code == 64
    assert "error: sql/isolation.toml does not exist" in result.err
    assert "Traceback" not in result.err
    result = checkout.runner("verify", "--only", "drift")
    assert (result.code, "no drift" in result.out or "0 breaches" in result.out) == (0, True)


@one_server
@pytest.mark.parametrize(
    ("change", "problem", "hint"),
    [
        (
            ("[rights.projects]", "[rights.projekts]"),
            "table projekts",
            "projects?",
        ),
        (
            ('= ["name", "description"', '= ["nam", "description"'),
            "column nam in public.projects",
            "name?",
        ),
        (
            ('"public.organizations"', '"public.organisations"'),
            "table public.organisations",
            "organizations?",
        ),
        (
            ('column = "org_id" ', 'column = "orgid" '),
            "column orgid",
            "org_id?",
        ),
        (('{ role = "anon" }', '{ role = "anom" }'), "there is no role anom", ""),
    ],
)
def test_name_that_the_database_does_not_have_is_an_error_with_its_line(
    database: Database, tmp_path: Path, change: tuple[str, str], problem: str, hint: str
) -> None:
    right, wrong = change
    text = TEXT.replace(right, wrong, 1)
    assert text != TEXT
    changed = load(project(tmp_path, text))
    with (
        database.connect(autocommit=True) as connection,
        pytest.raises(UsageError, match=re.escape(problem)) as error,
    ):
        prove(connection, changed)
    found = re.search(r"isolation\.toml:(\d+): (there is no|no table) ", error.value.message)
    assert found
    assert line_of(text, wrong) == int(found[1])
    assert hint in error.value.hint


# --- ids ----------------------------------------------------------------------------------------


def test_ids_are_random_valid_and_distinct() -> None:
    names = [*(f"approved_workflow_{n}" for n in range(50)), "a", "user_uuid"]
    first, second = Ids(), Ids()
    found = [ids.of(name, owner) for ids in (first, second) for owner in (A, B) for name in names]
    assert len(set(found)) == 4 * len(names)
    texts = [id_ for id_ in found if "-" not in id_]
    assert [id_ for id_ in texts if not re.fullmatch(r"cproof(home|away)[a-z0-9]{15}", id_)] == []


# --- actors -------------------------------------------------------------------------------------


def test_kinds_of_actors_stand_for_those_of_the_project() -> None:
    words = ("members", "some members", "one member of away", "strangers", "anonymous", "platform")
    found = {word: scenario._actors(word, PROJECT, "here") for word in words}
    assert found == {
        "members": ["OWNER", "ADMIN", "MEMBER"],
        "some members": ["OWNER", "MEMBER"],
        "one member of away": ["OWNER of away"],
        "strangers": ["stranger", "unlinked"],
        "anonymous": ["anon"],
        "platform": ["service_role"],
    }


# --- the package --------------------------------------------------------------------------------


def test_the_package_names_nothing_of_this_schema() -> None:
    found = {}
    for path in sorted((ROOT / "runner").rglob("*")):
        name = str(path.relative_to(ROOT))
        if not path.is_file() or path.suffix in (".pyc", ".woff2"):
            continue
        pattern = DECLARED if name.startswith("runner/studio/") else NAMES
        text = path.read_text(encoding="utf-8", errors="replace")
        if words := {match[0] for each in {NAMES, pattern} for match in each.finditer(text)}:
            found[name] = words
    excepted = {name for name in found if any(name.startswith(each) for each in EXCEPTIONS)}
    assert {name: words for name, words in found.items() if name not in excepted} == {}
    unused = [each for each in EXCEPTIONS if not any(name.startswith(each) for name in found)]
    assert unused == []


def test_isolation_data_is_no_migration() -> None:
    assert {file.path.parent for file in loader.read(SQL_DIR)} == {SQL_DIR}
    assert all(re.fullmatch(r"\d{4}_\w+", file.id) for file in loader.read(SQL_DIR))
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    [linted] = re.findall(r"files: (\^sql/\S+)", hooks)
    assert re.search(linted, "sql/0001_a.sql")
    assert not re.search(linted, "sql/isolation/attacks/201_a.sql")


@one_server
def test_schema_that_was_not_applied_is_no_mistake_in_the_file(empty_database: Database) -> None:
    with (
        empty_database.connect(autocommit=True) as connection,
        pytest.raises(RunnerError, match="This is not the schema of") as error,
    ):
        prove(connection, PROJECT)
    assert not isinstance(error.value, UsageError)
