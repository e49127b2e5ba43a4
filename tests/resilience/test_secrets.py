"""The password never appears in output, logs, pages or argument lists.

It is the same word three times, separated by characters with a meaning in URLs, shells and libpq,
so that every part of it contains the word in any encoding.
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
from checkout import TIMEOUT, until
from cli_harness import CliHarness
from conftest import API_ROLES, Database, Server, one_server
from psycopg import sql
from psycopg.conninfo import make_conninfo

from runner.cli.commands import NAMES

pytestmark = one_server

WORD = "Pa55m4rk"
PASSWORD = f"{WORD}'@{WORD}:%/\\ \"ü?#&{WORD}"


@pytest.fixture(scope="module")
def guarded(server: Server) -> Iterator[Database]:
    """A database for a role that must give its password; a superuser, so that all commands work."""
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
    """Return environment variables that name the database, correctly and incorrectly."""
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
        "an unknown host": {"DATABASE_URL": f"postgresql://u:{encoded}@nowhere.invalid/db"},
        "a raw password": {"DATABASE_URL": f"postgresql://{role}:{raw}@{at}"},
        "half a keyword string": {"DATABASE_URL": f"host={host} password='{raw}"},
        "not UTF-8": {"DATABASE_URL": f"postgresql://{role}:%ff{encoded}@{at}"},
        "an unknown parameter": {"DATABASE_URL": f"postgresql://u@h/db?passw0rd={encoded}"},
        "other secrets": {
            "DATABASE_URL": f"postgresql://u@nowhere.invalid/db?sslpassword={encoded}"
            f"&scram_client_key={encoded}&scram_server_key={encoded}&passfile={encoded}"
        },
    }


FEW = ("a URL", "a wrong password", "a raw password")
CORRECT = ("a URL", "keywords", "DIRECT_URL", "variables")
ALL = tuple(addresses(Database(Server("", "", 0, "", None, "", 0), "")))
# check reads only the files and uses its own server.
ADDRESSES_OF = {"status": ALL, "apply": ALL, "url": ALL, "check": FEW[:1]}
# The arguments of each command; a command that is not listed is run without any.
WORDS = {
    "verify": (
        *("--html", "a.html", "--junit", "a.xml", "--sarif", "a.sarif"),
        *("--only", "drift"),
    ),
    "check": ("--file", "0001_a"),
    "types": ("--out", "rows.py"),
    "report": ("--out", "report"),
    "new": ("add_b",),
    "rollback": ("--steps", "9"),
    "reset": ("--yes", "--yes-delete", "?"),
}


@pytest.fixture
def cli(tmp_path: Path, guarded: Database) -> CliHarness:
    cli = CliHarness(tmp_path, guarded)
    cli.clear()
    del cli.environ["DATABASE_URL"]
    cli.write_raw("sql/0001_a.sql", "create table a (n int);")
    cli.write_raw("sql/0001_a.rollback.sql", "drop table a;")
    cli.write_raw("seeds/a.sql", "select 1;")
    return cli


def assert_not_leaked(cli: CliHarness, *texts: str) -> None:
    """The password is in no text, and in no file of the folder except .env, which contains it."""
    for text in texts:
        assert WORD not in text, text
    for path in cli.folder.rglob("*"):
        if path.is_file() and path.name != ".env":
            assert WORD.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("command", "address"),
    [
        (command, address)
        for command in NAMES
        if command
        not in ("psql", "studio")  # one is replaced by psql, one keeps running: see below
        for address in ADDRESSES_OF.get(command, FEW)
    ],
)
def test_no_command_prints_the_password(cli: CliHarness, command: str, address: str) -> None:
    assert cli.database
    cli.environ |= addresses(cli.database)[address]
    words = [cli.database.name if word == "?" else word for word in WORDS.get(command, ())]
    for flag in ("-v", "--json"):
        result = cli.main(command, flag, *words)
        assert "Traceback" not in result.err
        assert_not_leaked(cli, result.out, result.err)
    if command in ("status", "apply", "seed"):
        assert (result.code in (0, 2)) is (address in CORRECT), result
    if command == "url" and address in CORRECT:
        assert WORD in cli.main("url", "--show-password").out


def test_a_failing_file_does_not_reveal_the_password(cli: CliHarness) -> None:
    assert cli.database
    cli.environ |= addresses(cli.database)["a URL"]
    cli.write_raw("sql/0002_b.sql", "select oops;")
    cli.write_raw("sql/0001_a.rollback.sql", "select oops;")
    cli.write_raw("seeds/a.sql", "select oops;")
    for words in (["apply"], ["rollback"], ["seed"], ["plan"], ["up"]):
        for flag in ("-v", "--json"):
            result = cli.main(*words, flag)
            assert result.code in (1, 2), result
            assert_not_leaked(cli, result.out, result.err)
    assert "oops" in (cli.folder / ".runner" / "runs.jsonl").read_text()


def test_an_env_file_does_not_reveal_the_password(cli: CliHarness) -> None:
    assert cli.database
    (url,) = addresses(cli.database)["a URL"].values()
    for content in (
        f"DATABASE_URL={url}\n",
        f"DATABASE_URL=\"{url}\nOTHER='{PASSWORD}\n{PASSWORD}\n",
        f"export DATABASE_URL = {PASSWORD}",
        f"{PASSWORD}=x\nRUNNER_SQL_DIR=sql",
    ):
        cli.write_raw(".env", content)
        result = cli.main("status", "-v")
        assert "Traceback" not in result.err
        assert_not_leaked(cli, result.out, result.err)
    cli.write_raw(".env", f"DATABASE_URL={url}".encode() + b"\xff")
    result = cli.main("status")
    assert (result.code, "cannot be read" in result.err) == (64, True)
    assert_not_leaked(cli, result.out, result.err)


def test_a_url_in_the_wrong_argument_does_not_reveal_the_password(cli: CliHarness) -> None:
    assert cli.database
    cli.environ |= addresses(cli.database)["a URL"]  # else the embedded server would be started
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
                result = cli.main(*words, *more)
                assert result.code in (1, 64), result
                assert_not_leaked(cli, result.out, result.err)
    assert "'postgresql://u:***@h/db'" in cli.main(url).err
    assert "'host=h password=*** dbname=db'" in cli.main(keywords).err


def test_a_password_in_a_file_is_masked_in_the_printed_line(cli: CliHarness) -> None:
    assert cli.database
    cli.environ |= addresses(cli.database)["a URL"]
    text = f"create role r password '{WORD}' in role no_such_role;"
    cli.write_raw("sql/0002_b.sql", text)
    result = cli.main("apply")
    assert result.code == 1
    assert "at sql/0002_b.sql:1:" in result.err
    assert "  | create role r password *** in role no_such_role;\n" in result.err
    assert WORD not in result.out + result.err
    cli.write_raw("sql/0002_b.sql", f"create role r password\n    '{WORD}' no_such_option;")
    result = cli.main("apply")
    assert "at sql/0002_b.sql:2:" in result.err
    assert "  |     *** no_such_option;\n" in result.err
    assert WORD not in result.out + result.err


def test_a_password_in_a_statement_of_another_session_is_masked(cli: CliHarness) -> None:
    """The holder of the lock is shown with its current statement."""
    assert cli.database
    cli.environ |= addresses(cli.database)["a URL"]
    with cli.database.connect(autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(2037348719)")
        holder.execute(f"select 'alter role r password ''{WORD}'''")
        result = cli.main("apply", "--lock-wait", "0", "-v")
        assert result.code == 3
        assert "Another run holds the lock" in result.err
        holder.execute(f"do $$ begin /* alter role r password '{WORD}' */ perform 1; end $$")
        result = cli.main("apply", "--lock-wait", "0.2", "-v")
        assert result.code == 3
        assert "waiting for the lock" in result.err
        assert WORD not in result.err


def command_lines() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="there is no /proc here")
@pytest.mark.parametrize("address", CORRECT)
def test_no_argument_list_contains_the_password(cli: CliHarness, address: str) -> None:
    """Every user of the machine can read argument lists."""
    assert cli.database
    cli.environ |= addresses(cli.database)[address]
    if address == "DIRECT_URL":  # psql does not use DIRECT_URL
        cli.environ["DATABASE_URL"] = cli.environ["DIRECT_URL"]
    cli.write_raw("sql/0002_b.sql", "select pg_sleep(3600);")
    sleeping = f"""
        select count(*) from pg_stat_activity
        where query like '%pg_sleep(36%' and wait_event = 'PgSleep'
            and datname = '{cli.database.name}'
        """
    for words in (["apply"], ["psql", "--", "-XAtc", "select pg_sleep(3601)"]):
        with cli.start_runner(*words) as process:
            try:
                until(lambda: cli.value(sleeping) == 1)
                lines = command_lines()
                assert any("pg_sleep(3601)" in line or "runner apply" in line for line in lines)
                assert not [line for line in lines if WORD in line]
            finally:
                cli.do(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where query like '%pg_sleep(36%' and pid <> pg_backend_pid()"
                )
                out, err = process.communicate(timeout=TIMEOUT)
        assert WORD not in out + err


FAILING_PROGRAM = """
import sys, traceback
import runner.migrate.migrator
from runner.cli.main import main

def broken(self):
    raise ZeroDivisionError("a mistake of ours")

runner.migrate.migrator.Migrator.records = broken
try:
    main(["apply", "-v"])
except ZeroDivisionError as error:
    details = traceback.TracebackException.from_exception(error, capture_locals=True)
    sys.stderr.write("".join(details.format()))
    raise
"""


@pytest.mark.parametrize("address", CORRECT)
def test_a_traceback_with_local_variables_does_not_reveal_the_password(
    cli: CliHarness, address: str
) -> None:
    """An error tracker may record the local variables of an unexpected error."""
    assert cli.database
    cli.environ |= addresses(cli.database)[address]
    result = cli.run(sys.executable, "-W", "error", "-c", FAILING_PROGRAM)
    assert result.code == 1
    assert result.err.count("ZeroDivisionError: a mistake of ours") == 2
    assert "context = " in result.err
    assert_not_leaked(cli, result.out, result.err)


# --- files and objects that the runner creates ----------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_of_the_runner_are_private_regardless_of_the_umask(
    cli: CliHarness, umask: int
) -> None:
    assert cli.database
    cli.environ |= addresses(cli.database)["a URL"]
    before = os.umask(umask)
    try:
        assert cli.main("apply").code == 0
        assert cli.main("seed", "--log", "logs/mine.jsonl").code == 0
    finally:
        os.umask(before)
    for name, mode in {
        ".runner": 0o700,
        ".runner/runs.jsonl": 0o600,
        "logs": 0o700,
        "logs/mine.jsonl": 0o600,
    }.items():
        assert stat.S_IMODE((cli.folder / name).stat().st_mode) == mode, name


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


def test_the_api_roles_have_no_privileges_on_the_migration_tables(
    guarded: Database, tmp_path: Path
) -> None:
    """Even where default privileges, such as Supabase's, grant access to new objects."""
    cli = CliHarness(tmp_path, guarded)
    cli.clear()
    for role in API_ROLES:
        cli.do(
            f"do $$ begin if to_regrole('{role}') is null then create role {role}; end if; end $$"
        )
    grantees = ", ".join((*API_ROLES, "public"))
    for what in ("tables", "sequences", "schemas", "functions", "types"):
        cli.do(f"alter default privileges grant all on {what} to {grantees}")
    try:
        cli.write_raw("sql/0001_a.sql", "create table a (n int);\n")
        cli.write_raw("sql/0002_b.sql", "-- transactional: false\nselect 1;\nselect oops;")
        cli.write_raw("seeds/a.sql", "insert into a values (1);")
        assert cli.main("apply").code == 1
        assert cli.main("seed").code == 0
        assert cli.main("status").code == 2
        assert cli.rows("select * from yoyo.progress") != []
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
            cli.do(f"alter default privileges revoke all on {what} from {grantees}")
