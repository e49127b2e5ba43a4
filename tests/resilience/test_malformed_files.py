"""Fed with rubbish: whatever lies in sql/, words come out, and nothing of it stays half done.

A file NNNN_x.sql makes the table x, so that what is recorded and what is there can be compared.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from checkout import Said
from cli_harness import Desk
from conftest import Database, Server

from runner.files import sql_file

one_server = pytest.mark.parametrize("server", ["pg18"], indirect=True)

Content = str | bytes | Callable[[Path], object]
A = "create table a (n int);\n"
B = "create table b ();\n"
OUTSIDE = "-- transactional: false\n"
OUTSIDE_IT = "put `-- transactional: false` into the header"
NOTHING = "Nothing was run."
KEPT = "0001_a stays applied. Nothing of 0002_b was kept."


@dataclass(frozen=True)
class Case:
    """Files, and what a run says and leaves behind."""

    files: dict[str, Content]
    says: tuple[str, ...]
    code: int = 1
    at: str = ""  # file:line:column
    points_at: str = ""  # what stands there in the file
    kept: tuple[str, ...] = ()  # the ids that are recorded
    made: tuple[str, ...] | None = None  # what is there; by default a table for each id
    words: tuple[str, ...] = ("apply",)
    before: tuple[str, ...] = ()  # a command that goes before


def lie(files: dict[str, Content], *says: str, at: str = "", points_at: str = "") -> Case:
    """Files that no run begins with."""
    return Case({"0001_a.sql": A, **files}, says, at=at, points_at=points_at)


def refused(content: Content, *says: str, at: str = "", points_at: str = "") -> Case:
    """A second file of which nothing is run, nor of the first."""
    place = f"sql/0002_b.sql:{at}" if at else ""
    case = lie({"0002_b.sql": content}, *says, at=place, points_at=points_at)
    return replace(case, says=(*says, "Nothing"))


def failed(content: str, *says: str, at: str, points_at: str = "") -> Case:
    """A second file that PostgreSQL refuses."""
    case = refused(content, *says, at=at, points_at=points_at)
    return replace(case, says=(*says, KEPT), kept=("0001_a",))


def applied(content: str, *says: str, made: tuple[str, ...] | None = None) -> Case:
    """A second file that looks like rubbish and is none."""
    return replace(refused(content), says=says, code=0, kept=("0001_a", "0002_b"), made=made)


CASES = {
    # --- bytes
    "a byte order mark": applied("\ufeff-- 0002_b\n" + B),
    "two byte order marks": failed(
        "\ufeff\ufeff" + B, "is in the way: U+FEFF ZERO WIDTH NO-BREAK SPACE", at="1:1"
    ),
    "a byte order mark between two joined files": failed(
        B + "\ufeffselect 1;", "U+FEFF", at="2:1", points_at="\ufeffselect"
    ),
    "a no-break space": failed(
        B + "select\u00a01;", "is in the way: U+00A0 NO-BREAK SPACE", at="2:1", points_at="select"
    ),
    "a character of no width": failed(B + "select \u200bn from a;", "U+200B", at="2:8"),
    "a DOS end-of-file mark": failed(B + "\x1a", "U+001A", "␚", at="2:1"),
    "UTF-16": refused(B.encode("utf-16"), "is not UTF-8: byte 0xff", "looks like UTF-16"),
    "UTF-16 without a mark": refused(B.encode("utf-16-le"), "holds a NUL", at="1:2"),
    "Latin-1": refused(
        (B + "select 'café';").encode("latin-1"), "is not UTF-8: byte 0xe9", at="2:12"
    ),
    "a character cut off": refused(
        (B + "\tselect 'ü€").encode()[:-1], "is not UTF-8: byte 0xe2", at="2:11"
    ),
    "Latin-1 with CR": refused(b"select 1;\rselect '\xe9'", "byte 0xe9", at="2:9"),
    "a NUL": refused(B + "select 'ü\0';", "holds a NUL character", at="2:10"),
    "CRLF": failed("select 1,\r\n  oops;\r\n", '"oops" does not exist', at="2:3", points_at="oops"),
    "CR": failed("-- x\r-- depends: 0001_a\rselect 1;\rselect oops;\r", "oops", at="4:8"),
    "CR that ends a comment": applied("-- x\rcreate table b ();\r"),
    "no final newline": applied("create table b ()"),
    "nothing": applied("", made=("a",)),
    "white space": applied(" \n\t\r\n\f", made=("a",)),
    "semicolons": applied(";; ;\n;", made=("a",)),
    "comments": applied("-- one\n/* two /* three; */ */ -- four", made=("a",)),
    "a header alone": applied("-- 0002_b\n-- transactional: false", made=("a",)),
    # --- what does not end, and where an error is
    "an open comment": failed(
        B + "/* a\nselect 1;", 'unterminated /* comment at or near "/* a…"', at="2:1"
    ),
    "an open nested comment": failed("/* /* */ " + B, "unterminated /* comment", at="1:1"),
    "an open comment outside a transaction": replace(
        failed(OUTSIDE + "select 1;\n/* a\n" + B, "unterminated /* comment", at="3:1"),
        says=("unterminated /* comment", "Its first statement is done and stays."),
    ),
    "statements without a word outside a transaction": applied(
        OUTSIDE + B + "(select 1);\n((values (1)) order by 1);"
    ),
    "an open string": failed(
        B + "select 'a\n;select 1;", 'unterminated quoted string at or near "\'a…"', at="2:8"
    ),
    "an open name": failed(B + 'select "a;', "unterminated quoted identifier", at="2:8"),
    "an open dollar quote": failed(
        B + "do $a$ begin null; end $$;", "unterminated dollar-quoted string", at="2:4"
    ),
    "an open parenthesis": failed(B + "select (1;\n" + B, 'at or near ";"', at="2:10"),
    "a parenthesis too many": failed(B + "select 1);", 'at or near ")"', at="2:9"),
    "an empty name": failed(B + 'select "";', "zero-length delimited identifier", at="2:8"),
    "a parameter": failed(B + "select $1;", "there is no parameter $1", at="2:8"),
    "characters of many bytes": failed(
        "select 'äöü漢字😀', 'e\u0301', oops;", "oops", at="1:24", points_at="oops"
    ),
    "a tab": failed("\tselect\t'x',\toops;", "oops", at="1:14", points_at="oops"),
    "the thousandth line": failed("select 1;\n" * 999 + "select oops;", "oops", at="1000:8"),
    "the end of a long line": failed(
        B + "select " + "'xxxxxxxxxx', " * 400 + "oops;", "…xxx", at="2:5608", points_at="oops"
    ),
    "an error without a place": failed(
        B + "-- twice\ninsert into a values (1);\n  insert into a values (1 / 0);",
        "division by zero",
        at="4:3",
    ),
    "a line of a block": failed(
        B + "do $$\ndeclare n int;\nbegin\n\n\t  execute 'select oops';\nend $$;",
        'context: SQL statement "select oops"\n    PL/pgSQL function inline_code_block line 5',
        at="6:4",
        points_at="execute",
    ),
    "a block in a block": failed(
        "do $a$\nbegin\n  execute $b$do $c$\nbegin\n\n\nperform 1 / 0; end $c$ $b$;\nend $a$;",
        "division by zero",
        at="3:3",
        points_at="execute",
    ),
    "a function's own line": failed(
        B + "create function f() returns int language plpgsql as $$\nbegin\n return 1 / 0;\nend $$;"
        "\nselect f();",
        "PL/pgSQL function f() line 3",
        at="6:1",
        points_at="select f()",
    ),
    "a syntax error in a function": failed(
        B + "create function f() returns int language plpgsql as $$\nbegin\n retur 1;\nend $$;",
        'at or near "retur"',
        at="4:2",
        points_at="retur",
    ),
    "control characters": failed(
        "select 'x\x1b[2J\x1b[31m\u202e', \"\x1b]0;y\";",
        "␛[2J␛[31m\ufffd",
        '"␛]0;y" does not exist',
        at="1:23",
    ),
    # --- headers
    "an unknown directive": refused(
        "-- dependz: 0001_a\n" + B, "nobody knows: dependz", "Known are depends,", at="1:1"
    ),
    "a value that is none": refused(
        "-- x\n-- transactional: no\n" + B, "transactional is true or false, not 'no'", at="2:1"
    ),
    "a directive without a value": refused("-- independent:\n" + B, "not ''", at="1:1"),
    "a directive twice": refused(
        "-- transactional: true\n-- transactional: false\n" + B,
        "says transactional twice",
        at="2:1",
    ),
    "a directive in upper case": refused(
        "-- Transactional: false\n" + B, "is not written as one", "`-- transactional: …`", at="1:1"
    ),
    "a directive with an equals sign": refused(
        "--transactional = false\n" + B, "is not written as one", at="1:1"
    ),
    "a directive in a block comment": refused(
        "-- 0002_b\n/* transactional: false */\n" + B, "is not written as one", at="2:1"
    ),
    "a directive below the header": refused(
        B + "-- Depends: 0001_a\n", "below its header", "at the top of the file", at="2:1"
    ),
    "a comment of a function that looks like one": applied(
        B + "do $$ begin\n  -- depends: on what it is called with\nend $$;"
    ),
    "a dependency that does not exist": refused(
        "-- 0002_b\n-- depends: 0001_a 0001_b\n" + B,
        "depends on 0001_b, which does not exist",
        "Did you mean 0001_a?",
        at="2:20",
        points_at="0001_b",
    ),
    "a dependency with the ending": refused(
        "-- depends: 0001_a.sql\n" + B,
        "0001_a.sql, which does not",
        "Did you mean 0001_a?",
        at="1:13",
    ),
    "a dependency on itself": refused(
        "-- depends: 0002_b\n" + B, "in a circle: 0002_b → 0002_b", at="1:13"
    ),
    "dependencies in a circle": lie(
        {"0002_b.sql": "-- depends: 0003_c\n", "0003_c.sql": "-- depends: 0001_a 0002_b\n"},
        "in a circle: 0002_b → 0003_c → 0002_b",
        NOTHING,
        at="sql/0003_c.sql:1:20",
    ),
    # --- what only psql knows
    "a psql command": refused(B + "\\d a\n", "holds a psql command", at="2:1"),
    "a psql command behind a statement": refused(
        "select 'select 1' \\gexec\n", "holds a psql command", at="1:19"
    ),
    "what pg_dump writes first": refused("\\restrict key\n" + B, "psql command", at="1:1"),
    "copy from stdin": refused(
        B + "copy a (n) from/* me */stdin csv;\n1\n\\.\n", "copies from stdin", at="2:1"
    ),
    "copy to stdout": refused(B + "copy a to stdout;", "copies to stdout", at="2:1"),
    # --- transactions
    "begin": refused("begin;\n" + B, "holds transaction control: begin", at="1:1"),
    "rollback": refused(B + "  ROLLBACK ;", "control: rollback", "instead", at="2:3"),
    "a savepoint": refused(B + "/* a */ savepoint s;", "control: savepoint", at="2:9"),
    "a prepared transaction": refused(
        B + f"prepare /* {'x' * 300} */ transaction 't';", "control: prepare", at="2:1"
    ),
    "begin outside a transaction": refused(OUTSIDE + "begin;\n" + B, "control: begin", at="2:1"),
    "commit behind a body of SQL": refused(
        "create function f() returns int begin atomic select case when 1 = 1 then 1 end; end; "
        "commit;",
        "control: commit",
        at="1:86",
        points_at="commit",
    ),
    "commit in a block": failed(
        B + "do $$ begin commit; end $$;", "invalid transaction termination", OUTSIDE_IT, at="2:1"
    ),
    "commit in a procedure": failed(
        B + "create procedure p() language plpgsql as $$ begin commit; end $$;\ncall p();",
        "invalid transaction termination",
        OUTSIDE_IT,
        at="3:1",
    ),
    "commit in a dynamic statement": failed(
        B + "do $$ begin execute 'commit'; end $$;", "not implemented", at="2:1"
    ),
    "commit in a block outside a transaction": applied(
        OUTSIDE + "do $$ begin create table b (); commit; perform 1; end $$;"
    ),
    "words of transactions in strings, names and comments": applied(
        "create table b ();\nselect 'commit;', $$rollback;$$ as \"end;\"; -- ; commit;\n/* ;end; */"
    ),
    "a read-only transaction": failed(
        B + "set transaction read only;", "cannot execute INSERT in a read-only", at=""
    ),
    "discard all": refused(B + "discard all;", "the lock of this run", at="2:1"),
    "discard all outside a transaction": refused(
        OUTSIDE + "DISCARD /**/ ALL;", "the lock of this run", at="2:1"
    ),
    "another client_encoding": failed(
        "set client_encoding = 'latin1';\nselect 'ü';\n" + B,
        "changes client_encoding to LATIN1, but files are UTF-8",
        at="",
    ),
    "a client_encoding without the file's letters": failed(
        "-- ü\nset names 'sjis';\n" + B, "changes client_encoding to SJIS", at=""
    ),
    "another client_encoding outside a transaction": replace(
        failed(
            OUTSIDE + "select set_config('client_encoding', 'latin1', false);\n" + B,
            "changes client_encoding",
            at="",
        ),
        says=("changes client_encoding", "0001_a stays applied. None of its statements is done."),
    ),
    "the encoding that files have": applied("set client_encoding = 'UTF8';\n" + B),
    # --- what PostgreSQL runs only outside a transaction, or only later
    **{
        f"{what} in a transaction": failed(B + statement, OUTSIDE_IT, "sqlstate: 25001", at="2:1")
        for what, statement in {
            "vacuum": "vacuum a;",
            "create database": "create database nowhere;",
            "drop database": "drop database if exists nowhere;",
            "alter system": "alter system set work_mem = '4MB';",
            "create tablespace": "create tablespace t location '/nowhere';",
            "create index concurrently": "create index concurrently on a (n);",
            "drop index concurrently": "drop index concurrently if exists a_n_idx;",
            "reindex": "reindex table concurrently a;",
            "a subscription": "create subscription s connection 'host=h' publication p;",
        }.items()
    },
    "vacuum in a block outside a transaction": replace(
        failed(
            OUTSIDE + "select 1;\ndo $$ begin\n execute 'vacuum'; end $$;",
            "in no block or function",
            at="4:2",
        ),
        says=("in no block or function", "Its first statement is done and stays."),
    ),
    "a new enum value used at once": Case(
        {
            "0001_a.sql": A,
            "0002_b.sql": "create type b as enum ('x');",
            "0003_c.sql": "alter type b add value 'y';\ncreate table c (b b default 'y');",
        },
        (
            'unsafe use of new value "y"',
            "only after it is committed: put the statements that use it into the next migration",
            "0001_a to 0002_b stay applied. Nothing of 0003_c was kept.",
        ),
        at="sql/0003_c.sql:2:29",
        points_at="'y'",
        kept=("0001_a", "0002_b"),
    ),
    # --- what is left behind, and what only looks wrong
    **{
        f"{left} left behind": Case(
            {"0001_a.sql": A, "0002_b.sql": B + left, "0003_c.sql": "create table c ();"},
            (),
            code=0,
            kept=("0001_a", "0002_b", "0003_c"),
        )
        for left in (
            "set role pg_monitor;",
            "set local role pg_monitor;",
            "set search_path = pg_temp;",
            "select set_config('search_path', '', false);",
            "reset role;",
            "reset all;",
            "set session authorization pg_monitor;",
            "set quote_all_identifiers = on;",
            "set statement_timeout = 1;",
            "set default_transaction_read_only = on;",
        )
    },
    "a role that may not": failed(
        "set role pg_monitor;\n" + B,
        "The role you connect as, or the one that the file sets",
        at="2:14",
    ),
    "comments in comments": applied("/* a /* b */ ; */ create /* ( */ table b (); /* /* */ */"),
    "dollar quotes in dollar quotes": applied(
        "do $a$ begin execute $$create table b ()$$; perform $b$;$a1$;$b$; end $a$;"
    ),
    "percent signs and colons": applied(
        "create table b ();\nselect '%s %(a)s :name ?' as \"%\", 7 % 4, (array[1, 2])[1:2];"
    ),
    "quotes in an escape string": applied(r"select E'it''s \'; commit; \\', 'x\'; " + B),
    "a string on two lines": applied("select E'a'\n  'b\\'; commit; ';\n" + B),
    "names and tags beyond ASCII": applied(
        'select 1 as ü$$, 2 as "😀", $😀$;commit;$😀$ as ж$a$, 3 as \u00a0;\n' + B
    ),
    # --- the way back, and seeds
    "no way back": Case(
        {"0001_a.sql": A},
        ("0001_a has no way back: sql/0001_a.rollback.sql does not exist", "Nothing was rolled"),
        words=("rollback",),
        before=("apply",),
        kept=("0001_a",),
    ),
    "a way back that fails": Case(
        {"0001_a.sql": A, "0001_a.rollback.sql": "drop table a;\n\ndrop table b;"},
        ('table "b" does not exist', "Nothing of 0001_a was kept."),
        at="sql/0001_a.rollback.sql:3:1",
        words=("rollback",),
        before=("apply",),
        kept=("0001_a",),
    ),
    "a way back with a commit": Case(
        {"0001_a.sql": A, "0001_a.rollback.sql": "drop table a;\ncommit;"},
        ("holds transaction control: commit", NOTHING),
        at="sql/0001_a.rollback.sql:2:1",
        words=("rollback",),
        before=("apply",),
        kept=("0001_a",),
    ),
    "a seed that fails": Case(
        {
            "0001_a.sql": A,
            "../seeds/a.sql": "insert into a values (1);\ninsert into a\nselect oops;",
        },
        ('column "oops" does not exist', "Nothing was seeded."),
        at="seeds/a.sql:3:8",
        words=("seed",),
        before=("apply",),
        kept=("0001_a",),
    ),
    "a seed that is a folder": Case(
        {"0001_a.sql": A, "../seeds/a.sql": Path.mkdir},
        ("seeds/a.sql cannot be read: Is a directory", "Nothing of it was run."),
        words=("seed",),
        before=("apply",),
        kept=("0001_a",),
    ),
    "a seed outside a transaction": Case(
        {"0001_a.sql": A, "../seeds/ä b.SQL": OUTSIDE + "vacuum;"},
        ("seeds/ä b.SQL asks to run outside a transaction", "Nothing was seeded."),
        words=("seed",),
        before=("apply",),
        kept=("0001_a",),
    ),
    "no seeds": Case(
        {"0001_a.sql": A},
        ("The folder of seeds seeds does not exist", "Nothing was seeded."),
        code=64,
        words=("seed",),
    ),
    # --- folders and names
    "an empty folder": Case(
        {".hidden.sql": B, "_draft.sql": B, "README.md": "x"}, ("holds no .sql file",), code=64
    ),
    "a wrong folder": Case(
        {"0001_a.sql": A}, ("sqll does not exist",), code=64, words=("apply", "--sql-dir", "sqll")
    ),
    "a file for a folder": Case(
        {"0001_a.sql": A},
        ("sql/0001_a.sql is not a folder",),
        code=64,
        words=("apply", "--sql-dir", "sql/0001_a.sql"),
    ),
    "a number twice": lie(
        {"0001_b.sql": B}, "have the number 1: 0001_a.sql and 0001_b.sql", NOTHING
    ),
    "a gap": Case({"0001_a.sql": A, "0007_b.sql": B}, (), code=0, kept=("0001_a", "0007_b")),
    "numbers of two widths": lie({"01_b.sql": B}, "have the number 1", NOTHING),
    "numbers that sort otherwise": lie(
        {"10_b.sql": B, "9_c.sql": B}, "sorts before", "Pad", NOTHING
    ),
    "letters of other scripts": Case(
        {"0001_a.sql": A, "0002_Äж.sql": "create table Äж ();"},
        (),
        code=0,
        kept=("0001_a", "0002_Äж"),
        made=("a", "Äж"),
    ),
    "a way back without its migration": lie(
        {"0002_b.rollback.sql": B}, "that does not exist", NOTHING
    ),
    **{
        f"named {name!r}": lie({name: B}, "is not named like a migration", hint, NOTHING)
        for name, hint in {
            "0002 b.sql": "U+0020 SPACE is in this one",
            "0002_b;drop table a.sql": "U+003B SEMICOLON",
            "0002_b'.sql": "U+0027 APOSTROPHE",
            "0002_b%s.sql": "U+0025 PERCENT SIGN",
            "0002_😀.sql": "U+1F600 GRINNING FACE",
            "0002_e\u0301.sql": "U+0301 COMBINING ACUTE ACCENT",
            "0002_b\n.sql": "U+000A a control character",
            "0002_b\x1b[2J.sql": "U+001B a control character",
            "0002_b\\.sql": "U+005C REVERSE SOLIDUS",
            "٠٠٠٢_b.sql": "Names are a number",
            "²_b.sql": "Names are a number",
            "b.sql": "Names are a number",
            "V2__b.sql": "Names are a number",
            "0002_.sql": "Names are a number",
        }.items()
    },
    "an ending in upper case": lie({"0002_b.SQL": B}, "does not end in .sql, written", NOTHING),
    "a way back with a capital": lie(
        {"0002_b.Rollback.sql": B}, "does not end in .rollback.sql, written", NOTHING
    ),
    "a folder named like a migration": lie(
        {"0002_b.sql": Path.mkdir}, "is not a file: it is a folder", NOTHING
    ),
    "a link to itself": lie(
        {"0002_b.sql": lambda path: path.symlink_to(path.name)},
        "a link that leads to no file",
        NOTHING,
    ),
    "a link to nothing": lie(
        {"0001_a.rollback.sql": lambda path: path.symlink_to("nowhere")},
        "0001_a.rollback.sql is named like a migration but is not a file: it is a link",
        NOTHING,
    ),
    "a pipe": lie({"0002_b.sql": os.mkfifo}, "it is something else", NOTHING),
    "a folder for a way back": lie({"0001_a.rollback.sql": Path.mkdir}, "it is a folder", NOTHING),
    # --- words
    **{
        f"{' '.join(words)!r}": Case({"0001_a.sql": A}, (says,), code=64, words=words)
        for words, says in {
            ("apply", "--to", "²"): "'²' names no migration",
            ("apply", "--to", "9" * 5000): "names no migration",
            ("apply", "--to", ""): "--to is empty",
            ("rollback", "--to", ""): "--to is empty",
            ("apply", "--sql-dir", ""): "--sql-dir is empty",
            ("apply", "--lock-wait", "nan"): "number of seconds, not 'nan'",
            ("apply", "--lock-wait", "-1"): "number of seconds, not '-1",
            ("apply", "--log", ""): "--log is empty",
        }.items()
    },
}


@pytest.fixture(scope="module")
def one_database(server: Server) -> Iterator[Database]:
    with server.database() as database:
        yield database


@pytest.fixture
def desk(tmp_path: Path, one_database: Database) -> Desk:
    desk = Desk(tmp_path, one_database)
    desk.clear()
    return desk


def lay(desk: Desk, case: Case) -> None:
    (desk.folder / "sql").mkdir()
    for name, content in case.files.items():
        path = desk.folder / "sql" / name
        if isinstance(content, str | bytes):
            desk.lay(f"sql/{name}", content)
        else:
            path.parent.mkdir(exist_ok=True)
            content(path)


def at_the_caret(said: Said) -> str:
    """What stands above the caret, in a line without wide characters and tabs."""
    line, caret = re.findall(r"^  \| (.*)$", said.err, re.MULTILINE)
    return str(line[caret.index("^") :])


@one_server
@pytest.mark.parametrize("name", CASES)
def test_rubbish_is_told_in_words_and_leaves_nothing_half_done(desk: Desk, name: str) -> None:
    case = CASES[name]
    lay(desk, case)
    if case.before:
        assert desk.main(*case.before).code == 0
    said = desk.main(*case.words)
    shown = said.out + said.err
    assert said.code == case.code, shown
    assert "Traceback" not in shown
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", shown)
    assert len(shown) < 20_000
    for fragment in case.says:
        assert fragment in shown, shown
    if case.code == 1:
        assert said.err.count("error: ") == 1
        assert re.search(r"Nothing|stay|None of", said.err)
    assert desk.applied() == list(case.kept)
    made = [id_.partition("_")[2] for id_ in case.kept] if case.made is None else list(case.made)
    assert desk.made() == made
    if not case.at:
        assert "\n  at " not in said.err or "\n  | " not in said.err
        return
    assert f"\n  at {case.at}\n" in said.err, shown
    error = desk.main(*case.words, "--json").document["error"]
    assert f"{error['file']}:{error['line']}:{error['column']}" == case.at
    assert desk.applied() == list(case.kept)
    file, line, column = re.fullmatch(r"(.*):(\d+):(\d+)", case.at).groups()  # type: ignore[union-attr]
    text = (desk.folder / file).read_bytes().decode("utf-8", "replace").removeprefix("\ufeff")
    there = re.split(r"\r\n|\r|\n", text)[int(line) - 1][int(column) - 1 :]
    assert there.startswith(case.points_at)
    if text.isascii() and "\t" not in text and "\0" not in text:
        assert re.sub("[␀-␟]", "", at_the_caret(said)).startswith(there[:20].strip("\x1a"))


# --- large files ----------------------------------------------------------------------------------


@one_server
def test_a_large_file_arrives_whole(desk: Desk) -> None:
    """5 MB of inserts, and a statement of 5 MB with an escape in every second character."""
    row = "insert into b values (1, 'a row; with a semicolon, long enough to be one');\n"
    desk.lay("sql/0001_b.sql", "create table b (n int, t text);\n" + row * 70_000)
    desk.lay("sql/0002_c.sql", "create table c as select E'" + "a\\n" * 1_700_000 + "' as t;")
    said = desk.main("apply")
    assert said.code == 0, said.err
    assert desk.rows("select count(*), count(distinct t), sum(n) from b") == [(70_000, 1, 70_000)]
    assert desk.value("select length(t) from c") == 3_400_000


@one_server
def test_an_open_quote_at_the_top_of_a_large_file_is_told_in_a_few_lines(desk: Desk) -> None:
    desk.lay("sql/0001_a.sql", "create table a ();\nselect 'oops;\n" + "select 1;\n" * 300_000)
    said = desk.main("apply")
    assert said.code == 1
    assert len(said.err) < 1000
    (line,) = desk.log_lines()
    assert line["error"] == 'unterminated quoted string at or near "\'oops;…"'
    assert desk.made() == []


@one_server
def test_a_file_beyond_what_postgresql_takes_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would end the connection, and the next run's too."""
    monkeypatch.setattr(sql_file, "_LARGEST", 100)
    desk.lay("sql/0001_a.sql", A)
    desk.lay("sql/0002_b.sql", "create table b ();" + " " * 100)
    said = desk.main("apply")
    assert said.code == 1
    assert "sql/0002_b.sql is larger than a gigabyte" in said.err
    assert desk.made() == []


# --- real processes -------------------------------------------------------------------------------


@one_server
@pytest.mark.parametrize("between", ["-" * 79 + "\n", "/**/" * 200, "-- a -- b -- c -- d\n" * 50])
def test_no_comment_keeps_a_run_busy_for_ever(desk: Desk, between: str) -> None:
    """Whoever tries out every way to cut these never comes to an end."""
    desk.lay("sql/0001_a.sql", f"create {between} table a ();")
    assert desk.runner("apply").code == 0
    assert desk.applied() == ["0001_a"]


@one_server
def test_a_name_that_is_no_utf8_is_told_in_words(desk: Desk) -> None:
    (desk.folder / "sql").mkdir()
    name = os.fsencode(desk.folder) + b"/sql/0002_\xff.sql"
    with open(name, "w") as file:  # noqa: PTH123 - a path of bytes
        file.write(B)
    for words in (["apply"], ["status"]):
        said = desk.runner(*words, LC_ALL="C.UTF-8")
        assert said.code == 1
        assert r"error: sql/0002_\udcff.sql is not named like a migration" in said.err
    message = desk.runner("apply", "--json", LC_ALL="C.UTF-8").document["error"]["message"]
    assert message == "sql/0002_\udcff.sql is not named like a migration"


@one_server
def test_a_terminal_without_utf8_gets_escapes_and_no_traceback(desk: Desk) -> None:
    """What cannot be written must not end a run that did its work."""
    desk.lay("sql/0001_a.sql", A)
    said = desk.runner("apply", PYTHONIOENCODING="ascii")
    assert said.code == 0, said.err
    desk.lay("sql/0002_漢.sql", "select '漢', oops;")
    said = desk.runner("apply", PYTHONIOENCODING="ascii")
    assert said.code == 1
    assert "at sql/0002_\\u6f22.sql:1:13\n  | select '\\u6f22', oops;\n" in said.err
    said = desk.runner("apply", "--json", PYTHONIOENCODING="ascii")
    assert said.document["error"]["file"] == "sql/0002_漢.sql"
    assert desk.runner("--help", PYTHONIOENCODING="ascii").code == 0


@one_server
@pytest.mark.parametrize("name", [os.fsdecode(b"\xff"), "ü" * 300, "a'; drop table a; --"])
def test_whoever_runs_it_may_be_called_anything(desk: Desk, name: str) -> None:
    desk.lay("sql/0001_a.sql", A)
    said = desk.runner("apply", LOGNAME=name)
    assert said.code == 0, said.err
    by = desk.value("select applied_by from yoyo._yoyo_migration")
    assert by.startswith(name.encode("utf-8", "replace").decode()[:100] + "@")
