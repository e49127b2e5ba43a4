"""Malformed files in sql/: each gets a readable error, and no file is partly applied.

A file NNNN_x.sql creates the table x, so that the records can be compared with the tables.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from checkout import Result
from cli_harness import CliHarness
from conftest import Database, Server, one_server

from runner.files import sql_file

Content = str | bytes | Callable[[Path], object]
A = "create table a (n int);\n"
B = "create table b ();\n"
OUTSIDE = "-- transactional: false\n"
OUTSIDE_IT = "put `-- transactional: false` into the header"
NOTHING_RUN = "No changes were made."
NOT_KEPT = "0001_a stays applied. No changes of 0002_b were kept."


@dataclass(frozen=True)
class Case:
    """Files, and the output and results expected of a run."""

    files: dict[str, Content]
    says: tuple[str, ...]
    code: int = 1
    at: str = ""  # file:line:column
    points_at: str = ""  # the text at that position
    kept: tuple[str, ...] = ()  # the recorded ids
    made: tuple[str, ...] | None = None  # the objects; by default a table for each id
    words: tuple[str, ...] = ("apply",)
    before: tuple[str, ...] = ()  # a command that is run first


def unusable(files: dict[str, Content], *says: str, at: str = "", points_at: str = "") -> Case:
    """Files because of which no file is run."""
    return Case({"0001_a.sql": A, **files}, says, at=at, points_at=points_at)


def refused(content: Content, *says: str, at: str = "", points_at: str = "") -> Case:
    """A second file because of which no file is run, not even the first."""
    place = f"sql/0002_b.sql:{at}" if at else ""
    case = unusable({"0002_b.sql": content}, *says, at=place, points_at=points_at)
    return replace(case, says=(*says, "No changes"))


def failed(content: str, *says: str, at: str, points_at: str = "") -> Case:
    """A second file that PostgreSQL rejects, after the first was applied."""
    case = refused(content, *says, at=at, points_at=points_at)
    return replace(case, says=(*says, NOT_KEPT), kept=("0001_a",))


def applied(content: str, *says: str, made: tuple[str, ...] | None = None) -> Case:
    """A second file that looks malformed but is valid."""
    return replace(refused(content), says=says, code=0, kept=("0001_a", "0002_b"), made=made)


CASES = {
    # --- bytes
    "a byte order mark": applied("\ufeff-- 0002_b\n" + B),
    "two byte order marks": failed(
        "\ufeff\ufeff" + B, "at this position: U+FEFF ZERO WIDTH NO-BREAK SPACE", at="1:1"
    ),
    "a byte order mark between two joined files": failed(
        B + "\ufeffselect 1;", "U+FEFF", at="2:1", points_at="\ufeffselect"
    ),
    "a no-break space": failed(
        B + "select\u00a01;",
        "at this position: U+00A0 NO-BREAK SPACE",
        at="2:1",
        points_at="select",
    ),
    "a character of no width": failed(B + "select \u200bn from a;", "U+200B", at="2:8"),
    "a DOS end-of-file mark": failed(B + "\x1a", "U+001A", "␚", at="2:1"),
    "UTF-16": refused(B.encode("utf-16"), "is not UTF-8: byte 0xff", "looks like UTF-16"),
    "UTF-16 without a mark": refused(B.encode("utf-16-le"), "contains a NUL", at="1:2"),
    "Latin-1": refused(
        (B + "select 'café';").encode("latin-1"), "is not UTF-8: byte 0xe9", at="2:12"
    ),
    "a character cut off": refused(
        (B + "\tselect 'ü€").encode()[:-1], "is not UTF-8: byte 0xe2", at="2:11"
    ),
    "Latin-1 with CR": refused(b"select 1;\rselect '\xe9'", "byte 0xe9", at="2:9"),
    "a NUL": refused(B + "select 'ü\0';", "contains a NUL character", at="2:10"),
    "CRLF": failed("select 1,\r\n  oops;\r\n", '"oops" does not exist', at="2:3", points_at="oops"),
    "CR": failed("-- x\r-- depends: 0001_a\rselect 1;\rselect oops;\r", "oops", at="4:8"),
    "CR that ends a comment": applied("-- x\rcreate table b ();\r"),
    "no final newline": applied("create table b ()"),
    "nothing": refused("", "sql/0002_b.sql contains no statements"),
    "white space": refused(" \n\t\r\n\f", "contains no statements"),
    "semicolons": refused(";; ;\n;", "contains no statements"),
    "comments": refused("-- one\n/* two /* three; */ */ -- four", "contains no statements"),
    "a header alone": refused("-- 0002_b\n-- transactional: false", "contains no statements"),
    # --- unterminated tokens and error positions
    "an open comment": failed(
        B + "/* a\nselect 1;", 'unterminated /* comment at or near "/* a…"', at="2:1"
    ),
    "an open nested comment": failed("/* /* */ " + B, "unterminated /* comment", at="1:1"),
    "an open comment outside a transaction": replace(
        failed(OUTSIDE + "select 1;\n/* a\n" + B, "unterminated /* comment", at="3:1"),
        says=("unterminated /* comment", "Its first statement is done."),
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
    "an error without a position": failed(
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
    "a nested block": failed(
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
        "-- dependz: 0001_a\n" + B, "unknown directive: dependz", "Known: depends,", at="1:1"
    ),
    "an invalid value": refused(
        "-- x\n-- transactional: no\n" + B, "transactional is true or false, not 'no'", at="2:1"
    ),
    "a directive without a value": refused("-- independent:\n" + B, "not ''", at="1:1"),
    "a directive twice": refused(
        "-- transactional: true\n-- transactional: false\n" + B,
        "has transactional twice",
        at="2:1",
    ),
    "a directive with a capital": refused(
        "-- Transactional: false\n" + B,
        "has a misspelled directive",
        "`-- transactional: …`",
        at="1:1",
    ),
    "a directive with an equals sign": refused(
        "--transactional = false\n" + B, "has a misspelled directive", at="1:1"
    ),
    "a directive in a block comment": refused(
        "-- 0002_b\n/* transactional: false */\n" + B, "has a misspelled directive", at="2:1"
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
    "a dependency with the extension": refused(
        "-- depends: 0001_a.sql\n" + B,
        "0001_a.sql, which does not",
        "Did you mean 0001_a?",
        at="1:13",
    ),
    "a dependency on itself": refused(
        "-- depends: 0002_b\n" + B, "in a cycle: 0002_b → 0002_b", at="1:13"
    ),
    "circular dependencies": unusable(
        {"0002_b.sql": "-- depends: 0003_c\n", "0003_c.sql": "-- depends: 0001_a 0002_b\n"},
        "in a cycle: 0002_b → 0003_c → 0002_b",
        NOTHING_RUN,
        at="sql/0003_c.sql:1:20",
    ),
    # --- psql syntax
    "a psql command": refused(B + "\\d a\n", "contains a psql command", at="2:1"),
    "a psql command after a statement": refused(
        "select 'select 1' \\gexec\n", "contains a psql command", at="1:19"
    ),
    "the first line of a pg_dump file": refused("\\restrict key\n" + B, "psql command", at="1:1"),
    "copy from stdin": refused(
        B + "copy a (n) from/* me */stdin csv;\n1\n\\.\n", "copies from stdin", at="2:1"
    ),
    "copy to stdout": refused(B + "copy a to stdout;", "copies to stdout", at="2:1"),
    # --- transactions
    "begin": refused("begin;\n" + B, "contains transaction control: begin", at="1:1"),
    "rollback": refused(B + "  ROLLBACK ;", "control: rollback", "instead", at="2:3"),
    "a savepoint": refused(B + "/* a */ savepoint s;", "control: savepoint", at="2:9"),
    "a prepared transaction": refused(
        B + f"prepare /* {'x' * 300} */ transaction 't';", "control: prepare", at="2:1"
    ),
    "begin outside a transaction": refused(OUTSIDE + "begin;\n" + B, "control: begin", at="2:1"),
    "commit after a SQL function body": refused(
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
    "transaction keywords in strings, names and comments": applied(
        "create table b ();\nselect 'commit;', $$rollback;$$ as \"end;\"; -- ; commit;\n/* ;end; */"
    ),
    "a read-only transaction": failed(
        B + "set transaction read only;", "cannot execute INSERT in a read-only", at=""
    ),
    "discard all": refused(B + "discard all;", "the lock of this run", at="2:1"),
    "discard all outside a transaction": refused(
        OUTSIDE + "DISCARD /**/ ALL;", "the lock of this run", at="2:1"
    ),
    "strings that are not standard": refused(
        "set local standard_conforming_strings = off;\n" + B + r"select 'it\'s';",
        "turns standard_conforming_strings off",
        r"write a string that has escapes as E'it\'s'.",
        at="1:1",
    ),
    "standard strings": applied("SET standard_conforming_strings = on;\n" + B),
    "another client_encoding": failed(
        "set client_encoding = 'latin1';\nselect 'ü';\n" + B,
        "changes client_encoding to LATIN1, but files are UTF-8",
        at="",
    ),
    "a client_encoding without the file's characters": failed(
        "-- ü\nset names 'sjis';\n" + B, "changes client_encoding to SJIS", at=""
    ),
    "another client_encoding outside a transaction": replace(
        failed(
            OUTSIDE + "select set_config('client_encoding', 'latin1', false);\n" + B,
            "changes client_encoding",
            at="",
        ),
        says=("changes client_encoding", "0001_a stays applied. None of its statements ran."),
    ),
    "the encoding of the files": applied("set client_encoding = 'UTF8';\n" + B),
    # --- statements that need another transaction
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
            "not in a block or function",
            at="4:2",
        ),
        says=("not in a block or function", "Its first statement is done."),
    ),
    "a new enum value used at once": Case(
        {
            "0001_a.sql": A,
            "0002_b.sql": "create type b as enum ('x');",
            "0003_c.sql": "alter type b add value 'y';\ncreate table c (b b default 'y');",
        },
        (
            'unsafe use of new value "y"',
            "the statements that use it to the next",
            "0001_a to 0002_b stay applied. No changes of 0003_c were kept.",
        ),
        at="sql/0003_c.sql:2:29",
        points_at="'y'",
        kept=("0001_a", "0002_b"),
    ),
    # --- session state, and valid but unusual SQL
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
    "a role without the privilege": failed(
        "set role pg_monitor;\n" + B,
        "that is connected, or that the file sets, lacks a privilege",
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
    "non-ASCII names and tags": applied(
        'select 1 as ü$$, 2 as "😀", $😀$;commit;$😀$ as ж$a$, 3 as \u00a0;\n' + B
    ),
    # --- rollback files and seeds
    "no rollback file": Case(
        {"0001_a.sql": A},
        (
            "0001_a has no rollback file: sql/0001_a.rollback.sql does not exist",
            "No changes were",
        ),
        words=("rollback",),
        before=("apply",),
        kept=("0001_a",),
    ),
    "a rollback file that fails": Case(
        {"0001_a.sql": A, "0001_a.rollback.sql": "drop table a;\n\ndrop table b;"},
        ('table "b" does not exist', "No changes of 0001_a were kept."),
        at="sql/0001_a.rollback.sql:3:1",
        words=("rollback",),
        before=("apply",),
        kept=("0001_a",),
    ),
    "a rollback file with a commit": Case(
        {"0001_a.sql": A, "0001_a.rollback.sql": "drop table a;\ncommit;"},
        ("contains transaction control: commit", NOTHING_RUN),
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
        ('column "oops" does not exist', "No changes were made."),
        at="seeds/a.sql:3:8",
        words=("seed",),
        before=("apply",),
        kept=("0001_a",),
    ),
    "a seed that is a folder": Case(
        {"0001_a.sql": A, "../seeds/a.sql": Path.mkdir},
        ("seeds/a.sql cannot be read: Is a directory", "No changes were made."),
        words=("seed",),
        before=("apply",),
        kept=("0001_a",),
    ),
    "a seed outside a transaction": Case(
        {"0001_a.sql": A, "../seeds/ä b.SQL": OUTSIDE + "vacuum;"},
        ("seeds/ä b.SQL asks to run outside a transaction", "No changes were made."),
        words=("seed",),
        before=("apply",),
        kept=("0001_a",),
    ),
    "no seeds": Case(
        {"0001_a.sql": A},
        ("The folder of seeds seeds does not exist", "No changes were made."),
        code=64,
        words=("seed",),
    ),
    # --- folders and names
    "an empty folder": Case(
        {".hidden.sql": B, "_draft.sql": B, "README.md": "x"}, ("contains no .sql file",), code=64
    ),
    "a missing folder": Case(
        {"0001_a.sql": A}, ("sqll does not exist",), code=64, words=("apply", "--sql-dir", "sqll")
    ),
    "a file instead of a folder": Case(
        {"0001_a.sql": A},
        ("sql/0001_a.sql is not a folder",),
        code=64,
        words=("apply", "--sql-dir", "sql/0001_a.sql"),
    ),
    "a duplicate number": unusable(
        {"0001_b.sql": B}, "have the number 1: 0001_a.sql and 0001_b.sql", NOTHING_RUN
    ),
    "a gap": Case({"0001_a.sql": A, "0007_b.sql": B}, (), code=0, kept=("0001_a", "0007_b")),
    "numbers of two widths": unusable({"01_b.sql": B}, "have the number 1", NOTHING_RUN),
    "numbers that do not sort numerically": unusable(
        {"10_b.sql": B, "9_c.sql": B}, "sorts before", "Pad", NOTHING_RUN
    ),
    "letters of other scripts": Case(
        {"0001_a.sql": A, "0002_Äж.sql": "create table Äж ();"},
        (),
        code=0,
        kept=("0001_a", "0002_Äж"),
        made=("a", "Äж"),
    ),
    "a rollback file without a migration": unusable(
        {"0002_b.rollback.sql": B}, "that does not exist", NOTHING_RUN
    ),
    **{
        f"named {name!r}": unusable(
            {name: B}, "does not have the name of a migration", hint, NOTHING_RUN
        )
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
            "B2b.sql": "Names are a number",
            "0002_.sql": "Names are a number",
        }.items()
    },
    "an uppercase extension": unusable(
        {"0002_b.SQL": B}, "does not end in .sql exactly", NOTHING_RUN
    ),
    "a rollback extension with a capital": unusable(
        {"0002_b.Rollback.sql": B}, "does not end in .rollback.sql exactly", NOTHING_RUN
    ),
    "a folder named like a migration": unusable(
        {"0002_b.sql": Path.mkdir}, "is not a file: it is a folder", NOTHING_RUN
    ),
    "a link to itself": unusable(
        {"0002_b.sql": lambda path: path.symlink_to(path.name)},
        "a symbolic link without a file",
        NOTHING_RUN,
    ),
    "a link to nothing": unusable(
        {"0001_a.rollback.sql": lambda path: path.symlink_to("nowhere")},
        "0001_a.rollback.sql is not a file: it is a symbolic link",
        NOTHING_RUN,
    ),
    "a pipe": unusable({"0002_b.sql": os.mkfifo}, "it is something else", NOTHING_RUN),
    "a folder instead of a rollback file": unusable(
        {"0001_a.rollback.sql": Path.mkdir}, "it is a folder", NOTHING_RUN
    ),
    # --- arguments
    **{
        f"{' '.join(words)!r}": Case({"0001_a.sql": A}, (says,), code=64, words=words)
        for words, says in {
            ("apply", "--to", "²"): "'²' matches no migration",
            ("apply", "--to", "9" * 5000): "matches no migration",
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
def cli(tmp_path: Path, one_database: Database) -> CliHarness:
    cli = CliHarness(tmp_path, one_database)
    cli.clear()
    return cli


def write_files(cli: CliHarness, case: Case) -> None:
    (cli.folder / "sql").mkdir()
    for name, content in case.files.items():
        path = cli.folder / "sql" / name
        if isinstance(content, str | bytes):
            cli.write_raw(f"sql/{name}", content)
        else:
            path.parent.mkdir(exist_ok=True)
            content(path)


def at_the_caret(result: Result) -> str:
    """Return the text above the caret, for a line without wide characters and tabs."""
    line, caret = re.findall(r"^  \| (.*)$", result.err, re.MULTILINE)
    return str(line[caret.index("^") :])


@one_server
@pytest.mark.parametrize("name", CASES)
def test_malformed_input_yields_a_readable_error_and_no_partial_result(
    cli: CliHarness, name: str
) -> None:
    case = CASES[name]
    write_files(cli, case)
    if case.before:
        assert cli.main(*case.before).code == 0
    result = cli.main(*case.words)
    shown = result.out + result.err
    assert result.code == case.code, shown
    assert "Traceback" not in shown
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", shown)
    assert len(shown) < 20_000
    for fragment in case.says:
        assert fragment in shown, shown
    if case.code == 1:
        assert result.err.count("error: ") == 1
        assert re.search(r"No changes|stay|None of", result.err)
    assert cli.applied() == list(case.kept)
    made = [id_.partition("_")[2] for id_ in case.kept] if case.made is None else list(case.made)
    assert cli.created() == made
    if not case.at:
        assert "\n  at " not in result.err or "\n  | " not in result.err
        return
    assert f"\n  at {case.at}\n" in result.err, shown
    error = cli.main(*case.words, "--json").document["error"]
    assert f"{error['file']}:{error['line']}:{error['column']}" == case.at
    assert cli.applied() == list(case.kept)
    file, line, column = re.fullmatch(r"(.*):(\d+):(\d+)", case.at).groups()  # type: ignore[union-attr]
    text = (cli.folder / file).read_bytes().decode("utf-8", "replace").removeprefix("\ufeff")
    there = re.split(r"\r\n|\r|\n", text)[int(line) - 1][int(column) - 1 :]
    assert there.startswith(case.points_at)
    if text.isascii() and "\t" not in text and "\0" not in text:
        assert re.sub("[␀-␟]", "", at_the_caret(result)).startswith(there[:20].strip("\x1a"))


# --- large files ----------------------------------------------------------------------------------


@one_server
def test_a_large_file_is_applied_completely(cli: CliHarness) -> None:
    """5 MB of inserts, and a statement of 5 MB with an escape in every second character."""
    row = "insert into b values (1, 'a row; with a semicolon, long enough to be one');\n"
    cli.write_raw("sql/0001_b.sql", "create table b (n int, t text);\n" + row * 70_000)
    cli.write_raw("sql/0002_c.sql", "create table c as select E'" + "a\\n" * 1_700_000 + "' as t;")
    result = cli.main("apply")
    assert result.code == 0, result.err
    assert cli.rows("select count(*), count(distinct t), sum(n) from b") == [(70_000, 1, 70_000)]
    assert cli.value("select length(t) from c") == 3_400_000


@one_server
def test_an_open_quote_at_the_top_of_a_large_file_is_reported_briefly(cli: CliHarness) -> None:
    cli.write_raw("sql/0001_a.sql", "create table a ();\nselect 'oops;\n" + "select 1;\n" * 300_000)
    result = cli.main("apply")
    assert result.code == 1
    assert len(result.err) < 1000
    (line,) = cli.log_lines()
    assert line["error"] == 'unterminated quoted string at or near "\'oops;…"'
    assert cli.created() == []


@one_server
def test_a_file_larger_than_postgresql_accepts_is_refused(
    cli: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would terminate the connection, also in every later run."""
    monkeypatch.setattr(sql_file, "_LARGEST", 100)
    monkeypatch.setattr(sql_file, "_BLOCK", 64)
    cli.write_raw("sql/0001_a.sql", A)
    cli.write_raw("sql/0002_b.sql", "create table b ();" + " " * 100)
    result = cli.main("apply")
    assert result.code == 1
    assert "sql/0002_b.sql is larger than 1 GB" in result.err
    assert cli.created() == []


# --- real processes -------------------------------------------------------------------------------


@one_server
@pytest.mark.parametrize("between", ["-" * 79 + "\n", "/**/" * 200, "-- a -- b -- c -- d\n" * 50])
def test_comments_are_parsed_without_backtracking(cli: CliHarness, between: str) -> None:
    """A regular expression with backtracking would take exponential time for these."""
    cli.write_raw("sql/0001_a.sql", f"create {between} table a ();")
    assert cli.runner("apply").code == 0
    assert cli.applied() == ["0001_a"]


@one_server
def test_a_file_name_that_is_not_utf8_gets_a_readable_error(cli: CliHarness) -> None:
    (cli.folder / "sql").mkdir()
    name = os.fsencode(cli.folder) + b"/sql/0002_\xff.sql"
    with open(name, "w") as file:  # noqa: PTH123 - a path of bytes
        file.write(B)
    for words in (["apply"], ["status"]):
        result = cli.runner(*words, LC_ALL="C.UTF-8")
        assert result.code == 1
        assert r"error: sql/0002_\udcff.sql does not have the name of a migration" in result.err
    message = cli.runner("apply", "--json", LC_ALL="C.UTF-8").document["error"]["message"]
    assert message == "sql/0002_\udcff.sql does not have the name of a migration"


@one_server
def test_a_terminal_without_utf8_gets_escapes_instead_of_a_traceback(cli: CliHarness) -> None:
    """Output that cannot be encoded must not abort the run."""
    cli.write_raw("sql/0001_a.sql", A)
    result = cli.runner("apply", PYTHONIOENCODING="ascii")
    assert result.code == 0, result.err
    cli.write_raw("sql/0002_漢.sql", "select '漢', oops;")
    result = cli.runner("apply", PYTHONIOENCODING="ascii")
    assert result.code == 1
    assert "at sql/0002_\\u6f22.sql:1:13\n  | select '\\u6f22', oops;\n" in result.err
    result = cli.runner("apply", "--json", PYTHONIOENCODING="ascii")
    assert result.document["error"]["file"] == "sql/0002_漢.sql"
    assert cli.runner("--help", PYTHONIOENCODING="ascii").code == 0


@one_server
@pytest.mark.parametrize("name", [os.fsdecode(b"\xff"), "ü" * 300, "a'; drop table a; --"])
def test_any_operating_system_user_name_is_recorded(cli: CliHarness, name: str) -> None:
    cli.write_raw("sql/0001_a.sql", A)
    result = cli.runner("apply", LOGNAME=name)
    assert result.code == 0, result.err
    by = cli.value("select applied_by from yoyo._yoyo_migration")
    assert by.startswith(name.encode("utf-8", "replace").decode()[:100] + "@")
