"""The recipes of docs/migrations.md, done as the page says: no false breach, each mistake named.

The page continues the schema that the files up to 0009 make, whatever files follow them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from checkout import ROOT, Checkout
from conftest import SQL_DIR, Server, one_server
from recipes import Recipe, changed, only_first_files, recipes

from runner.isolation.surface import review
from runner.isolation.verdict import Verdict
from runner.isolation.verify import prover
from runner.preflight import checks
from runner.preflight.scratch import scratch_server

sys.path.append(str(ROOT / "tests" / "docs"))
from pages import section, table_rows

PAGE = ROOT / "docs" / "migrations.md"
RECIPES = recipes(
    "".join(
        section(PAGE, title)
        for title in (
            *("A new table", "A changed column", "A changed policy", "A removed right"),
            *("A new role", "An enum value", "An index on a large table"),
        )
    )
)


@dataclass(frozen=True)
class Mistake:
    """What was forgotten, in SQL or in isolation.toml, and the breach that has to name it."""

    what: str
    named: str  # a pattern: subject, proof and summary
    sql: str = ""
    rights: Mapping[str, str] = field(default_factory=dict)  # what is right, and what is written


@dataclass
class Project:
    """A copy of sql/ with its database, to which the recipes are added."""

    checkout: Checkout

    @property
    def sql_dir(self) -> Path:
        return self.checkout.folder / "sql"

    def add(self, recipe: Recipe) -> None:
        """Write the files of a recipe, and the rights."""
        recipe.write(self.sql_dir)
        for kind, block in recipe.rights:
            self.edit(partial(changed, kind=kind, block=block))

    def edit(self, change: Callable[[str], str]) -> str:
        """Change isolation.toml; return what it was."""
        path = self.sql_dir / "isolation.toml"
        before = path.read_text(encoding="utf-8")
        path.write_text(change(before), encoding="utf-8")
        return before

    def breaches(self) -> list[str]:
        """Apply, `verify --accept` and `verify`; return what is found."""
        self.checkout.apply_rest()
        with self.checkout.migrator() as migrator:
            review.accept(migrator, self.sql_dir)
            verdict = prover(self.sql_dir)(migrator.connection)
            return named(verdict.with_more(review.verify(migrator, self.sql_dir)))

    def after(self, *mistakes: Mistake, only: str = "rights") -> list[str]:
        """Return what is found after mistakes, which are undone."""

        def wrong(text: str) -> str:
            for right, written in (pair for each in mistakes for pair in each.rights.items()):
                assert text.count(right) == 1, right
                text = text.replace(right, written)
            return text

        before = self.edit(wrong)
        assert self.checkout.database
        try:
            with (
                self.checkout.database.connect() as connection,
                connection.transaction(force_rollback=True),
            ):
                for mistake in mistakes:
                    connection.execute(mistake.sql.encode())
                return named(prover(self.sql_dir)(connection, only=only))
        finally:
            self.edit(lambda _: before)


def named(verdict: Verdict) -> list[str]:
    return [f"{b.subject} | {b.proof} | {b.summary}" for b in verdict.breaches]


@pytest.fixture(scope="module")
def project(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The schema of the files up to 0009, and the table that `new --table` makes."""
    folder = tmp_path_factory.mktemp("second_day")
    only_first_files(folder)
    with server.database() as database:
        project = Project(Checkout(folder, database))
        [command] = re.findall(r"python -m runner (new .*--table)", section(PAGE, "A new table"))
        made = project.checkout.runner(*command.split())
        assert made.code == 0, made.err
        yield project


@pytest.fixture(scope="module")
def day(project: Project) -> tuple[Project, list[str]]:
    """The project after all recipes, and what was found after some of them and after the rest."""
    for recipe in RECIPES[: len(RECIPES) // 2]:
        project.add(recipe)
    found = project.breaches()
    for recipe in RECIPES[len(RECIPES) // 2 :]:
        project.add(recipe)
    return project, [*found, *project.breaches()]


@one_server
def test_recipes_raise_no_breach(day: tuple[Project, list[str]]) -> None:
    assert day[1] == []


@one_server
def test_files_of_the_page_pass_check(day: tuple[Project, list[str]]) -> None:
    """All but the rollback of an enum value, of which the page says that there is none."""
    with scratch_server(18) as scratch:
        found = checks.check(scratch, day[0].checkout.migrations())
    assert [(one.file, one.check) for one in found.failed] == [("0018_add_role_viewer", "rollback")]


def test_page_states_the_lines_of_each_recipe() -> None:
    written = (SQL_DIR / "isolation/new_table.toml").read_text(encoding="utf-8")
    counted = [len(written.splitlines()), *(recipe.lines for recipe in RECIPES)]
    stated = [int(row[1]) for row in table_rows(section(PAGE, "What a change takes"))]
    *others, _, viewer, trial, index = counted  # VIEWER takes two files
    assert stated == [*others, viewer, trial, index]


MISTAKES = (
    Mistake(
        "row-level security was forgotten",
        r"^public\.teams \|.* in other org",
        "alter table public.teams disable row level security",
    ),
    Mistake(
        "a policy does not compare the tenant",
        r"^public\.labels \| public\.labels\.select\..* in other org",
        "alter policy select_member on public.labels using (true)",
    ),
    Mistake(
        "a policy is for the wrong role",
        r"^public\.labels \|.*insert.* as OWNER in own org",
        "alter policy insert_member on public.labels to service_role",
    ),
    Mistake(
        "the trigger's function has the former name of the column",
        r"^public\.labels \|.*update.* as OWNER in own org",
        "".join(re.findall(r"(?ms)^create or replace function.*?^\$\$;$", RECIPES[0].sql)),
    ),
    Mistake(
        "the lookup table is not declared as shared",
        r"public\.countries \|",
        rights={'\nshared = ["public.countries"]': "\n# "},
    ),
    Mistake(
        "the new column is not in the file",
        r"^public\.projects \|.*due_on",
        rights={', "due_on"]': "]"},
    ),
    Mistake(
        "the new policy is not in the file",
        r"^public\.projects \|.*update.* as MEMBER in own org",
        "alter policy update_admin on public.projects using (org_id = (select app.caller_org()))"
        " with check (org_id = (select app.caller_org()))",
    ),
    Mistake(
        "the right is removed from the database, not from the file",
        r"^public\.ai_agents \|.*config.* as OWNER in own org",
        "revoke update (config) on public.ai_agents from authenticated",
    ),
    Mistake(
        "the right is removed from the file, not from the database",
        r"^public\.organizations \|.*settings.* as OWNER in own org",
        rights={'OWNER = ["name", "settings"]': 'OWNER = ["name"]'},
    ),
    Mistake(
        "the policy still lets the new role write",
        r"^public\.workflows \|.*insert.* as VIEWER in own org",
        "alter policy insert_member on public.workflows"
        " with check (org_id = (select app.caller_org()))",
    ),
)

UNDECIDED = Mistake(
    "the new role is not in the file",
    r"^role VIEWER \| undecided\.role VIEWER \|",
    rights={
        'VIEWER = { role = "authenticated", member = "VIEWER" }\n': "",
        '"MEMBER VIEWER" = {': "MEMBER = {",
        '"MEMBER", "VIEWER", ': '"MEMBER", ',
        'select = "VIEWER"': "select = []",
    },
)


@one_server
def test_each_mistake_is_named(day: tuple[Project, list[str]]) -> None:
    found = day[0].after(*MISTAKES) + day[0].after(UNDECIDED, only="undecided")
    missing = [
        mistake.what
        for mistake in (*MISTAKES, UNDECIDED)
        if not any(re.search(mistake.named, line) for line in found)
    ]
    assert missing == [], "\n".join(line for line in found if "teams" not in line)
