"""The pytest plugin: does nothing until a test uses one of its fixtures, and loads nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.errors import RunnerError

if TYPE_CHECKING:
    from runner.isolation.testing.databases import Database, Fill, Template
    from runner.postgres.connection import Connection

_HERE = "runner/isolation/testing/plugin.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the settings, all optional."""
    parser.addini("plainsql_sql_dir", "the folder of migrations (default: sql)", default="sql")
    parser.addini("plainsql_seeds_dir", "the folder of seeds (default: seeds)", default="seeds")
    parser.addini("plainsql_postgres", "the embedded PostgreSQL, 18 or 16", default="18")
    parser.addoption(
        "--plainsql-server", metavar="URL", help="instead, a server where databases may be created"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore a checkout of this repository inside another project: its tests are its own."""
    inside = collection_path != config.rootpath and (collection_path / _HERE).is_file()
    return True if inside else None


@pytest.fixture(scope="session")
def plainsql_fill() -> Fill:
    """Rows for the template beside the seeds: override it, with a function of a connection."""
    return lambda _: None


@pytest.fixture(scope="session")
def plainsql_template(request: pytest.FixtureRequest, plainsql_fill: Fill) -> Iterator[Template]:
    """The template database: migrations, seeds and `plainsql_fill`, made once in a session."""
    from runner.isolation.testing import databases
    from runner.postgres.target import Target, parse

    config = request.config
    project = databases.Project(
        *(config.rootpath / config.getini(f"plainsql_{name}_dir") for name in ("sql", "seeds"))
    )
    url, version = config.getoption("--plainsql-server"), config.getini("plainsql_postgres")
    if not project.sql.is_dir():
        hint = "Name the folder of migrations in pytest's settings: plainsql_sql_dir"
        pytest.fail(f"{project.sql} does not exist\n{hint}", pytrace=False)
    if version not in ("16", "18"):
        pytest.fail(f"plainsql_postgres is {version!r}, not 18 or 16", pytrace=False)
    with _explained():
        server = Target(parse(url), "--plainsql-server", embedded=False) if url else None
        made = databases.template(server, int(version), project, plainsql_fill)
        with made as template:
            yield template


@pytest.fixture
def plainsql_database(plainsql_template: Template) -> Iterator[Database]:
    """A database for this test alone, a copy of the template."""
    with plainsql_template.copy() as database:
        yield database


@pytest.fixture
def act_as(plainsql_database: Database) -> Callable[..., AbstractContextManager[Connection]]:
    """`with act_as(user) as connection`: a transaction as a request of this user."""
    return plainsql_database.act_as


@contextmanager
def _explained() -> Iterator[None]:
    """Report an error of the runner as its message, place and hint, without a traceback."""
    try:
        yield
    except RunnerError as error:
        place = error.place
        where = (f"  at {place}", f"  | {place.text}" if place.text else "") if place else ()
        said = "\n".join(filter(None, (error.message, *where, error.hint)))
        raise pytest.fail.Exception(said, pytrace=False) from None
