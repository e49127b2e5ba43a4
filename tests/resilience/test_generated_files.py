"""Fed with whatever hypothesis makes up: no traceback, no wrong record, nothing half applied.

The first half holds the splitter against the server's own parser, with statements whose words are
parted by all that may stand between words. The second half writes files out of sound and broken
pieces and applies them through the command line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_harness import Desk
from conftest import Database, Server
from hypothesis import example, given, note, settings
from hypothesis import strategies as st
from psycopg import Connection, pq

from runner.errors import RunnerError
from runner.files import loader, statements

one_server = pytest.mark.parametrize("server", ["pg18"], indirect=True)
bounded = settings(max_examples=60, deadline=None, derandomize="CI" in os.environ)


@pytest.fixture(scope="module")
def one_database(server: Server) -> Iterator[Database]:
    with server.database() as database:
        yield database


# --- where statements end -------------------------------------------------------------------------

GAPS = st.sampled_from(
    [
        *(" ", "\n", "\t", "\r\n", "\f", "\r", "/**/", "/***/", "/* ; */", "/* ' */", '/* " */'),
        *("/* $$ */", "/* \\ */", "/* ( */", "/* /* ; */ ; */", "/*/**/*/", "/* -- */"),
        *("/* begin atomic */", "/* end; */", "--\n", "-- ;\n", "-- '\r", '-- "\r\n', "-- $$\n"),
        *("-- /*\n", "-- \\ (\n", "--/*;*/--\n"),
    ]
)
TEXT = st.text(";'\"$\\-/*()aeE1_ \n\rüж漢😀\u00a0", max_size=12)
TAGS = st.sampled_from(["", "a", "_", "aé", "😀", "b1"])


@st.composite
def dollar_quoted(draw: st.DrawFn) -> str:
    tag = f"${draw(TAGS)}$"
    body = draw(TEXT | st.just("do $x$ ; $x$ ;"))
    if tag in body + tag[:-1]:
        body = body.replace("$", "")
    return f"{tag}{body}{tag}"


def plain(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def escaped(text: str) -> str:
    return "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


LITERALS = st.one_of(
    TEXT.map(plain),
    TEXT.map(escaped),
    TEXT.map(lambda text: "e" + plain(text.replace("\\", "\\\\"))[:-1] + "\\''"),
    st.tuples(TEXT, TEXT).map(lambda two: f"{escaped(two[0])} \n\t{escaped(two[1])[1:]}"),
    TEXT.map(lambda text: "U&" + plain(text.replace("\\", ""))),
    dollar_quoted(),
    st.sampled_from(["B'1'", "N'\\'", "'\\'", "x'1F'", "1", "-1", "1 - -1", "2 * 3 / 4", "(1)"]),
)
NAMES = st.one_of(
    TEXT.filter(bool).map(lambda text: '"' + text.replace('"', '""') + '"'),
    st.sampled_from(["a", "e", "e$$", "a$b$", "ü", "😀$", "ends", "beginning", "_1$", "\u00a0"]),
)
SELECT = st.tuples(LITERALS, NAMES, LITERALS).map(
    lambda part: ["select", part[0], "as", part[1], ",", part[2]]
)
CASE = ("case", "when", "1", "=", "1", "then", "2", "end")
OTHERS = st.sampled_from(
    [
        ["select", *CASE],
        ["do", "$$ begin null; end; $$"],
        ["do", "$a$ begin perform $$;$$; perform 'commit;'; end; $a$", "language", "plpgsql"],
        ["create", "temp", "table", "t", "(", "n", "int", ")", ";", "drop", "table", "t"],
        [
            *("create", "temp", "table", "t", "(", "n", "int", ")", ";"),
            *("create", "rule", "r", "as", "on", "insert", "to", "t", "do", "also"),
            *("(", "select", "1", ";", "select", "';'", ")", ";", "drop", "table", "t"),
        ],
        [
            *("create", "or", "replace", "function", "pg_temp.f", "(", "n", "int", "default"),
            *("(", *CASE, ")", ")", "returns", "int", "begin", "atomic", "select", "1", ";"),
            *("select", "case", *CASE, "when", "2", "then", "3", "else", *CASE, "end", ";", "end"),
        ],
        [
            *("create", "function", "pg_temp.g", "(", ")", "returns", "int", "return", "1", ";"),
            *("drop", "function", "pg_temp.g", "(", ")"),
        ],
        [
            *("create", "procedure", "pg_temp.h", "(", ")", "language", "sql", "begin", "atomic"),
            *("select", "'end;'", ";", "end", ";", "drop", "procedure", "pg_temp.h", "(", ")"),
        ],
    ]
)


@st.composite
def sound_files(draw: st.DrawFn) -> str:
    text = draw(st.just("") | GAPS)
    for statement in draw(st.lists(SELECT | OTHERS, max_size=5)):
        for word, after in zip([*statement, ";"], [*statement[1:], ";", ""], strict=True):
            alone = {"(", ")", ",", ";"} & {word, after}
            text += word + draw((GAPS | st.just("")) if alone else GAPS)
    return text


def answers(conn: Connection[Any], *texts: str) -> list[tuple[bytes | None, bytes | None]]:
    """What the server says to each statement: its tag and its first value; nothing is kept."""
    found = []
    with conn.transaction(force_rollback=True):
        for text in texts:
            conn.pgconn.send_query(text.encode())
            while result := conn.pgconn.get_result():
                assert result.status != pq.ExecStatus.FATAL_ERROR, (text, result.error_message)
                if result.status != pq.ExecStatus.EMPTY_QUERY:
                    value = result.get_value(0, 0) if result.ntuples else None
                    found.append((result.command_status, value))
    return found


@given(text=sound_files())
@example("select E'a''b\\'; commit; '; select 1")
@example("select 'a'\n'b;'; select E'a'\n'b\\';c'; select 1")
@example("select $😀$;$😀$; select 1 as \u00a0; select 1 as a$$; select 2 as c$$")
@bounded
def test_one_by_one_statements_do_what_the_whole_text_does(
    one_database: Database, text: str
) -> None:
    found = [statement.text for statement in statements.split(text)]
    note("\n".join(map(repr, found)))
    with one_database.connect(autocommit=True) as conn:
        whole = answers(conn, text)
        assert len(found) == len(whole)
        assert answers(conn, *found) == whole


# --- what a file leaves ---------------------------------------------------------------------------

HEADERS = st.sampled_from(
    [
        *("", "", "", "\ufeff", "-- x\r\n", "-- transactional: false\n", "-- depends: 0001_a\n"),
        *("-- depends: 0009_x\n", "-- dependz: x\n", "-- Transactional: false\n", "/* x */\n"),
    ]
)
SOUND = [
    *("select ';', E'\\'';", "/* /* ; */ */", "-- it's\n", "do $$ begin perform 1; end $$;", ";"),
    *("set role pg_monitor;", "set search_path = '';", "select set_config('role', 'none', false);"),
    *("listen x;", "prepare p as select 1;", "set session authorization pg_monitor;"),
    "create function f() returns int begin atomic select 1; end;",
    "declare c cursor with hold for select 1;",
    "create temp table yoyo ();",
]
FAILING = [
    *("select oops;", "selec 1;", "select 1 / 0;", "create table a ();", "select 'ü', (;"),
    *("'", '"', "$$", "/*", "(", ")", "E'\\", "\\d\n", "\ufeff", "\u00a0", "$1", "\x1b[2J"),
    "do $$\nbegin\n  raise exception E'\\n%', repeat('x', 5000);\nend $$;",
    "set statement_timeout = 1; select pg_sleep(9);",
    "select pg_terminate_backend(pg_backend_pid());",
]
CONTROL = [
    *("commit;", "rollback;", "begin;", "end;", "abort;", "/**/commit/**/;", "start transaction;"),
    *("savepoint s;", "prepare transaction 'x';", "'commit;'", "commit and chain;"),
    "do $$ begin commit; end $$;",
    "do $$ begin rollback; perform 1 / 0; end $$;",
    "do $$ begin execute 'commit'; end $$;",
    "create procedure p() language plpgsql as $$ begin commit; end $$; call p();",
    *("copy a from stdin;\n1\n\\.\n", "copy a to stdout;", "vacuum;", "discard all;"),
    *("set client_encoding = 'latin1';", "set transaction read only;", "discard temp;"),
]
KNOWN = st.one_of(st.sampled_from(SOUND), st.sampled_from(CONTROL), st.sampled_from(FAILING))
PIECES = st.one_of(KNOWN, KNOWN, st.text(max_size=8)).map(str.encode) | st.binary(max_size=8)


@st.composite
def contents(draw: st.DrawFn, name: str) -> bytes:
    """A file that makes one table with its first statement and another with its last."""
    pieces = draw(st.lists(PIECES, max_size=3))
    body = b"\n".join([f"create table {name} ();".encode(), *pieces])
    return draw(HEADERS).encode() + body + f"\n;create table {name}_end ();".encode()


ODD_NAMES = st.sampled_from(
    ["0001_d", "0003 d", "d", "0003_d'", "0003_d.rollback", "0001_a.rollback", "0009_é", "9_d"]
) | st.text(max_size=8).filter(lambda name: not set(name) & {"/", "\0"} and name.isprintable())


@st.composite
def shelves(draw: st.DrawFn) -> dict[str, bytes]:
    files = {f"{n:04}_{name}.sql": draw(contents(name)) for n, name in enumerate("ab", 1)}
    if draw(st.integers(0, 3)) == 0:
        files[draw(ODD_NAMES) + ".sql"] = draw(contents("d"))
    return files


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, one_database: Database) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"), one_database)


def shelf_of(desk: Desk) -> list[loader.Migration]:
    try:
        return loader.read(desk.folder / "sql")
    except RunnerError:
        return []


def tables_of(path: Path) -> set[str]:
    name = path.stem.rpartition("_")[2] if path.stem in ("0001_a", "0002_b") else "d"
    return {name, f"{name}_end"}


def state(desk: Desk) -> tuple[list[tuple[Any, ...]], set[str]]:
    """What is recorded, with hash and text, and which of the files' tables are there."""
    made = {name for name in desk.made() if name[0] in "abd" and name[1:] in ("", "_end")}
    recorded = "select migration_id, content_sha256, content from yoyo._yoyo_migration order by 1"
    known = desk.value("select to_regclass('yoyo._yoyo_migration') is not null")
    return desk.rows(recorded) if known else [], made


def only(piece: str) -> dict[str, bytes]:
    return {"0001_a.sql": f"create table a ();\n{piece}\n;create table a_end ();".encode()}


@one_server
@given(files=shelves())
@example(files=only("commit;"))
@example(files=only("do $$ begin commit; end $$;"))
@example(files=only("set client_encoding = 'latin1'; select 'ü';"))
@example(files=only("create temp table yoyo (); listen x; set role pg_monitor; reset role;"))
@bounded
def test_any_file_is_applied_and_recorded_whole_or_not_at_all(
    desk: Desk, files: dict[str, bytes]
) -> None:
    desk.clear()
    for name, content in files.items():
        desk.lay(f"sql/{name}", content)
    said = desk.main("apply")
    note(f"{said.code}\n{said.out}\n{said.err}")
    assert said.code in (0, 1), said
    assert "Traceback" not in said.err
    shelf = shelf_of(desk)
    recorded, made = state(desk)
    ids = [id_ for id_, *_ in recorded]
    done = [file for file in shelf if file.id in ids]
    assert recorded == [(file.id, file.sha256, file.text) for file in done]
    assert done == shelf[: len(done)]
    assert (done == shelf and bool(shelf)) is (said.code == 0)

    whole = {table for file in done for table in tables_of(file.path)}
    assert made >= whole
    outside = [file for file in shelf[len(done) :][:1] if not file.header.transactional]
    assert made - whole <= {table for file in outside for table in tables_of(file.path)}

    again = desk.main("apply")
    assert again.code == said.code
    assert state(desk)[0] == recorded
