"""A password is known to nobody who did not know it: not by output, logs, pages or argument lists.

The password is three times the same word with what URLs, shells and libpq give a meaning to
between them, so that any piece of it, encoded in whatever way, still holds the word.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from checkout import PATIENCE, until
from cli_harness import Desk
from conftest import API_ROLES, Database, Server
from psycopg import sql
from psycopg.conninfo import make_conninfo

from runner.cli.main import COMMANDS

pytestmark = pytest.mark.parametrize("server", ["pg18"], indirect=True)

WORD = "Pa55m4rk"
PASSWORD = f"{WORD}'@{WORD}:%/\\ \"ü?#&{WORD}"


@pytest.fixture(scope="module")
def guarded(server: Server) -> Iterator[Database]:
    """A database for a role that has to say its password; a superuser, so that it may do all."""
    role = f"guarded_{os.getpid()}"
    with psycopg.connect(server.conninfo(server.maintenance), autocommit=True) as conn:
        ((path,),) = conn.execute("show hba_file").fetchall()
        before = Path(path).read_text()
        conn.execute(
            sql.SQL("create role {} superuser login password {}").format(
                sql.Identifier(role), sql.Literal(PASSWORD)
            )
        )
        Path(path).write_text(f"local all {role} scram-sha-256\n{before}")
        conn.execute("select pg_reload_conf()")
        try:
            with server.database() as database:
                yield database
        finally:
            Path(path).write_text(before)
            conn.execute("select pg_reload_conf()")
            conn.execute(f"drop owned by {role}")
            conn.execute(f"drop role {role}")


def addresses(database: Database) -> dict[str, dict[str, str]]:
    """The ways to name the database, and to name it wrong: variables of each."""
    role = f"guarded_{os.getpid()}"
    host, name = database.server.host, database.name
    raw, encoded, wrong = PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD + "x", safe="")
    at = f"/{name}?host={quote(host, safe='')}"
    keywords = make_conninfo(host=host, dbname=name, user=role, password=raw)
    return {
        "a URL": {"DATABASE_URL": f"postgresql+psycopg2://{role}:{encoded}@{at}"},
        "keywords": {"DATABASE_URL": keywords},
        "DIRECT_URL": {"DIRECT_URL": keywords, "DATABASE_URL": f"postgresql://u:{encoded}@h/db"},
        "variables": {"PGHOST": host, "PGUSER": role, "PGDATABASE": name, "PGPASSWORD": raw},
        "a wrong password": {"DATABASE_URL": f"postgresql://{role}:{wrong}@{at}"},
        "a host that is none": {"DATABASE_URL": f"postgresql://u:{encoded}@nowhere.invalid/db"},
        "a raw password": {"DATABASE_URL": f"postgresql://{role}:{raw}@{at}"},
        "half a keyword string": {"DATABASE_URL": f"host={host} password='{raw}"},
        "no UTF-8": {"DATABASE_URL": f"postgresql://{role}:%ff{encoded}@{at}"},
        "a parameter that is none": {"DATABASE_URL": f"postgresql://u@h/db?passw0rd={encoded}"},
        "other secrets": {
            "DATABASE_URL": f"postgresql://u@nowhere.invalid/db?sslpassword={encoded}"
            f"&scram_client_key={encoded}&scram_server_key={encoded}&passfile={encoded}"
        },
    }


FEW = ("a URL", "a wrong password", "a raw password")
RIGHT = ("a URL", "keywords", "DIRECT_URL", "variables")
ALL = tuple(addresses(Database(Server("", "", 0, "", None, "", 0), "")))
# check looks at files, on a server of its own.
TRIED = {"status": ALL, "apply": ALL, "url": ALL, "check": FEW[:1]}
# What a command needs to do its work; one that is not here runs without words.
WORDS = {
    "verify": ("--html", "proof.html", "--junit", "proof.xml", "--only", "drift"),
    "check": ("--file", "0001_a"),
    "types": ("--out", "rows.py"),
    "report": ("--out", "report"),
    "new": ("add_b",),
    "rollback": ("--steps", "9"),
    "reset": ("--yes", "--yes-delete", "?"),
}


@pytest.fixture
def desk(tmp_path: Path, guarded: Database) -> Desk:
    desk = Desk(tmp_path, guarded)
    desk.clear()
    del desk.environ["DATABASE_URL"]
    desk.lay("sql/0001_a.sql", "create table a (n int);")
    desk.lay("sql/0001_a.rollback.sql", "drop table a;")
    desk.lay("seeds/a.sql", "select 1;")
    return desk


def assert_kept(desk: Desk, *texts: str) -> None:
    """The password is in no text, and in no file of the folder but the one that was given it."""
    for text in texts:
        assert WORD not in text, text
    for path in desk.folder.rglob("*"):
        if path.is_file() and path.name != ".env":
            assert WORD.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("command", "address"),
    [
        (command, address)
        for command in COMMANDS
        if command not in ("psql", "studio")  # one prints for itself, one goes on: see below
        for address in TRIED.get(command, FEW)
    ],
)
def test_no_command_tells_the_password(desk: Desk, command: str, address: str) -> None:
    assert desk.database
    desk.environ |= addresses(desk.database)[address]
    words = [desk.database.name if word == "?" else word for word in WORDS.get(command, ())]
    for flag in ("-v", "--json"):
        said = desk.main(command, flag, *words)
        assert "Traceback" not in said.err
        assert_kept(desk, said.out, said.err)
    if command in ("status", "apply", "seed"):
        assert (said.code in (0, 2)) is (address in RIGHT), said
    if command == "url" and address in RIGHT:
        assert WORD in desk.main("url", "--show-password").out


def test_a_failing_file_tells_no_password_either(desk: Desk) -> None:
    assert desk.database
    desk.environ |= addresses(desk.database)["a URL"]
    desk.lay("sql/0002_b.sql", "select oops;")
    desk.lay("sql/0001_a.rollback.sql", "select oops;")
    desk.lay("seeds/a.sql", "select oops;")
    for words in (["apply"], ["rollback"], ["seed"], ["plan"], ["up"]):
        for flag in ("-v", "--json"):
            said = desk.main(*words, flag)
            assert said.code in (1, 2), said
            assert_kept(desk, said.out, said.err)
    assert "oops" in (desk.folder / ".runner" / "runs.jsonl").read_text()


def test_an_env_file_tells_no_password(desk: Desk) -> None:
    assert desk.database
    (url,) = addresses(desk.database)["a URL"].values()
    for content in (
        f"DATABASE_URL={url}\n",
        f"DATABASE_URL=\"{url}\nOTHER='{PASSWORD}\n{PASSWORD}\n",
        f"export DATABASE_URL = {PASSWORD}",
        f"{PASSWORD}=x\nRUNNER_SQL_DIR=sql",
    ):
        desk.lay(".env", content)
        said = desk.main("status", "-v")
        assert "Traceback" not in said.err
        assert_kept(desk, said.out, said.err)
    desk.lay(".env", f"DATABASE_URL={url}".encode() + b"\xff")
    said = desk.main("status")
    assert (said.code, "cannot be read" in said.err) == (64, True)
    assert_kept(desk, said.out, said.err)


def test_a_url_in_the_wrong_place_tells_no_password(desk: Desk) -> None:
    assert desk.database
    desk.environ |= addresses(desk.database)["a URL"]  # else the embedded server would be started
    url = f"postgresql://u:{quote(PASSWORD, safe='')}@h/db"
    raw = f"postgres:/u:{WORD}:{WORD}@{WORD}@h/db"
    keywords = f"host=h password={WORD} dbname=db"
    for typed in (url, raw, keywords):
        for words in (
            [typed],
            [typed, "apply"],
            ["apply", typed],
            ["apply", "--database-uri", typed],
            ["apply", f"--database-uri={typed}"],
            ["apply", "--lock-wait", typed],
            ["apply", "--to", typed],
            ["apply", "--sql-dir", typed],
            ["seed", "--seeds-dir", typed],
            ["apply", "--env-file", typed],
            ["status", "-d", f"{typed} {typed}"],
        ):
            for more in ([], ["--json"]):
                said = desk.main(*words, *more)
                assert said.code in (1, 64), said
                assert_kept(desk, said.out, said.err)
    assert "'postgresql://u:***@h/db'" in desk.main(url).err
    assert "'host=h password=*** dbname=db'" in desk.main(keywords).err


def test_a_password_in_a_file_is_not_printed_with_its_line(desk: Desk) -> None:
    assert desk.database
    desk.environ |= addresses(desk.database)["a URL"]
    text = f"create role r password '{WORD}' in role nobody_here;"
    desk.lay("sql/0002_b.sql", text)
    said = desk.main("apply")
    assert said.code == 1
    assert "at sql/0002_b.sql:1:" in said.err
    assert "  | create role r password *** in role nobody_here;\n" in said.err
    assert WORD not in said.out + said.err


def test_a_statement_of_somebody_else_is_shown_without_its_password(desk: Desk) -> None:
    """Who holds the lock is named with what they run."""
    assert desk.database
    desk.environ |= addresses(desk.database)["a URL"]
    with desk.database.connect(autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(2037348719)")
        holder.execute(f"select 'alter role r password ''{WORD}'''")
        said = desk.main("apply", "--lock-wait", "0", "-v")
        assert said.code == 3
        assert "Another run holds the lock" in said.err
        holder.execute(f"do $$ begin /* alter role r password '{WORD}' */ perform 1; end $$")
        said = desk.main("apply", "--lock-wait", "0.2", "-v")
        assert said.code == 3
        assert "waiting for the lock" in said.err
        assert WORD not in said.err


def command_lines() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="there is no /proc here")
@pytest.mark.parametrize("address", RIGHT)
def test_no_argument_list_holds_the_password(desk: Desk, address: str) -> None:
    """Every user of the machine can read those."""
    assert desk.database
    desk.environ |= addresses(desk.database)[address]
    if address == "DIRECT_URL":  # psql is the application's
        desk.environ["DATABASE_URL"] = desk.environ["DIRECT_URL"]
    desk.lay("sql/0002_b.sql", "select pg_sleep(3600);")
    sleeping = f"""
        select count(*) from pg_stat_activity
        where query like '%pg_sleep(36%' and wait_event = 'PgSleep'
            and datname = '{desk.database.name}'
        """
    for words in (["apply"], ["psql", "--", "-XAtc", "select pg_sleep(3601)"]):
        with desk.start_runner(*words) as process:
            try:
                until(lambda: desk.value(sleeping) == 1)
                lines = command_lines()
                assert any("pg_sleep(3601)" in line or "runner apply" in line for line in lines)
                assert not [line for line in lines if WORD in line]
            finally:
                desk.do(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where query like '%pg_sleep(36%' and pid <> pg_backend_pid()"
                )
                out, err = process.communicate(timeout=PATIENCE)
        assert WORD not in out + err


FORCED = """
import sys, traceback
import runner.migrate.migrator
from runner.cli.main import main

def broken(self):
    raise ZeroDivisionError("a mistake of ours")

runner.migrate.migrator.Ledger.records = broken
try:
    main(["apply", "-v"])
except ZeroDivisionError as error:
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    sys.stderr.write("".join(told.format()))
    raise
"""


@pytest.mark.parametrize("address", RIGHT)
def test_a_traceback_with_all_its_variables_tells_no_password(desk: Desk, address: str) -> None:
    """Should there ever be one, and somebody's error tracker sees it."""
    assert desk.database
    desk.environ |= addresses(desk.database)[address]
    said = desk.run(sys.executable, "-W", "error", "-c", FORCED)
    assert said.code == 1
    assert said.err.count("ZeroDivisionError: a mistake of ours") == 2
    assert "where = " in said.err
    assert_kept(desk, said.out, said.err)


# --- what the runner makes ------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_what_is_kept_in_the_folder_is_private_whatever_the_umask(desk: Desk, umask: int) -> None:
    assert desk.database
    desk.environ |= addresses(desk.database)["a URL"]
    before = os.umask(umask)
    try:
        assert desk.main("apply").code == 0
        assert desk.main("seed", "--log", "logs/mine.jsonl").code == 0
    finally:
        os.umask(before)
    for name, mode in {
        ".runner": 0o700,
        ".runner/runs.jsonl": 0o600,
        "logs": 0o700,
        "logs/mine.jsonl": 0o600,
    }.items():
        assert stat.S_IMODE((desk.folder / name).stat().st_mode) == mode, name


OPEN = """
    select 'schema ' || n.nspname, r.rolname, p.privilege
    from pg_namespace as n, roles as r, unnest(array['USAGE', 'CREATE']) as p (privilege)
    where n.nspname = 'yoyo' and has_schema_privilege(r.rolname, n.oid, p.privilege)
    union all
    select c.oid::regclass::text, r.rolname, p.privilege
    from pg_class as c, roles as r,
        unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
            as p (privilege)
    where
        c.relnamespace = 'yoyo'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
        and (
            has_table_privilege(r.rolname, c.oid, p.privilege)
            or p.privilege in ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
            and has_any_column_privilege(r.rolname, c.oid, p.privilege)
        )
    union all
    select c.oid::regclass::text, r.rolname, p.privilege
    from pg_class as c, roles as r, unnest(array['SELECT', 'USAGE', 'UPDATE']) as p (privilege)
    where
        c.relnamespace = 'yoyo'::regnamespace and c.relkind = 'S'
        and has_sequence_privilege(r.rolname, c.oid, p.privilege)
    union all
    select f.oid::regprocedure::text, r.rolname, 'EXECUTE'
    from pg_proc as f, roles as r
    where
        f.pronamespace = 'yoyo'::regnamespace
        and has_function_privilege(r.rolname, f.oid, 'EXECUTE')
    """


def test_nothing_of_the_ledger_is_open_to_the_roles_of_the_api(
    guarded: Database, tmp_path: Path
) -> None:
    """Made where Supabase's default privileges open whatever is new, and by a role's own, too."""
    desk = Desk(tmp_path, guarded)
    desk.clear()
    for role in API_ROLES:
        desk.do(
            f"do $$ begin if to_regrole('{role}') is null then create role {role}; end if; end $$"
        )
    everybody = ", ".join((*API_ROLES, "public"))
    for what in ("tables", "sequences", "schemas", "functions", "types"):
        desk.do(f"alter default privileges grant all on {what} to {everybody}")
    try:
        desk.lay("sql/0001_a.sql", "create table a (n int);\n")
        desk.lay("sql/0002_b.sql", "-- transactional: false\nselect 1;\nselect oops;")
        desk.lay("seeds/a.sql", "insert into a values (1);")
        assert desk.main("apply").code == 1
        assert desk.main("seed").code == 0
        assert desk.main("status").code == 2
        assert desk.rows("select * from yoyo.progress") != []
        with guarded.connect() as conn:
            conn.execute(
                "create temp table roles as select unnest(%s::text[]) as rolname", [list(API_ROLES)]
            )
            assert conn.execute(OPEN).fetchall() == []
            for role in API_ROLES:
                with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
                    conn.execute(f"set local role {role}")
                    conn.execute("select content from yoyo._yoyo_migration")
    finally:
        for what in ("tables", "sequences", "schemas"):
            desk.do(f"alter default privileges revoke all on {what} from {everybody}")
