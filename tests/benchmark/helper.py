"""Benchmark: what each part of a helper costs a tenant's smallest statement, a point read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import tax
from measure import median, table
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.preflight.temporary_server import temporary_server

_HELPERS_SQL = Path(__file__).parent / "tax" / "helpers.sql"
_TIMES = 200  # executions per round
_LITERAL = "no policy, `org_id = literal`"
_IN_USE = "`app.caller_org()`"
_HELPERS = {
    "a function in C, which reads nothing": "current_setting('role')",
    "plpgsql that returns a constant": "bench.constant()",
    "the same, security definer with a search_path": "bench.constant_definer()",
    "the same, which also reads the claims": "bench.claims_only()",
    "the same, which also finds the caller, without claims": "bench.lookup_only()",
    _IN_USE: "app.caller_org()",
    "without a search_path (unsafe)": "bench.no_search_path()",
    "`select … into` a variable": "bench.select_into()",
    "one query, which calls `auth.uid()`": "bench.one_query()",
    "SQL with a parsed body (`begin atomic`)": "bench.sql_body()",
    "the claims as jsonb": "bench.claims_as_jsonb()",
}


def parts(projects: int, rounds: int, version: int, say: Callable[[str], None]) -> str:
    """Return a table: CPU time of the server process for a point read, planned each time."""
    with temporary_server(version, settings={"shared_buffers": "512MB"}) as server:
        say("loading")
        data = tax.TenantData(server, 1000, projects)
        data.psql("-f", _HELPERS_SQL)
        found: dict[str, list[float]] = {name: [] for name in (_LITERAL, *_HELPERS)}
        with psycopg.connect(data.url) as conn:
            for number in range(rounds):
                say(f"round {number + 1} of {rounds}")
                for name, costs in found.items():
                    costs.append(_point_read(data, conn, _HELPERS.get(name)))
    lines = []
    for name, costs in found.items():
        ratios = [cost / literal for cost, literal in zip(costs, found[_LITERAL], strict=True)]
        lines.append([name, f"{min(costs):.0f} µs", f"{median(ratios):.2f}"])
    return table(["The policy calls", "least", "median ratio"], lines)


def _point_read(data: tax.TenantData, conn: Connection[TupleRow], helper: str | None) -> float:
    """Return microseconds for a read, with policies that call `helper`, or without policies."""
    for policy in ("select_member", "tenant_isolation") if helper else ():
        conn.execute(
            f"alter policy {policy} on public.projects using (org_id = (select {helper}))".encode()
        )
    who = "authenticated" if helper else "skips"
    with data.acting_as(conn, who):
        sql = data.sql(tax.READS[0], who, "$1")
        for times in (20, _TIMES):  # the first fills the caches
            began = _cpu(conn)
            conn.execute("select bench.cost(%s, %s, %s, %s)", (sql, data.first, data.last, times))
            cost = (_cpu(conn) - began) / times
    return cost


def _cpu(conn: Connection[TupleRow]) -> float:
    """Return the CPU time of the server process in microseconds; Linux only."""
    schedule = Path(f"/proc/{conn.info.backend_pid}/schedstat").read_text(encoding="ascii")
    return int(schedule.split()[0]) / 1000
