"""docs/json.md: the keys and types of every example are those that the commands print."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from checkout import ROOT, Checkout
from conftest import Database, one_server

from runner import errors
from runner.cli.commands import NAMES
from runner.migrate import seeds

PAGE = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
EXAMPLES: dict[str, dict[str, Any]] = {
    name: json.loads(text)
    for name, text in re.findall(
        r"^## (?:`([^`]+)`\n.*?|Errors\n.*?)```json\n(.*?)```", PAGE, re.M | re.S
    )
}


def shape(value: object) -> object:
    """Return a document's keys and the types of its values; a list has its first element's."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return "number" if type(value) in (int, float) else type(value).__name__


def fits(real: object, documented: object) -> bool:
    """Compare shapes; null and an empty list fit anything."""
    if "NoneType" in (real, documented) or [] in (real, documented):
        return True
    if isinstance(real, dict) and isinstance(documented, dict):
        return real.keys() == documented.keys() and all(
            fits(item, documented[key]) for key, item in real.items()
        )
    if isinstance(real, list) and isinstance(documented, list):
        return fits(real[0], documented[0])
    return real == documented


@pytest.fixture
def small(tmp_path: Path, empty_database: Database) -> Checkout:
    checkout = Checkout(tmp_path, empty_database)
    checkout.write(
        _0001_a="create table if not exists public.a (id int primary key);",
        _0001_a__rollback="drop table if exists public.a;",
    )
    checkout.seed(a="insert into public.a values (1) on conflict do nothing;")
    return checkout


def test_every_command_is_documented() -> None:
    """psql prints its own output."""
    documented = {name.split()[0] for name in EXAMPLES if name}
    assert documented == {*NAMES} - {"psql"}


def test_error_codes_are_documented() -> None:
    classes = [c for c in vars(errors).values() if isinstance(c, type)]
    codes = {c.code for c in classes if issubclass(c, errors.RunnerError)}
    assert codes == set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))


@one_server
def test_examples_have_the_keys_and_types_that_are_printed(small: Checkout) -> None:
    assert small.database
    name = small.database.name
    small.file("other/001_c.up.sql", "create table c ();")
    printed = {
        "plan": small.runner("plan", "--json"),
        "plan --sql": small.runner("plan", "--sql", "--json"),
        "up": small.runner("up", "--json"),
        "rollback": small.runner("rollback", "--json"),
        "apply": small.runner("apply", "--json"),
        "seed": small.runner("seed", "--json"),
        "status": small.runner("status", "--json"),
        "types": small.runner("types", "--json"),
        "diagram": small.runner("diagram", "--format", "mermaid", "--json"),
        "url": small.runner("url", "--json"),
        "reset": small.runner("reset", "--yes-delete", name, "--json"),
        "baseline": small.runner("baseline", "--json"),
        "init": small.runner("init", "shop", "--json"),
        "import": small.runner("import", "other", "--sql-dir", "sql/mine", "--json"),
        "new": small.runner("new", "add_b", "--json"),
        "": small.runner("apply", "--to", "7", "--json"),
        "down": small.runner("down", "--json", DATABASE_URL=""),
    }
    for command, result in printed.items():
        document = result.document
        assert result.err == ""
        assert document["exit_code"] == result.code
        assert document["ok"] is (command != "")
        assert fits(shape(document), shape(EXAMPLES[command])), (command, shape(document))


@one_server
def test_check_example_has_the_keys_and_types_that_are_printed(small: Checkout) -> None:
    small.write(_0002_b="create index b on public.a (id);", _0002_b__rollback="select 1;")
    document = small.runner("check", "--json").document
    assert document["failed"]
    assert fits(shape(document), shape(EXAMPLES["check"])), shape(document)


@one_server
def test_verify_and_report_examples_have_the_keys_and_types_that_are_printed(
    tmp_path: Path, database: Database
) -> None:
    """The report in a folder without files, or it would run all of verify again."""
    (tmp_path / "sql").symlink_to(ROOT / "sql")
    checkout = Checkout(tmp_path, database)
    for command, args in {
        "verify": (),
        "report": ("--out", "report", "--sql-dir", str(tmp_path / "none")),
    }.items():
        document = checkout.runner(command, "--json", *args).document
        assert fits(shape(document), shape(EXAMPLES[command])), (command, shape(document))


@one_server
def test_tenant_examples_have_the_keys_and_types_that_are_printed(
    tmp_path: Path, database: Database
) -> None:
    checkout = Checkout(tmp_path, database)
    for name in ("sql", "seeds"):
        (tmp_path / name).symlink_to(ROOT / name)
    with checkout.migrator() as migrator:
        seeds.load(migrator, seeds.read(tmp_path / "seeds"))
    tenant = "coddloaf00000000000000000"
    for words in (
        ("export", tenant, "--out", "out"),
        ("erase", tenant, "--yes-erase", "Odd Loaf"),
        ("import", "out"),
    ):
        document = checkout.runner("tenant", *words, "--json").document
        assert shape(document) == shape(EXAMPLES[f"tenant {words[0]}"])


@one_server
def test_init_example_has_the_keys_and_types_that_are_printed(
    tmp_path: Path, empty_database: Database
) -> None:
    with empty_database.connect() as connection:
        schema = ROOT / "tests" / "isolation" / "schemas" / "claims.sql"
        connection.execute(schema.read_bytes())
    (tmp_path / "sql").mkdir()
    document = Checkout(tmp_path, empty_database).runner("verify", "--init", "--json").document
    assert document["undecided"]
    assert fits(shape(document), shape(EXAMPLES["verify --init"])), shape(document)
