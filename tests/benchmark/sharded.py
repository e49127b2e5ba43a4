"""Benchmark: a tenant's statements on Citus, compared with a database without it."""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import ROOT, median, table
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.embedded import os_user
from runner.files import statements
from runner.preflight import temporary_server

sys.path.append(str(ROOT / "tests"))
from citus.conftest import BIN, SHARDS, WORKERS, Cluster
from citus.overlay import FILES, apply_base, run
from conftest import Database

_TENANTS = Path(__file__).parent / "tax" / "tenants.sql"
_TIMES = 50  # transactions of each statement per round
_BULK = 1000  # rows
# {org} is the condition with a literal, or none; {id} the organization; {n} the number of a row;
# {now} a new value.
_STATEMENTS = {
    "point, by id": "select * from public.projects where {org} and id = 'cprj{n}'",
    "newest 50": "select * from public.projects where {org}"
    " order by created_at desc, id desc limit 50",
    "count": "select count(*) from public.projects where {org}",
    "join, a project's gates": "select p.name, w.gate from public.projects as p"
    " inner join public.workflows as w on w.org_id = p.org_id and w.project_id = p.id"
    " where p.{org} and p.id = 'cprj{n}'",
    "newest 50 of the log": "select * from public.audit_logs where {org}"
    " order by created_at desc, id desc limit 50",
    "INSERT": "insert into public.projects (org_id, name) values ('{id}', 'Another')",
    "UPDATE": "update public.projects set description = '{now}' where {org} and id = 'cprj{n}'",
    "approve, un-approve": "update public.workflows"
    " set status = case when status = 'approved' then 'in_review' else 'approved' end"
    " where {org} and id = 'cwf1{n}'",
}
_WITHOUT = ("point, by id", "newest 50", "count", "UPDATE")  # also sent without a literal org_id


def compare(orgs: int, projects: int, rounds: int, say: Callable[[str], None]) -> str:
    """Send each statement to both in turn; each ratio is that of two adjacent transactions."""
    if not BIN:
        return "Not run: TEST_CITUS_BIN names no folder of a PostgreSQL that has Citus.\n"
    lines = []
    with _both(orgs, projects, say) as both:
        for literal, names in ((True, tuple(_STATEMENTS)), (False, _WITHOUT)):
            for name in names:
                say(name)
                lines.append(_line(both, name, literal, (orgs, projects), rounds))
        say("bulk insert")
        lines.append(_bulk(both, orgs, rounds))
    return (
        f"A coordinator, {WORKERS} workers, {SHARDS} shards, and a database without Citus, all on "
        f"this machine, with a load of {os.getloadavg()[0]:.0f}; {orgs:,} organizations, "
        f"{projects:,} projects. Medians of {rounds * _TIMES} transactions.\n\n"
        + table(["As an OWNER, through a client", "tasks", "plain", "Citus", "ratio"], lines)
    )


Both = tuple[Connection[TupleRow], Connection[TupleRow]]


@contextmanager
def _both(orgs: int, projects: int, say: Callable[[str], None]) -> Iterator[Both]:
    """Connections to two databases with the same rows: without Citus, and distributed."""
    folder = temporary_server._scratch_folder()
    os_user.server_user().take_ownership(folder)
    cluster = Cluster(folder)
    try:
        cluster.sql(0, "create database plain")
        text = _TENANTS.read_text(encoding="utf-8")
        text = text.replace(":orgs", str(orgs)).replace(":projects", str(projects))
        with (
            cluster.database() as made,
            Database(made.server, "plain").connect(autocommit=True) as plain,
            made.connect(autocommit=True) as citus,
        ):
            for conn in (citus, plain):  # in this order, so that all nodes get the roles
                say(f"loading {conn.info.dbname}")
                apply_base(conn)
                for statement in statements.split(text):
                    conn.execute(statement.text.encode())
            say("distributing")
            run(citus, *FILES)
            citus.execute("vacuum analyze")
            yield plain, citus
    finally:
        for number in range(cluster.count):
            cluster.kill(number)


def _line(both: Both, name: str, literal: bool, size: tuple[int, int], rounds: int) -> list[str]:
    orgs, projects = size
    number, each = orgs // 2, projects // orgs
    org = f"corg{number:021}"
    claims = json.dumps({"role": "authenticated", "sub": f"{3 * number:032x}"})
    rows = itertools.cycle(range((number - 1) * each + 1, number * each + 1))
    times: list[tuple[float, float]] = []
    for _ in range(rounds * _TIMES):
        text = _STATEMENTS[name].format(
            org=f"org_id = '{org}'" if literal else "org_id is not null",
            id=org,
            n=f"{next(rows):021}",
            now=time.perf_counter(),
        )
        (plain, found), (citus, same) = (_request(conn, text, claims) for conn in both)
        if found != same or not found:
            raise RuntimeError(f"{name}: {found} rows, {same} on Citus")
        times.append((plain, citus))
    plan = _explain(both[1], text, claims)
    tasks = re.findall(r"'Task Count': (\d+)", plan)
    return [name + ("" if literal else ", without org_id"), *tasks, *_figures(times)]


def _request(conn: Connection[TupleRow], text: str, claims: str) -> tuple[float, int]:
    """Return the seconds that one transaction took, and the number of rows."""
    started = time.perf_counter()
    with conn.transaction():
        _become(conn, claims)
        found = conn.execute(text.encode()).rowcount
    return time.perf_counter() - started, found


def _become(conn: Connection[TupleRow], claims: str) -> None:
    conn.execute(
        "select set_config('role', 'authenticated', true),"
        " set_config('request.jwt.claims', %s, true)",
        [claims],
    )
    if conn.info.dbname != "plain":
        conn.execute("select app.pre_request()")


def _explain(conn: Connection[TupleRow], text: str, claims: str) -> str:
    with conn.transaction():
        _become(conn, claims)
        return str(conn.execute(f"explain (format json) {text}".encode()).fetchall())


def _bulk(both: Both, orgs: int, rounds: int) -> list[str]:
    """Rows of many organizations in one statement of the platform, with their audit rows."""
    values = ", ".join(f"('corg{1 + n % orgs:021}', 'Bulk')" for n in range(_BULK))
    insert = f"insert into public.projects (org_id, name) values {values}"
    times = []
    for _ in range(rounds):
        pair = []
        for conn in both:
            started = time.perf_counter()
            with conn.transaction():
                conn.execute("set local role service_role")
                conn.execute(insert.encode())
            pair.append(time.perf_counter() - started)
        times.append((pair[0], pair[1]))
    return [f"INSERT of {_BULK:,} projects by service_role", str(SHARDS), *_figures(times)]


def _figures(times: list[tuple[float, float]]) -> list[str]:
    plain, citus = zip(*times, strict=True)
    ratio = median([one / other for other, one in times])
    return [f"{median(plain) * 1000:.1f} ms", f"{median(citus) * 1000:.1f} ms", f"{ratio:.1f}"]
