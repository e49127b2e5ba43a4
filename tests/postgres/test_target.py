"""The database a command works on: every spelling of its address, and a password that stays in."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from checkout import Checkout
from conftest import Database, Server
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from runner import settings
from runner.errors import RunnerError, UsageError
from runner.postgres.connection import connect
from runner.postgres.target import Target, parse, resolve

MARKER = "Sw0rdf1sh"
FULL = {"host": "h", "port": "5433", "user": "u", "password": "p", "dbname": "db"}


def target(url: str | None = None, **environ: str) -> Target:
    return resolve(settings.load(database_url=url, environ=environ))


# --- spellings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scheme",
    [
        "postgres",
        "postgresql",
        "postgresql+psycopg",
        "postgresql+psycopg2",
        "runner",
        "PostgreSQL",
        "psql",
    ],
)
def test_every_common_scheme_means_postgresql(scheme: str) -> None:
    """yoyo: postgresql:// means psycopg2; only postgresql+psycopg:// means psycopg 3."""
    assert parse(f"{scheme}://u:p@h:5433/db") == FULL


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("host=h port=5433 user=u password=p dbname=db", FULL),
        (" postgresql://u:p@h:5433/db\n", FULL),
        ("postgresql://h/db?sslmode=require", {"host": "h", "dbname": "db", "sslmode": "require"}),
        ("postgresql:///db?host=/run/a%20b", {"host": "/run/a b", "dbname": "db"}),
        ("postgresql://%2Frun%2Fsock/db", {"host": "/run/sock", "dbname": "db"}),
        ("postgresql://u:p@h:5433/db?pgbouncer=true", FULL),
        ("postgresql://u:p@h:5433/db?connection_limit=1&pgbouncer=true", FULL),
        (
            "postgresql://h/db?pgbouncer=true&sslmode=require&pool_timeout=3",
            {"host": "h", "dbname": "db", "sslmode": "require"},
        ),
        (
            "postgresql://u:p?pgbouncer=x@h/d",
            {"user": "u", "password": "p?pgbouncer=x", "host": "h", "dbname": "d"},
        ),
        ("postgresql://u@[::1]:5433/", {"host": "::1", "port": "5433", "user": "u"}),
        (
            "postgresql://u%40x:p%40%3A%2F%25@/d%C3%BC",
            {"user": "u@x", "password": "p@:/%", "dbname": "dü"},
        ),
        ("postgresql://u:p#?$&=@h", {"user": "u", "password": "p#?$&=", "host": "h"}),
        ("postgresql://?host=/run&user=u@x", {"host": "/run", "user": "u@x"}),
        ("postgresql://a:1,b:2/db", {"host": "a,b", "port": "1,2", "dbname": "db"}),
        ("postgresql://", {}),
        ("", {}),
    ],
)
def test_an_address_is_understood_as_libpq_understands_it(
    url: str, expected: dict[str, str]
) -> None:
    assert parse(url) == expected


def test_what_the_url_leaves_out_comes_from_the_variables_of_libpq() -> None:
    found = target("postgresql://h/db", PGUSER="u", PGPASSWORD="p", PGPORT="5433", PGHOST="other")
    assert found.parameters == FULL


def test_the_variables_of_libpq_alone_are_enough() -> None:
    found = target(PGHOST="h", PGDATABASE="db", PGUSER="u", PGPASSWORD="p", PGPORT="5433")
    assert found.parameters == FULL
    assert found.source == "libpq's PG* variables"


@pytest.fixture
def services(tmp_path: Path) -> str:
    path = tmp_path / "services"
    path.write_text(
        "# ours\n[other]\nhost=o\n\n[prod]\nhost = far.example\nuser=u\n#port=1\ndbname=db\n"
        "password=p\n[last]\nport=2\n"
    )
    return str(path)


def test_a_service_is_resolved_so_that_its_host_is_known(services: str) -> None:
    for found in (
        target("postgresql://?service=prod", PGSERVICEFILE=services),
        target("service=prod", PGSERVICEFILE=services),
        target(PGSERVICE="prod", PGSERVICEFILE=services),
    ):
        assert found.parameters == {
            "host": "far.example",
            "user": "u",
            "dbname": "db",
            "password": "p",
        }
        assert found.name == "db"
        assert not found.is_local


def test_a_service_stands_between_the_url_and_the_environment(services: str) -> None:
    found = target("service=prod dbname=mine", PGSERVICEFILE=services, PGHOST="e", PGPORT="7")
    assert found.parameters["dbname"] == "mine"
    assert found.parameters["host"] == "far.example"
    assert found.parameters["port"] == "7"


def test_a_service_that_is_not_there_is_wrong_usage(services: str, tmp_path: Path) -> None:
    for file in (services, str(tmp_path / "none")):
        with pytest.raises(UsageError, match="The service 'production' is not in"):
            target("service=production", PGSERVICEFILE=file)


@pytest.mark.parametrize("form", ["url", "keywords", "variables"])
def test_each_form_reaches_the_same_database(
    form: str, empty_database: Database, tmp_path: Path
) -> None:
    parts = {key: str(value) for key, value in conninfo_to_dict(empty_database.conninfo()).items()}
    if form == "url":
        environ = {"DATABASE_URL": Target(parts, "", embedded=False).url(show_password=True)}
    elif form == "keywords":
        environ = {"DATABASE_URL": empty_database.conninfo()}
    else:
        names = {
            "host": "PGHOST",
            "port": "PGPORT",
            "user": "PGUSER",
            "dbname": "PGDATABASE",
            "password": "PGPASSWORD",
        }
        environ = {names[key]: value for key, value in parts.items()}
    found = resolve(settings.load(environ=environ))
    with closing(connect(found)) as conn:
        assert conn.info.dbname == empty_database.name
        assert conn.execute("show application_name").fetchone() == ("runner",)
        assert conn.autocommit


def test_a_file_is_sent_as_utf8_whatever_the_database_has(server: Server, tmp_path: Path) -> None:
    name = f"latin1_{os.getpid()}"
    with psycopg.connect(server.conninfo(server.maintenance), autocommit=True) as conn:
        conn.execute(
            f"create database {name} encoding latin1 template template0"
            " lc_collate 'C' lc_ctype 'C'"
            + (" locale_provider libc" if server.version >= 15 else "")
        )
        try:
            checkout = Checkout(tmp_path, Database(server, name))
            checkout.write(_0001_a="create table a as select 'Käse' as text;")
            assert checkout.runner("apply").code == 0
            assert checkout.value("select length(text) from a") == 4
        finally:
            conn.execute(f"drop database {name} with (force)")


# --- what may be said ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://u:p@h:5433/db", "postgresql://u:***@h:5433/db"),
        ("postgres://u:p@h:5432/db", "postgresql://u:***@h/db"),
        ("postgres://u@[::1]:5433/db", "postgresql://u@[::1]:5433/db"),
        ("host=/tmp/x user=u dbname=db port=5433", "postgresql://u@/db?host=/tmp/x&port=5433"),
        ("postgres://u:p@a:1,b:2/db", "postgresql://u:***@/db?host=a,b&port=1,2"),
        ("postgres://h/db?sslmode=require", "postgresql://h/db?sslmode=require"),
        ("postgres://h/db?sslpassword=p", "postgresql://h/db?sslpassword=***"),
        ("dbname='a b'", "postgresql:///a%20b"),
    ],
)
def test_the_url_that_is_shown_has_no_password(url: str, shown: str) -> None:
    assert Target(parse(url), "", embedded=False).url() == shown


words = st.text("ab@:/%?#&= '\"ü,[]", min_size=1, max_size=8)


@given(user=words, password=words, name=words)
def test_the_url_for_other_programs_says_what_was_said(user: str, password: str, name: str) -> None:
    given = {"user": user, "password": password, "host": "h", "dbname": name}
    url = Target(given, "", embedded=False).url(show_password=True)
    assert conninfo_to_dict(url) == given


@given(
    password=st.text("ab@:/%?#&= '\"\\,[]", max_size=8), before=st.sampled_from(["", "=", "@", "/"])
)
def test_no_error_and_no_name_of_a_malformed_url_repeats_the_password(
    password: str, before: str
) -> None:
    secret = f"{MARKER}{password}{MARKER}"
    for text in (
        f"postgresql://u:{before}{secret}@h/db",
        f"postgres:/u:{secret}@h/db",
        f"postgresql:u:{secret}@h/db",
        f"u:{secret}@h/db",
        f"mysql://u:{secret}@h/db",
        f"host=h password={secret} dbname=db",
        f"host=h pasword={secret}",
        f"postgresql://u:{secret}@h/db?x=y",
        f"postgresql://u:{secret}@h:port/db",
        f"postgresql://u:{secret}@[h/db",
    ):
        try:
            found = Target(parse(text), "", embedded=False)
        except UsageError as error:
            assert MARKER not in error.message + error.hint, text
        else:
            assert MARKER not in repr(found), text
            assert MARKER not in found.url(), text


@pytest.mark.parametrize("url", ["mysql://u:p@h/db", "https://example.com", "sqlite:///x"])
def test_another_kind_of_url_is_wrong_usage(url: str) -> None:
    with pytest.raises(UsageError, match="no PostgreSQL URL"):
        parse(url)


@pytest.mark.parametrize("url", ["postgresql://u:p@ss@h/db", "postgresql://u:p/ss@h/db"])
def test_a_password_that_must_be_encoded_is_told_so(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(url)
    assert "%40" in caught.value.hint


@pytest.mark.parametrize(
    ("parameters", "local"),
    [
        ({}, True),
        ({"host": "localhost"}, True),
        ({"host": "127.0.0.1"}, True),
        ({"host": "::1"}, True),
        ({"host": "/var/run/postgresql"}, True),
        ({"host": "@abstract"}, True),
        ({"host": "db.example.com"}, False),
        ({"host": "10.0.0.7"}, False),
        ({"host": "localhost,db.example.com"}, False),
        ({"host": "localhost", "hostaddr": "10.0.0.7"}, False),
        ({"host": "localhost.example.com"}, False),
    ],
)
def test_local_is_a_socket_or_the_loopback_address(parameters: dict[str, str], local: bool) -> None:
    assert Target(parameters, "", embedded=False).is_local is local


def test_the_name_is_the_users_where_none_is_given() -> None:
    """libpq's own rule."""
    assert Target({"user": "u"}, "", embedded=False).name == "u"


def test_libpq_programs_get_the_database_in_their_environment_and_nothing_else() -> None:
    base = {"PATH": "/bin", "PGHOST": "other", "PGSSLMODE": "disable", "PGSERVICE": "s"}
    assert Target(FULL, "", embedded=False).environ(base) == {
        "PATH": "/bin",
        "PGHOST": "h",
        "PGPORT": "5433",
        "PGUSER": "u",
        "PGPASSWORD": "p",
        "PGDATABASE": "db",
    }


# --- what goes on from here ---------------------------------------------------------------------


def test_psql_gets_its_arguments_and_no_password_among_them(tmp_path: Path) -> None:
    """A stand-in for psql says how it was called; the real one is called in test_cli."""
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "psql"
    fake.write_text(
        f'#!{sys.executable}\nimport os, sys\nprint(sys.argv[1:], os.environ["PGPASSWORD"])\n'
    )
    fake.chmod(0o755)
    checkout = Checkout(tmp_path)
    said = checkout.runner(
        "psql",
        "-c",
        "select 1",
        "--",
        "-X",
        "--csv",
        DATABASE_URL=f"postgresql://u:{MARKER}@h/db",
        PATH=f"{tmp_path}/bin:{os.environ['PATH']}",
    )
    assert said.out == f"['-c', 'select 1', '-X', '--csv'] {MARKER}\n"


@pytest.mark.parametrize("name", ["PGPASSWORD", "PGUSER", "PGHOST"])
def test_bytes_that_are_no_utf8_are_told_so_and_not_repeated(name: str) -> None:
    with pytest.raises(UsageError, match="is not UTF-8") as caught:
        target("postgresql:///db", **{name: f"{MARKER}\udcff"})
    assert MARKER not in caught.value.message + caught.value.hint
    with pytest.raises(UsageError, match="cannot be understood"):
        parse(f"postgresql://u:{MARKER}%ff@h/db")


def test_every_error_of_an_address_is_ours() -> None:
    """Nothing but a RunnerError leaves this room for any text."""
    for text in ("=", "a=b", "postgresql://[", "postgresql://%zz@h", "\ud800", "host='"):
        with pytest.raises(RunnerError):
            parse(text)
