"""The target database: every spelling of its URL, and a password that is never shown."""

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
def test_url_is_parsed_like_libpq(url: str, expected: dict[str, str]) -> None:
    assert parse(url) == expected


def test_libpq_variables_fill_in_missing_parts_of_the_url() -> None:
    found = target("postgresql://h/db", PGUSER="u", PGPASSWORD="p", PGPORT="5433", PGHOST="other")
    assert found.parameters == FULL


def test_libpq_variables_alone_are_enough() -> None:
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


def test_service_is_resolved_to_its_host(services: str) -> None:
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


def test_service_ranks_between_url_and_environment(services: str) -> None:
    found = target("service=prod dbname=mine", PGSERVICEFILE=services, PGHOST="e", PGPORT="7")
    assert found.parameters["dbname"] == "mine"
    assert found.parameters["host"] == "far.example"
    assert found.parameters["port"] == "7"


def test_unknown_service_is_a_usage_error(services: str, tmp_path: Path) -> None:
    for file in (services, str(tmp_path / "none")):
        with pytest.raises(UsageError, match="The service 'production' is not in"):
            target("service=production", PGSERVICEFILE=file)


@pytest.mark.parametrize("form", ["url", "keywords", "variables"])
def test_every_form_connects_to_the_same_database(
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


def test_files_are_sent_as_utf8_to_any_database_encoding(server: Server, tmp_path: Path) -> None:
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


# --- display and errors -------------------------------------------------------------------------


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
def test_displayed_url_masks_the_password(url: str, shown: str) -> None:
    assert Target(parse(url), "", embedded=False).url() == shown


words = st.text("ab@:/%?#&= '\"ü,[]", min_size=1, max_size=8)


@given(user=words, password=words, name=words)
def test_url_with_password_round_trips(user: str, password: str, name: str) -> None:
    given = {"user": user, "password": password, "host": "h", "dbname": name}
    url = Target(given, "", embedded=False).url(show_password=True)
    assert conninfo_to_dict(url) == given


@given(
    password=st.text("ab@:/%?#&= '\"\\,[]", max_size=8), before=st.sampled_from(["", "=", "@", "/"])
)
def test_malformed_url_never_reveals_the_password(password: str, before: str) -> None:
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
def test_url_of_another_database_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError, match="Not a PostgreSQL URL"):
        parse(url)


@pytest.mark.parametrize("url", ["postgresql://u:p@ss@h/db", "postgresql://u:p/ss@h/db"])
def test_unencoded_password_yields_a_hint(url: str) -> None:
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
def test_only_sockets_and_loopback_are_local(parameters: dict[str, str], local: bool) -> None:
    assert Target(parameters, "", embedded=False).is_local is local


def test_database_name_defaults_to_user_name() -> None:
    """libpq's own rule."""
    assert Target({"user": "u"}, "", embedded=False).name == "u"


def test_environ_for_libpq_programs_replaces_all_pg_variables() -> None:
    base = {"PATH": "/bin", "PGHOST": "other", "PGSSLMODE": "disable", "PGSERVICE": "s"}
    assert Target(FULL, "", embedded=False).environ(base) == {
        "PATH": "/bin",
        "PGHOST": "h",
        "PGPORT": "5433",
        "PGUSER": "u",
        "PGPASSWORD": "p",
        "PGDATABASE": "db",
    }


# --- psql and invalid values --------------------------------------------------------------------


def test_psql_arguments_do_not_contain_the_password(tmp_path: Path) -> None:
    """A stand-in for psql prints how it was called; tests/cli/test_main.py runs the real one."""
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "psql"
    fake.write_text(
        f'#!{sys.executable}\nimport os, sys\nprint(sys.argv[1:], os.environ["PGPASSWORD"])\n'
    )
    fake.chmod(0o755)
    checkout = Checkout(tmp_path)
    result = checkout.runner(
        "psql",
        "-c",
        "select 1",
        "--",
        "-X",
        "--csv",
        DATABASE_URL=f"postgresql://u:{MARKER}@h/db",
        PATH=f"{tmp_path}/bin:{os.environ['PATH']}",
    )
    assert result.out == f"['-c', 'select 1', '-X', '--csv'] {MARKER}\n"


@pytest.mark.parametrize("name", ["PGPASSWORD", "PGUSER", "PGHOST"])
def test_invalid_utf8_is_reported_and_not_shown(name: str) -> None:
    with pytest.raises(UsageError, match="is not UTF-8") as caught:
        target("postgresql:///db", **{name: f"{MARKER}\udcff"})
    assert MARKER not in caught.value.message + caught.value.hint
    with pytest.raises(UsageError, match="cannot be understood"):
        parse(f"postgresql://u:{MARKER}%ff@h/db")


def test_an_invalid_url_names_the_setting_that_it_came_from() -> None:
    with pytest.raises(UsageError) as caught:
        target(DATABASE_URL="postgres//host/db")
    assert "The address came from DATABASE_URL in the environment." in caught.value.hint
    with pytest.raises(UsageError) as caught:
        target("mysql://host/db", DATABASE_URL="postgresql://host/db")
    assert "The address came from --database-url." in caught.value.hint


def test_any_invalid_url_raises_a_runner_error() -> None:
    """`parse` raises nothing but a RunnerError, whatever the text."""
    for text in ("=", "a=b", "postgresql://[", "postgresql://%zz@h", "\ud800", "host='"):
        with pytest.raises(RunnerError):
            parse(text)
