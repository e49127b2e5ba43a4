"""docs/scale.md: its SQL examples run as printed, and verify finds no breach afterwards."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from conftest import Database, one_server
from promises import PROJECT

from runner.isolation.proof import prove

ROOT = Path(__file__).parents[1]
SQL = ROOT / "sql"


@one_server
def test_partitioned_audit_log_passes_verify_and_drops_a_partition(database: Database) -> None:
    page = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
    page = page.replace("2027", str(datetime.now(UTC).year + 1))
    partition_sql, drop_sql = re.findall(r"```sql\n(.*?)```", page, re.S)
    triggers = (SQL / "0008_record_audit.sql").read_text(encoding="utf-8")
    policies = (SQL / "0009_enable_row_level_security.sql").read_text(encoding="utf-8")
    with database.connect() as conn:
        conn.execute("insert into public.organizations (name) values ('An old one')")
        conn.execute(f"{partition_sql}{triggers}{policies}".encode())
        conn.execute(f"revoke temporary on database {database.name} from public".encode())
        conn.execute("insert into public.organizations (name) values ('A new one')")
        partitions = conn.execute(
            "select distinct tableoid::regclass::text like 'audit_logs_until_%', count(*)"
            " from public.audit_logs group by 1"
        ).fetchall()
        assert partitions == [(True, 2)]
        conn.commit()
        verdict = prove(conn, PROJECT)
        assert verdict.breaches == ()
        conn.rollback()
        conn.execute(drop_sql.encode())
        assert conn.execute("select count(*) from public.audit_logs").fetchone() == (0,)
