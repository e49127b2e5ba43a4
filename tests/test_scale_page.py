"""docs/scale.md: the partitioned audit log, made by what the page says and nothing else."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from checkout import ROOT, Checkout
from conftest import Database, one_server
from recipes import changed, only_first_files, recipes

from runner.files import loader
from runner.isolation.surface import review
from runner.isolation.verify import prover
from runner.migrate import seeds
from runner.preflight import checks, new_migration
from runner.preflight.diff import difference
from runner.preflight.scratch import scratch_server
from runner.schema import snapshot

sys.path.append(str(ROOT / "tests" / "docs"))
from pages import section

PARTS = "select tableoid::regclass::text, count(*) from public.audit_logs group by 1 order by 1"
LATER = """
    insert into public.audit_logs (org_id, action, created_at)
    select min(id), 'written.later', '{}-02-01' from public.organizations
"""


@one_server
def test_recipe_for_a_partitioned_log_passes_everything(
    tmp_path: Path, empty_database: Database
) -> None:
    next_year = datetime.now(UTC).year + 1
    page = section(ROOT / "docs" / "scale.md", "The audit log").replace("2027", str(next_year))
    [recipe] = recipes(page)
    (_, seed_diff), (_, drop_first) = recipe.rights
    only_first_files(tmp_path)
    shutil.copytree(ROOT / "seeds", tmp_path / "seeds")
    checkout, sql = Checkout(tmp_path, empty_database), tmp_path / "sql"
    checkout.apply()
    with checkout.migrator() as migrator:
        before = snapshot.take(migrator.connection)
        seeds.load(migrator, seeds.read(tmp_path / "seeds"))
        rows = checkout.value("select count(*) from public.audit_logs")
        recipe.write(sql)
        seed = tmp_path / "seeds" / "06_audit_logs.sql"
        text = changed(seed.read_text(encoding="utf-8"), "diff", seed_diff)
        seed.write_text(text, encoding="utf-8")
        partitioned = loader.read(sql)[-1]
        migrator.apply([partitioned])
        for _ in range(2):
            loaded = seeds.load(migrator, seeds.read(tmp_path / "seeds"))
            assert not any(one.inserted or one.updated for one in loaded)
        assert checkout.rows(PARTS) == [(f"audit_logs_until_{next_year}", rows)]
        review.accept(migrator, sql)
        verdict = prover(sql)(migrator.connection)
        assert verdict.with_more(review.verify(migrator, sql)).breaches == ()
        with scratch_server(18) as scratch:
            assert checks.check(scratch, checkout.migrations(), only=partitioned).failed == []
        checkout.do(LATER.format(next_year))
        with empty_database.connect() as conn:
            conn.execute(drop_first.encode())
            assert conn.execute(PARTS).fetchall() == [(f"audit_logs_{next_year}_q1", 1)]
            conn.rollback()
        migrator.roll_back([partitioned])
        assert checkout.rows(PARTS) == [("audit_logs", rows + 1)]
        assert difference(before, snapshot.take(migrator.connection)) == []


def test_file_that_distributes_a_new_table_depends_on_the_one_that_new_writes(
    tmp_path: Path,
) -> None:
    only_first_files(tmp_path)
    page = section(ROOT / "docs" / "scale.md", "Later migrations")
    assert f"-- depends: {new_migration.next_name(tmp_path / 'sql', 'create_notes')}\n" in page
