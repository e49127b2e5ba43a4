"""docs/scale.md: what it tells to type is typed here, and proven."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from conftest import Database, one_server

from runner.isolation.proof import prove

ROOT = Path(__file__).parents[1]
SQL = ROOT / "sql"


@one_server
def test_a_log_in_parts_is_as_safe_and_lets_go_of_a_part(database: Database) -> None:
    page = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
    page = page.replace("2027", str(datetime.now(UTC).year + 1))
    parting, letting_go = re.findall(r"```sql\n(.*?)```", page, re.S)
    triggers = (SQL / "0008_record_audit.sql").read_text(encoding="utf-8")
    policies = (SQL / "0009_enable_row_level_security.sql").read_text(encoding="utf-8")
    with database.connect() as conn:
        conn.execute("insert into public.organizations (name) values ('An old one')")
        conn.execute(f"{parting}{triggers}{policies}".encode())
        conn.execute(f"revoke temporary on database {database.name} from public".encode())
        conn.execute("insert into public.organizations (name) values ('A new one')")
        parts = conn.execute(
            "select distinct tableoid::regclass::text like 'audit_logs_until_%', count(*)"
            " from public.audit_logs group by 1"
        ).fetchall()
        assert parts == [(True, 2)]
        conn.commit()
        verdict = prove(conn)
        assert verdict.breaches == ()
        conn.rollback()
        conn.execute(letting_go.encode())
        assert conn.execute("select count(*) from public.audit_logs").fetchone() == (0,)
