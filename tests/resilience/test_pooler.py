"""PgBouncer: refused in transaction mode, works like a direct connection in session mode.

Skipped where PgBouncer is not installed (Debian: apt-get install pgbouncer).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from checkout import Checkout, until
from conftest import Database, Server, one_server

from runner.embedded import os_user
from runner.errors import DatabaseUnreachable, UsageError
from runner.events import Event, Working
from runner.postgres import pooler
from runner.postgres.connection import connect
from runner.postgres.target import Target, parse

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
with_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")
LOCKS = "select count(*) from pg_locks where locktype = 'advisory'"


@dataclass(frozen=True)
class Pool:
    """A running PgBouncer in front of one database."""

    port: int
    role: str
    database: Database

    @property
    def url(self) -> str:
        return f"postgresql://{self.role}@127.0.0.1:{self.port}/{self.database.name}"

    @property
    def target(self) -> Target:
        return Target(parse(self.url), "DATABASE_URL in .env", embedded=False)

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True, prepare_threshold=None)


@pytest.fixture(scope="module")
def role(server: Server) -> Iterator[str]:
    """A superuser that needs no password, as which PgBouncer connects.

    It is not dropped before the server, because it owns the objects created through PgBouncer.
    """
    with psycopg.connect(server.conninfo(server.maintenance), autocommit=True) as conn:
        ((path,),) = conn.execute("show hba_file").fetchall()
        hba = Path(path)
        before = hba.read_text()
        role = f"pooled_{os.getpid()}"
        conn.execute(f"create role {role} superuser login")
        try:
            hba.write_text(f"local all {role} trust\n{before}")
            conn.execute("select pg_reload_conf()")
            yield role
        finally:
            hba.write_text(before)
            conn.execute("select pg_reload_conf()")


Start = Callable[..., Pool]


@pytest.fixture
def start(empty_database: Database, role: str) -> Iterator[Start]:
    """`start(**settings)` starts a PgBouncer with these settings of its [pgbouncer] section."""
    running: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="pgbouncer-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)

        def start(**settings: object) -> Pool:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = int(probe.getsockname()[1])
            pool = Pool(port, role, empty_database)
            running.append(_start(folder, pool, settings))
            return pool

        yield start
        for process in running:
            process.kill()
            process.wait()


def _start(folder: Path, pool: Pool, settings: dict[str, object]) -> subprocess.Popen[bytes]:
    assert PGBOUNCER
    server = pool.database.server
    users = folder / "users"
    users.write_text(f'"{pool.role}" ""\n')
    ini = folder / f"{pool.port}.ini"
    lines = {
        "listen_addr": "127.0.0.1",
        "listen_port": pool.port,
        "unix_socket_dir": "",
        "auth_type": "trust",
        "auth_file": users,
        **settings,
    }
    ini.write_text(
        f"[databases]\n* = host={server.host} port={server.port}\n[pgbouncer]\n"
        + "".join(f"{name} = {value}\n" for name, value in lines.items())
    )
    user = os_user.server_user()  # PgBouncer refuses to run as root, too
    process = subprocess.Popen(
        [PGBOUNCER, "-q", ini],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=None if user.is_current else user.uid,
    )

    def listens() -> bool:
        assert process.poll() is None, "PgBouncer ended"
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", pool.port)).close()
            return True
        return False

    until(listens)
    return process


@pytest.fixture
def checkout(tmp_path: Path, empty_database: Database) -> Checkout:
    checkout = Checkout(tmp_path, empty_database)
    checkout.write(_0001_a="create table a (n int);", _0001_a__rollback="drop table a;")
    checkout.seed(a="insert into a select 1 where not exists (select from a);")
    return checkout


def warm(pool: Pool) -> None:
    """Make the pool open two sessions."""
    with pool.connect() as one, pool.connect() as two:
        one.execute("begin; select 1")
        two.execute("begin; select 1")


@contextmanager
def traffic(pool: Pool, clients: int) -> Iterator[None]:
    """An application that runs short transactions through the same pool."""
    finished = threading.Event()

    def work() -> None:
        with pool.connect() as connection:
            while not finished.is_set():
                connection.execute("begin; select pg_sleep(0.001); commit")

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        finished.set()
        for thread in threads:
            thread.join()


def session_of(pool: Pool) -> int:
    with closing(connect(pool.target)) as connection:
        return pooler.backend_pid(connection, pool.target)


# --- transaction mode ---------------------------------------------------------------------------


@with_pgbouncer
@one_server
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"default_pool_size": 1},
        {"server_round_robin": 1},
        {"default_pool_size": 2, "server_round_robin": 1},
    ],
    ids=str,
)
def test_a_transaction_mode_pooler_is_detected_regardless_of_its_pool(
    start: Start, settings: dict[str, object]
) -> None:
    pool = start(pool_mode="transaction", **settings)
    for sessions in range(1, 3):
        if sessions > 1 and settings.get("default_pool_size") != 1:
            warm(pool)
        with pytest.raises(UsageError, match="is a pooler in transaction mode"):
            session_of(pool)
    for clients in (1, 4):
        with traffic(pool, clients):
            for _ in range(10):
                with pytest.raises(UsageError, match="is a pooler in transaction mode"):
                    session_of(pool)
    assert _value(pool, LOCKS) == 0


def _value(pool: Pool, sql: str) -> Any:
    with pool.database.connect() as connection:
        ((value,),) = connection.execute(sql).fetchall()
    return value


@with_pgbouncer
@one_server
def test_commands_that_write_refuse_a_transaction_mode_pooler_and_leave_no_lock(
    checkout: Checkout, start: Start
) -> None:
    pool = start(pool_mode="transaction")
    name = pool.database.name
    for words in (
        ["apply"],
        ["up"],
        ["seed"],
        ["rollback"],
        ["reset", "--yes-delete", name],
        ["verify"],
    ):
        result = checkout.runner(*words, DATABASE_URL=pool.url)
        assert result.code == 64, result
        assert f"error: {pool.url} is a pooler in transaction mode" in result.err
        assert "into DIRECT_URL, which migrations use instead of DATABASE_URL" in result.err
        assert "DATABASE_URL in the environment.\nNo changes were made." in result.err
    result = checkout.yoyo("apply", DATABASE_URL=pool.url)
    assert result.code == 64
    assert "is a pooler in transaction mode" in result.err
    assert "Traceback" not in result.err
    assert checkout.value(LOCKS) == 0
    assert checkout.value("select to_regnamespace('yoyo')") is None

    result = checkout.runner("status", DATABASE_URL=pool.url)  # it only reads
    assert result.code == 2, result

    result = checkout.runner("apply", DATABASE_URL=pool.url, DIRECT_URL=pool.database.conninfo())
    assert result.code == 0, result.err
    assert "named by DIRECT_URL in the environment" in result.err
    assert checkout.applied() == ["0001_a"]
    result = checkout.runner("url", DATABASE_URL=pool.url, DIRECT_URL=pool.database.conninfo())
    assert result.out == f"{pool.url}\n"


@with_pgbouncer
@one_server
def test_a_statement_mode_pooler_is_refused_with_its_own_message(
    checkout: Checkout, start: Start
) -> None:
    result = checkout.runner("apply", DATABASE_URL=start(pool_mode="statement").url)
    assert result.code == 1
    assert "transaction blocks not allowed in statement pooling mode" in result.err
    assert "DIRECT_URL" in result.err


@with_pgbouncer
@one_server
def test_a_pooler_whose_mode_cannot_be_determined_is_refused(start: Start) -> None:
    pool = start(pool_mode="session", max_client_conn=1)
    with pytest.raises(DatabaseUnreachable, match="is a pooler, and its mode cannot be determined"):
        session_of(pool)


# --- session mode -------------------------------------------------------------------------------


@with_pgbouncer
@one_server
@pytest.mark.parametrize("size", [1, 20])
def test_a_session_mode_pooler_is_accepted(
    checkout: Checkout, start: Start, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with a pool of one session, where no second connection can be opened."""
    monkeypatch.setattr(pooler, "_TIMEOUT", 0.3)
    pool = start(pool_mode="session", default_pool_size=size)
    checkout.environ["DATABASE_URL"] = pool.url
    with checkout.migrator() as migrator:
        assert checkout.value(LOCKS) == 1
        migrator.apply(checkout.migrations())
    assert checkout.value(LOCKS) == 0
    assert checkout.applied() == ["0001_a"]


@with_pgbouncer
@one_server
def test_the_blocker_of_a_busy_table_is_named_through_a_session_mode_pooler(
    checkout: Checkout, start: Start
) -> None:
    """A pooler gives the client another backend pid than the server uses."""
    checkout.apply()
    checkout.write(_0002_b="alter table a add column b int;")
    pool = start(pool_mode="session")
    checkout.environ["DATABASE_URL"] = pool.url
    reported: list[str] = []
    with pool.database.connect(application_name="a long read") as reader:
        pid = reader.info.backend_pid
        reader.execute("select * from a")

        def report(event: Event) -> None:
            if isinstance(event, Working) and event.text.startswith("waiting"):
                reported.append(event.text)
                reader.rollback()

        with checkout.migrator(report) as migrator:
            migrator.apply(checkout.migrations()[1:])
    assert f"held by pid {pid} (a long read as " in reported[0]
    assert checkout.applied() == ["0001_a", "0002_b"]


# --- hosted poolers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "port", "instead"),
    [
        ("aws-0-eu-west-1.pooler.supabase.com", "6543", "u@aws-0-eu-west-1.pooler.supabase.com/"),
        ("db.abc.supabase.co", "6543", "u@db.abc.supabase.co/"),
        ("aws-0-eu-west-1.pooler.supabase.com", "5432", ""),
        ("db.abc.supabase.co", "5432", ""),
        ("db.example.com", "6543", ""),
        ("notsupabase.com", "6543", ""),
    ],
)
def test_supabases_pooler_is_recognized_by_host_and_port(
    host: str, port: str, instead: str
) -> None:
    parameters = {"host": host, "port": port, "user": "u", "password": "hunter2"}
    target = Target(parameters, "DATABASE_URL in .env", embedded=False)
    if not instead:
        pooler.refuse_by_name(target)
        return
    with pytest.raises(UsageError, match="is a pooler in transaction mode") as caught:
        pooler.refuse_by_name(target)
    shown = instead.replace("u@", "u:***@")
    assert f"the server's own address, postgresql://{shown}," in caught.value.hint
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_supabases_pooler_is_refused_without_connecting(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.write(_0001_a="select 1;")
    url = "postgresql://postgres.abc:x@aws-0-eu-west-1.pooler.supabase.com:6543/postgres"
    result = checkout.runner("apply", "--json", DATABASE_URL=url)
    assert result.code == 64
    assert result.document["error"]["code"] == "usage"
    assert ".pooler.supabase.com/postgres," in result.document["error"]["hint"]


def test_the_hint_for_neons_pooler_has_the_direct_address() -> None:
    host = "ep-cool-name-123-pooler.eu-central-1.aws.neon.tech"
    target = Target({"host": host}, "", embedded=False)
    direct = "postgresql://ep-cool-name-123.eu-central-1.aws.neon.tech/"
    assert direct in pooler._advice(target)
