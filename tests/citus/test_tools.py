"""Seeds, studio, types and diagram through a coordinator: what they count and show is right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import Database
from studio.conftest import MAREN, SEEDS, WILMA, running_studio

from citus.conftest import Cluster
from runner.generate import diagram, types
from runner.migrate import seeds
from runner.migrate.migrator import Migrator
from runner.migrate.seeds import TableCount

# A file is loaded over one connection for each worker; the runner sets it for each transaction.
_ONE_CONNECTION = "-c citus.multi_shard_modify_mode=sequential"
SEEDED = {"organizations": 2, "users": 8, "projects": 8, "workflows": 32, "ai_agents": 8}


@pytest.fixture
def database(cluster: Cluster, distributed: str) -> Iterator[Database]:
    with cluster.database(of=distributed) as made:
        yield made


def load(database: Database, folder: str = "", orgs: int = 0) -> dict[str, TableCount]:
    with database.connect(autocommit=True, options=_ONE_CONNECTION) as conn:
        migrator = Migrator(conn)
        with migrator.lock():
            given = {"seed.orgs": orgs} if orgs else None
            counts = seeds.load(migrator, seeds.read(SEEDS / folder), given)
    return {count.table.removeprefix("public."): count for count in counts}


def test_seeds_are_counted_on_the_workers(database: Database) -> None:
    first, again = load(database), load(database)
    for table, rows in SEEDED.items():
        assert (first[table].inserted, first[table].updated) == (rows, 0), table
        assert (again[table].inserted, again[table].unchanged) == (0, rows), table
    scaled = load(database, "scale", orgs=20)
    assert (scaled["organizations"].inserted, scaled["organizations"].unchanged) == (20, 2)
    with database.connect() as conn:
        [(users, accounts)] = conn.execute(
            "select (select count(*) from public.users), (select count(*) from app.accounts)"
        ).fetchall()
    assert users == accounts == scaled["users"].inserted + SEEDED["users"]


def test_studio_shows_each_person_their_own_rows(database: Database) -> None:
    load(database)
    with running_studio(database.conninfo()) as studio:
        front = studio.request("GET", studio.get("").headers["location"])
        pages = {who: studio.get(f"as/{who}/tables/projects") for who in (MAREN, WILMA)}
        compared = studio.get(f"as/{MAREN}/comparison?count=all").text
    assert (front.status, [page.status for page in pages.values()]) == (200, [200, 200])
    assert "Maren Skaill" in front.body and "Wilma Tansy-Okoro" in front.body
    assert "cannot" not in compared and "4" in compared
    assert pages[MAREN].body.count('<tr id="r.') == pages[WILMA].body.count('<tr id="r.') == 4
    with database.connect() as conn:
        listed: dict[str, str] = dict(
            conn.execute("select name, left(org_id, 5) from public.projects").fetchall()
        )
    for name, org in listed.items():
        own, other = (MAREN, WILMA) if org == "csker" else (WILMA, MAREN)
        assert name in pages[own].body and name not in pages[other].body


def test_types_and_diagram_are_those_of_the_tables(database: Database) -> None:
    with database.connect(autocommit=True) as conn:
        assert "export interface Workflow {" in types.write(conn, "public", "typescript")
        drawn = diagram.svg(conn)
    assert "workflow_gate" in drawn and "_1020" not in drawn  # no shard
