"""Benchmark: overhead of row-level security, guard triggers and audit triggers."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from measure import ROOT, median, table
from psycopg import Connection
from psycopg.rows import TupleRow

from runner import embedded
from runner.embedded import Server
from runner.preflight.temporary_server import temporary_server

_TENANTS_SQL = Path(__file__).parent / "tax" / "tenants.sql"
_TENANT, _LITERAL = "authenticated", "skips"
_TIMES = 300  # executions of a statement on the server per round
_SECONDS = 1  # duration of a pgbench run per round
_BULK = 100_000
# Like the claims of a signed-in user of Supabase, also in size. A space follows each colon because
# pgbench reads :1 as a variable.
_CLAIMS = json.dumps(
    {
        "aud": "authenticated",
        "exp": 1767225600,
        "iat": 1767222000,
        "iss": "https://abcdefghijklmnopqrst.supabase.co/auth/v1",
        "sub": "SUB",
        "email": "owner@organization.example",
        "phone": "",
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": {"email": "owner@organization.example", "email_verified": True},
        "role": "authenticated",
        "aal": "aal1",
        "amr": [{"method": "password", "timestamp": 1767222000}],
        "session_id": "5f1d1d5e-1f7e-4d0a-9f6e-1b2c3d4e5f60",
        "is_anonymous": False,
    }
)


@dataclass(frozen=True)
class Statement:
    """A statement in two forms: for the tenant, and with `org_id = literal` for the other role.

    `[org]` and `[whole]` are replaced by a condition on org_id, or for the tenant by nothing;
    `[id]` by the organization's id, `[n]` by the number of a row, as 21 digits.
    """

    name: str
    sql: str
    as_literal: str = ""

    def sql_for(self, who: str, org: str, n: str) -> str:
        sql = self.as_literal if who == _LITERAL and self.as_literal else self.sql
        conditions = {"[org]": f"org_id = '{org}' and", "[whole]": f"where org_id = '{org}'"}
        for mark, condition in conditions.items():
            sql = sql.replace(mark, condition if who == _LITERAL else "")
        return sql.replace("[id]", f"'{org}'").replace("[n]", n)


READS = (
    Statement("point, by id", "select * from public.projects where [org] id = 'cprj' || [n]"),
    Statement(
        "newest 50",
        "select * from public.projects [whole] order by created_at desc, id desc limit 50",
    ),
    Statement(
        "keyset page 2",
        "select * from public.projects where [org] (created_at, id) < ('2026-07-01', 'c')"
        " order by created_at desc, id desc limit 50",
    ),
    Statement("count", "select count(*) from public.projects [whole]"),
    Statement(
        "join, a project's gates",
        "select p.name, w.gate, w.status from public.projects as p join public.workflows as w"
        " on w.org_id = p.org_id and w.project_id = p.id where [org] p.id = 'cprj' || [n]"
        " order by w.gate",
    ),
    Statement(
        "filter by status",
        "select * from public.projects where [org] status = 'paused'"
        " order by created_at desc, id desc limit 50",
    ),
    Statement(
        "filter by gate",
        "select * from public.workflows where [org] project_id = 'cprj' || [n] and gate = 'G1'",
    ),
    Statement(
        "newest 50 of the log",
        "select * from public.audit_logs [whole] order by created_at desc, id desc limit 50",
    ),
)
WRITES = (
    Statement("INSERT", "insert into public.projects (org_id, name) values ([id], 'Another')"),
    Statement(
        "UPDATE",
        "update public.projects set description = clock_timestamp()::text"
        " where [org] id = 'cprj' || [n]",
    ),
)
APPROVE = Statement(
    "approve, un-approve",
    "update public.workflows"
    " set status = case status when 'approved' then 'in_review' else 'approved' end"
    " where [org] id = 'cwf2' || [n]",
    "update public.workflows"
    " set status = case status when 'approved' then 'in_review' else 'approved' end,"
    " approver_id = case status when 'approved' then null else 'cusr' || [owner] end"
    " where [org] id = 'cwf2' || [n]",
)


class TenantData:
    """A database full of organizations; statements run as the OWNER of the middle one."""

    def __init__(self, server: Server, orgs: int, projects: int) -> None:
        self.server, self.url = server, server.url(f"tax_{orgs}")
        with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
            conn.execute(f"create database tax_{orgs}".encode())
        for path in sorted((ROOT / "sql").glob("*.sql")):
            if not path.name.endswith(".rollback.sql"):
                self.psql("-1", "-f", path)
        self.psql("-v", f"orgs={orgs}", "-v", f"projects={projects}", "-f", _TENANTS_SQL)
        number = max(1, orgs // 2)
        each = projects // orgs
        self.org = f"corg{number:021}"
        self.owner = f"{3 * number:021}"
        self.first, self.last = (number - 1) * each + 1, number * each
        self.claims = _CLAIMS.replace("SUB", f"{3 * number:032x}")

    def psql(self, *arguments: str | Path) -> None:
        program = embedded.program("psql", self.server.version)
        subprocess.run(
            [program, self.url, "-q", "-v", "ON_ERROR_STOP=1", *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def sql(self, statement: Statement, who: str, n: str) -> str:
        sql = statement.sql_for(who, self.org, n).replace("[owner]", f"'{self.owner}'")
        # In the join, the literal condition must name one of the two tables.
        return sql.replace("where org_id", "where p.org_id") if " as p " in sql else sql

    @contextmanager
    def acting_as(self, conn: Connection[TupleRow], who: str) -> Iterator[None]:
        """Set role and claims for one transaction, which is rolled back."""
        try:
            conn.execute(
                "select set_config('request.jwt.claims', %s, true), set_config('role', %s, true)",
                (self.claims, who),
            )
            yield
        finally:
            conn.rollback()

    def check(self, conn: Connection[TupleRow], statement: Statement) -> None:
        """Check that both roles get the same rows and that the tenant's plan reads no others."""
        found = []
        for who in (_TENANT, _LITERAL):
            with self.acting_as(conn, who):
                done = conn.execute(self.sql(statement, who, f"'{self.first:021}'").encode())
                found.append((done.rowcount, done.fetchall() if done.description else None))
        if found[0] != found[1] or not found[0][0]:
            raise RuntimeError(f"{statement.name}: not the same rows for both")
        with self.acting_as(conn, _TENANT):
            sql = self.sql(statement, _TENANT, f"'{self.first:021}'")
            lines = conn.execute(f"explain {sql}".encode()).fetchall()
        plan = "\n".join(line for (line,) in lines)
        read = len(re.findall(r"Scan.* on (projects|workflows|audit_logs)", plan))
        if read > len(re.findall(r"Index Cond: \(.*org_id.*= ", plan)):
            raise RuntimeError(f"{statement.name} reads other tenants' rows:\n{plan}")


def tax(
    orgs: Sequence[int], projects: int, rounds: int, version: int, say: Callable[[str], None]
) -> str:
    """Return three tables: policies, triggers, and a bulk insert."""
    text = []
    with temporary_server(version, settings={"shared_buffers": "2GB", "max_wal_size": "8GB"}) as at:
        for count in orgs:
            say(f"{count} organizations, {projects} projects: loading")
            data = TenantData(at, count, projects)
            with psycopg.connect(data.url) as conn:
                conn.execute("set jit = off")
                conn.commit()
                text += [
                    f"{count:,} organizations, {projects:,} projects, {2 * projects:,} workflows, "
                    f"{3 * projects:,} audit rows, PostgreSQL {at.version}\n",
                    _policies(data, conn, rounds, say),
                    _triggers(data, conn, rounds, say),
                ]
            say("bulk insert")
            text.append(_bulk(data, rounds))
    return "\n".join(text)


def _policies(
    data: TenantData, conn: Connection[TupleRow], rounds: int, say: Callable[[str], None]
) -> str:
    lines = []
    for statement in (*READS, *WRITES, APPROVE):
        say(statement.name)
        data.check(conn, statement)
        bare = "" if statement in READS or statement is APPROVE else "projects"
        server = _server_side(data, conn, statement, rounds, bare)
        client = _client_side(data, statement, rounds)
        lines.append(
            [
                statement.name,
                *(f"{median(server[who]):.0f} µs" for who in (_LITERAL, _TENANT)),
                _ratio(server),
                *(f"{median(client[who]):.0f} µs" for who in (_LITERAL, _TENANT)),
                _ratio(client),
            ]
        )
    return table(
        [
            "As a tenant, compared with org_id = literal", "server: literal", "policies", "ratio",
            "client: literal", "policies", "ratio",
        ],
        lines,
    )  # fmt: skip


def _ratio(found: dict[str, list[float]]) -> str:
    pairs = zip(found[_TENANT], found[_LITERAL], strict=True)
    return f"{median([tenant / literal for tenant, literal in pairs]):.2f}×"


def _server_side(
    data: TenantData, conn: Connection[TupleRow], statement: Statement, rounds: int, bare: str
) -> dict[str, list[float]]:
    """Measure parsing, planning and execution in the server.

    `bare` names a table whose user triggers are disabled; '' leaves them enabled.
    """
    found: dict[str, list[float]] = {_LITERAL: [], _TENANT: []}
    _vacuum(data)
    for _ in range(rounds):
        for who, costs in found.items():
            if bare:
                conn.execute(f"alter table public.{bare} disable trigger user".encode())
            costs.append(_cost(data, conn, statement, who))
    return found


def _cost(data: TenantData, conn: Connection[TupleRow], statement: Statement, who: str) -> float:
    with data.acting_as(conn, who):
        [(cost,)] = conn.execute(
            "select bench.cost(%s, %s, %s, %s)",
            (data.sql(statement, who, "$1"), data.first, data.last, _TIMES),
        ).fetchall()
    return float(cost)


def _client_side(data: TenantData, statement: Statement, rounds: int) -> dict[str, list[float]]:
    """Measure latency at one client, with one transaction per statement, like PostgREST."""
    found: dict[str, list[float]] = {_LITERAL: [], _TENANT: []}
    _vacuum(data)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for who, costs in found.items():
                sql = data.sql(statement, who, "lpad(:n::text, 21, '0')")
                script = Path(folder) / f"{who}.pgbench"
                script.write_text(
                    f"\\set n random({data.first}, {data.last})\nbegin;\n"
                    "select set_config('search_path', 'public', true), "
                    f"set_config('role', '{who}', true), "
                    f"set_config('request.jwt.claims', '{data.claims}', true), "
                    "set_config('request.method', 'GET', true), "
                    "set_config('request.path', '/projects', true), "
                    "set_config('request.headers', '{}', true), "
                    "set_config('request.cookies', '{}', true);\n"
                    f"{sql};\ncommit;\n",
                    encoding="utf-8",
                )
                result = subprocess.run(
                    [
                        embedded.program("pgbench", data.server.version), "-n", "-M", "prepared",
                        "-T", str(_SECONDS), "-f", script, data.url,
                    ],
                    check=True, capture_output=True, text=True,
                )  # fmt: skip
                latency = re.search(r"latency average = ([\d.]+) ms", result.stdout)
                if latency is None or "number of failed transactions: 0 " not in result.stdout:
                    raise RuntimeError(f"{statement.name}: {result.stdout}{result.stderr}")
                costs.append(float(latency[1]) * 1000)
    return found


def _triggers(
    data: TenantData, conn: Connection[TupleRow], rounds: int, say: Callable[[str], None]
) -> str:
    """Measure the same writes by a role that bypasses row-level security, by enabled triggers."""
    lines = []
    for statement in (*WRITES, APPROVE):
        say(f"triggers of {statement.name}")
        target = "workflows" if statement is APPROVE else "projects"
        without = {
            "none": "disable trigger user",
            "guards": "disable trigger record_insert, disable trigger record_audit",
            "all": "enable trigger user",
        }
        if statement is APPROVE:
            del without["none"]  # its check constraint requires columns that the guard sets
        found: dict[str, list[float]] = {name: [] for name in without}
        _vacuum(data)
        for _ in range(rounds):
            for name, change in without.items():
                conn.execute(f"alter table public.{target} {change}".encode())
                found[name].append(_cost(data, conn, statement, _LITERAL))
        cost = {name: median(costs) for name, costs in found.items()}
        guards = f"{cost['guards'] - cost['none']:+.0f} µs" if "none" in cost else ""
        bare = f"{cost['none']:.0f} µs" if "none" in cost else ""
        audit = f"{cost['all'] - cost['guards']:+.0f} µs"
        lines.append([statement.name, bare, guards, audit])
    return table(["Server-side, no policies", "no triggers", "guards", "audit"], lines)


def _bulk(data: TenantData, rounds: int) -> str:
    """Measure 100,000 rows in one INSERT as service_role, with and without audit rows."""
    found: dict[str, list[float]] = {"without audit": [], "with audit": []}
    with psycopg.connect(data.url) as conn:
        [(orgs,)] = conn.execute("select count(*) from public.organizations").fetchall()
        for _ in range(rounds):
            for name, costs in found.items():
                _vacuum(data)
                if name == "without audit":
                    conn.execute("alter table public.projects disable trigger record_insert")
                conn.execute("set local role service_role")
                costs.append(_timed_insert(conn, int(orgs), logged=name == "with audit"))
                conn.rollback()
    lines = [
        [f"INSERT of {_BULK:,} projects", *(f"{median(costs):.2f} s" for costs in found.values())]
    ]
    pairs = zip(found["with audit"], found["without audit"], strict=True)
    lines[0].append(f"{median([a / b for a, b in pairs]):.2f}×")
    return table(["As service_role", *found, "ratio"], lines)


def _timed_insert(conn: Connection[TupleRow], orgs: int, *, logged: bool) -> float:
    """Insert the rows, check the number of audit rows, and return the seconds it took."""
    [(before,)] = conn.execute("select count(*) from public.audit_logs").fetchall()
    [(began,)] = conn.execute("select clock_timestamp()").fetchall()
    conn.execute(
        "insert into public.projects (org_id, name)"
        " select 'corg' || lpad((1 + n %% %s)::text, 21, '0'), 'Project ' || n"
        " from generate_series(1, %s) as n",
        (orgs, _BULK),
    )
    [(ended,)] = conn.execute("select clock_timestamp()").fetchall()
    [(after,)] = conn.execute("select count(*) from public.audit_logs").fetchall()
    if after - before != (_BULK if logged else 0):
        raise RuntimeError(f"{after - before} audit rows for {_BULK} projects")
    return float((ended - began).total_seconds())


def _vacuum(data: TenantData) -> None:
    """Vacuum, so that dead rows of earlier rounds do not slow down later ones."""
    with psycopg.connect(data.url, autocommit=True) as conn:
        conn.execute("vacuum public.projects, public.workflows, public.audit_logs")
