"""What row-level security, guards and the audit log cost, beside the same statements without."""

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

from runner.postgres import embedded
from runner.postgres.embedded import Server

_CROWD = Path(__file__).parent / "tax" / "crowd.sql"
_TENANT, _LITERAL = "authenticated", "skips"
_TIMES = 300  # how often the server runs a statement in one round
_SECONDS = 1  # how long a client asks in one round
_BULK = 100_000
# As a signed-in user of Supabase carries them, in size too. Spaces, for pgbench reads :1 as a name.
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
class Asked:
    """One statement. [org] is left out for the tenant and `org_id = literal and` for the other.

    `n`: the number of a row, as 21 digits.
    """

    name: str
    sql: str
    as_literal: str = ""

    def by(self, who: str, org: str, n: str) -> str:
        sql = self.as_literal if who == _LITERAL and self.as_literal else self.sql
        said = {"[org]": f"org_id = '{org}' and", "[whole]": f"where org_id = '{org}'"}
        for mark, words in said.items():
            sql = sql.replace(mark, words if who == _LITERAL else "")
        return sql.replace("[id]", f"'{org}'").replace("[n]", n)


READS = (
    Asked("point, by id", "select * from public.projects where [org] id = 'cprj' || [n]"),
    Asked(
        "newest 50",
        "select * from public.projects [whole] order by created_at desc, id desc limit 50",
    ),
    Asked(
        "keyset page 2",
        "select * from public.projects where [org] (created_at, id) < ('2026-07-01', 'c')"
        " order by created_at desc, id desc limit 50",
    ),
    Asked("count", "select count(*) from public.projects [whole]"),
    Asked(
        "join, a project's gates",
        "select p.name, w.gate, w.status from public.projects as p join public.workflows as w"
        " on w.org_id = p.org_id and w.project_id = p.id where [org] p.id = 'cprj' || [n]"
        " order by w.gate",
    ),
    Asked(
        "filter by status",
        "select * from public.projects where [org] status = 'paused'"
        " order by created_at desc, id desc limit 50",
    ),
    Asked(
        "filter by gate",
        "select * from public.workflows where [org] project_id = 'cprj' || [n] and gate = 'G1'",
    ),
    Asked(
        "newest 50 of the log",
        "select * from public.audit_logs [whole] order by created_at desc, id desc limit 50",
    ),
)
WRITES = (
    Asked("INSERT", "insert into public.projects (org_id, name) values ([id], 'Another')"),
    Asked(
        "UPDATE",
        "update public.projects set description = clock_timestamp()::text"
        " where [org] id = 'cprj' || [n]",
    ),
)
APPROVE = Asked(
    "approve, un-approve",
    "update public.workflows"
    " set status = case status when 'approved' then 'in_review' else 'approved' end"
    " where [org] id = 'cwf2' || [n]",
    "update public.workflows"
    " set status = case status when 'approved' then 'in_review' else 'approved' end,"
    " approver_id = case status when 'approved' then null else 'cusr' || [owner] end"
    " where [org] id = 'cwf2' || [n]",
)


class Crowd:
    """A database full of organizations, and the middle one of them, whose OWNER asks."""

    def __init__(self, server: Server, orgs: int, projects: int) -> None:
        self.server, self.url = server, server.url(f"tax_{orgs}")
        with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
            conn.execute(f"create database tax_{orgs}".encode())
        for path in sorted((ROOT / "sql").glob("*.sql")):
            if not path.name.endswith(".rollback.sql"):
                self.psql("-1", "-f", path)
        self.psql("-v", f"orgs={orgs}", "-v", f"projects={projects}", "-f", _CROWD)
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

    def sql(self, asked: Asked, who: str, n: str) -> str:
        said = asked.by(who, self.org, n).replace("[owner]", f"'{self.owner}'")
        # Where two tables are joined, the literal names the one whose rows are asked for.
        return said.replace("where org_id", "where p.org_id") if " as p " in said else said

    @contextmanager
    def asking(self, conn: Connection[TupleRow], who: str) -> Iterator[None]:
        """Be one or the other for a transaction that leaves nothing."""
        try:
            conn.execute(
                "select set_config('request.jwt.claims', %s, true), set_config('role', %s, true)",
                (self.claims, who),
            )
            yield
        finally:
            conn.rollback()

    def check(self, conn: Connection[TupleRow], asked: Asked) -> None:
        """Both find or change the same, and the tenant's plan reads no other tenant's rows."""
        found = []
        for who in (_TENANT, _LITERAL):
            with self.asking(conn, who):
                done = conn.execute(self.sql(asked, who, f"'{self.first:021}'").encode())
                found.append((done.rowcount, done.fetchall() if done.description else None))
        if found[0] != found[1] or not found[0][0]:
            raise RuntimeError(f"{asked.name}: not the same rows for both")
        with self.asking(conn, _TENANT):
            said = self.sql(asked, _TENANT, f"'{self.first:021}'")
            lines = conn.execute(f"explain {said}".encode()).fetchall()
        plan = "\n".join(line for (line,) in lines)
        read = len(re.findall(r"Scan.* on (projects|workflows|audit_logs)", plan))
        if read > len(re.findall(r"Index Cond: \(.*org_id.*= ", plan)):
            raise RuntimeError(f"{asked.name} reads other tenants' rows:\n{plan}")


def tax(
    orgs: Sequence[int], projects: int, rounds: int, version: int, say: Callable[[str], None]
) -> str:
    """Return the tables: reads and writes, guards and audit, bulk."""
    text = []
    with embedded.scratch(version, settings={"shared_buffers": "2GB", "max_wal_size": "8GB"}) as at:
        for count in orgs:
            say(f"{count} organizations, {projects} projects: pouring")
            crowd = Crowd(at, count, projects)
            with psycopg.connect(crowd.url) as conn:
                conn.execute("set jit = off")
                conn.commit()
                text += [
                    f"{count:,} organizations, {projects:,} projects, {2 * projects:,} workflows, "
                    f"{3 * projects:,} audit rows, PostgreSQL {at.version}\n",
                    _policies(crowd, conn, rounds, say),
                    _triggers(crowd, conn, rounds, say),
                ]
            say("bulk")
            text.append(_bulk(crowd, rounds))
    return "\n".join(text)


def _policies(
    crowd: Crowd, conn: Connection[TupleRow], rounds: int, say: Callable[[str], None]
) -> str:
    lines = []
    for asked in (*READS, *WRITES, APPROVE):
        say(asked.name)
        crowd.check(conn, asked)
        bare = "" if asked in READS or asked is APPROVE else "projects"
        server = _server_side(crowd, conn, asked, rounds, bare)
        client = _client_side(crowd, asked, rounds)
        lines.append(
            [
                asked.name,
                *(f"{median(server[who]):.0f} µs" for who in (_LITERAL, _TENANT)),
                _ratio(server),
                *(f"{median(client[who]):.0f} µs" for who in (_LITERAL, _TENANT)),
                _ratio(client),
            ]
        )
    return table(
        [
            "As a tenant, beside org_id = literal", "server: literal", "policies", "ratio",
            "client: literal", "policies", "ratio",
        ],
        lines,
    )  # fmt: skip


def _ratio(found: dict[str, list[float]]) -> str:
    pairs = zip(found[_TENANT], found[_LITERAL], strict=True)
    return f"{median([tenant / literal for tenant, literal in pairs]):.2f}×"


def _server_side(
    crowd: Crowd, conn: Connection[TupleRow], asked: Asked, rounds: int, bare: str
) -> dict[str, list[float]]:
    """Parsed, planned and run by the server; a write's triggers are left out where `bare` is."""
    found: dict[str, list[float]] = {_LITERAL: [], _TENANT: []}
    _vacuum(crowd)
    for _ in range(rounds):
        for who, costs in found.items():
            if bare:
                conn.execute(f"alter table public.{bare} disable trigger user".encode())
            costs.append(_cost(crowd, conn, asked, who))
    return found


def _cost(crowd: Crowd, conn: Connection[TupleRow], asked: Asked, who: str) -> float:
    with crowd.asking(conn, who):
        [(cost,)] = conn.execute(
            "select bench.cost(%s, %s, %s, %s)",
            (crowd.sql(asked, who, "$1"), crowd.first, crowd.last, _TIMES),
        ).fetchall()
    return float(cost)


def _client_side(crowd: Crowd, asked: Asked, rounds: int) -> dict[str, list[float]]:
    """One client, one transaction for each statement, as PostgREST sends them."""
    found: dict[str, list[float]] = {_LITERAL: [], _TENANT: []}
    _vacuum(crowd)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for who, costs in found.items():
                statement = crowd.sql(asked, who, "lpad(:n::text, 21, '0')")
                script = Path(folder) / f"{who}.pgbench"
                script.write_text(
                    f"\\set n random({crowd.first}, {crowd.last})\nbegin;\n"
                    "select set_config('search_path', 'public', true), "
                    f"set_config('role', '{who}', true), "
                    f"set_config('request.jwt.claims', '{crowd.claims}', true), "
                    "set_config('request.method', 'GET', true), "
                    "set_config('request.path', '/projects', true), "
                    "set_config('request.headers', '{}', true), "
                    "set_config('request.cookies', '{}', true);\n"
                    f"{statement};\ncommit;\n",
                    encoding="utf-8",
                )
                said = subprocess.run(
                    [
                        embedded.program("pgbench", crowd.server.version), "-n", "-M", "prepared",
                        "-T", str(_SECONDS), "-f", script, crowd.url,
                    ],
                    check=True, capture_output=True, text=True,
                )  # fmt: skip
                latency = re.search(r"latency average = ([\d.]+) ms", said.stdout)
                if latency is None or "number of failed transactions: 0 " not in said.stdout:
                    raise RuntimeError(f"{asked.name}: {said.stdout}{said.stderr}")
                costs.append(float(latency[1]) * 1000)
    return found


def _triggers(
    crowd: Crowd, conn: Connection[TupleRow], rounds: int, say: Callable[[str], None]
) -> str:
    """The same writes by the role that policies do not hold, with fewer triggers and with all."""
    lines = []
    for asked in (*WRITES, APPROVE):
        say(f"triggers of {asked.name}")
        target = "workflows" if asked is APPROVE else "projects"
        without = {
            "none": "disable trigger user",
            "guards": "disable trigger record_insert, disable trigger record_audit",
            "all": "enable trigger user",
        }
        if asked is APPROVE:
            del without["none"]  # the guard writes what the table's check asks for
        found: dict[str, list[float]] = {name: [] for name in without}
        _vacuum(crowd)
        for _ in range(rounds):
            for name, change in without.items():
                conn.execute(f"alter table public.{target} {change}".encode())
                found[name].append(_cost(crowd, conn, asked, _LITERAL))
        cost = {name: median(costs) for name, costs in found.items()}
        guards = f"{cost['guards'] - cost['none']:+.0f} µs" if "none" in cost else ""
        bare = f"{cost['none']:.0f} µs" if "none" in cost else ""
        audit = f"{cost['all'] - cost['guards']:+.0f} µs"
        lines.append([asked.name, bare, guards, audit])
    return table(["Server-side, no policies", "no triggers", "guards", "audit"], lines)


def _bulk(crowd: Crowd, rounds: int) -> str:
    """100,000 rows in one INSERT as service_role, with and without their audit rows."""
    found: dict[str, list[float]] = {"without audit": [], "with audit": []}
    with psycopg.connect(crowd.url) as conn:
        [(orgs,)] = conn.execute("select count(*) from public.organizations").fetchall()
        for _ in range(rounds):
            for name, costs in found.items():
                _vacuum(crowd)
                if name == "without audit":
                    conn.execute("alter table public.projects disable trigger record_insert")
                conn.execute("set local role service_role")
                costs.append(_poured(conn, int(orgs), logged=name == "with audit"))
                conn.rollback()
    lines = [
        [f"INSERT of {_BULK:,} projects", *(f"{median(costs):.2f} s" for costs in found.values())]
    ]
    pairs = zip(found["with audit"], found["without audit"], strict=True)
    lines[0].append(f"{median([a / b for a, b in pairs]):.2f}×")
    return table(["As service_role", *found, "ratio"], lines)


def _poured(conn: Connection[TupleRow], orgs: int, *, logged: bool) -> float:
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


def _vacuum(crowd: Crowd) -> None:
    """What the last rounds left behind is not what the next ones cost."""
    with psycopg.connect(crowd.url, autocommit=True) as conn:
        conn.execute("vacuum public.projects, public.workflows, public.audit_logs")
