"""The runner on a Citus cluster."""

from __future__ import annotations

from conftest import Database


def test_database_has_its_workers(citus_database: Database) -> None:
    with citus_database.connect(autocommit=True) as conn:
        assert conn.execute("select count(*) from pg_dist_node where isactive").fetchone() == (3,)
