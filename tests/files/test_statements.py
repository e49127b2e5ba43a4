"""Splitting a file into statements, and what is refused before PostgreSQL sees it."""

from __future__ import annotations

import re
import tracemalloc

import pytest
from conftest import Database
from hypothesis import given
from hypothesis import strategies as st
from psycopg import pq

from runner.errors import FileError
from runner.files import statements

ROUTINE = """create function f(n int default (case when true then 1 end)) returns int
begin atomic
    select 1;
    select case when n > 0 then case n when 1 then 2 end else 3 end;
end"""

# Content of a file, and its statements; None: two statements separated by "; ".
FILES = {
    "two statements": ("select 1; select 2;", ["select 1", "select 2"]),
    "no final semicolon": ("select 1;\nselect 2", ["select 1", "select 2"]),
    "space at the end": ("select 1  \n\t", ["select 1"]),
    "nothing": ("", []),
    "only space": (" \n\t\r\n", []),
    "only semicolons": (" ; ;;\n;", []),
    "only comments": ("-- one\n/* two /* three */ still two; */\n-- four", []),
    "a comment before": ("-- why;\n/* how; */ select 1;", ["select 1"]),
    "a semicolon in a line comment": (
        "select 1 -- not; here\n, 2;",
        ["select 1 -- not; here\n, 2"],
    ),
    "a nested comment": ("select /* a /* b; */ c; */ 1;", ["select /* a /* b; */ c; */ 1"]),
    "a comment with a single quote": ("select 1; -- it's\nselect 2;", ["select 1", "select 2"]),
    "a string with a semicolon": ("select ';', 'it''s; so';", ["select ';', 'it''s; so'"]),
    "a string with a comment": ("select '--', '/*'; select 2;", ["select '--', '/*'", "select 2"]),
    "a backslash in a plain string": (
        r"select 'C:\'; select 2;",
        [r"select 'C:\'", "select 2"],
    ),
    "an escape string": (r"select E'it\'s; \\'; select 2;", [r"select E'it\'s; \\'", "select 2"]),
    "doubled quotes in an escape string": (
        r"select E'a''b\'; c'; select 2;",
        [r"select E'a''b\'; c'", "select 2"],
    ),
    "an escape string continued on the next line": (
        "select E'a'\n  'b\\'; c'; select 2;",
        ["select E'a'\n  'b\\'; c'", "select 2"],
    ),
    "names and tags beyond ascii": (
        "select 1 as \u00a0, 2 as 😀$$, $😀$;$😀$; select 3 as ж$a$;",
        None,
    ),
    "a name that ends in e": (r"select date'2000-01-01'; select 2;", None),
    "quoted names": ('select 1 as "a;""b;"; select 2;', ['select 1 as "a;""b;"', "select 2"]),
    "a dollar quote": ("do $$ begin null; end $$; select 2;", None),
    "dollar quotes in dollar quotes": (
        "do $a$ begin execute $$select ';'$$; execute $b$select $a1$;$a1$$b$; end $a$; select 2;",
        [
            "do $a$ begin execute $$select ';'$$; execute $b$select $a1$;$a1$$b$; end $a$",
            "select 2",
        ],
    ),
    "a dollar in a name": ("select 1 as a$b$; select 2 as c$b$;", None),
    "a parameter is not a dollar quote": (
        "prepare p(int, int) as select $1, $2; deallocate p;",
        None,
    ),
    "an sql body": (f"{ROUTINE}; select 2;", [ROUTINE, "select 2"]),
    "an sql body after comments": (
        "create /* or */ or -- yes\nreplace function g() returns int begin atomic select 1; end; "
        "select 2;",
        [
            "create /* or */ or -- yes\nreplace function g() returns int "
            "begin atomic select 1; end",
            "select 2",
        ],
    ),
    "an sql body of a procedure": (
        "create procedure h() begin atomic select 1; select 2; end; select 2;",
        ["create procedure h() begin atomic select 1; select 2; end", "select 2"],
    ),
    "case outside a routine": ("select case when true then 1 end; select 2;", None),
    "a rule of two actions": (
        "create table t (n int); create rule r as on insert to t do also (select 1; select 2);"
        " drop table t;",
        [
            "create table t (n int)",
            "create rule r as on insert to t do also (select 1; select 2)",
            "drop table t",
        ],
    ),
    "a carriage return ends a line comment": (
        "select 1 -- a\r; select 2",
        ["select 1 -- a\r", "select 2"],
    ),
    "multibyte characters": ("select 'ü;😀'; select 'ж';", ["select 'ü;😀'", "select 'ж'"]),
}


def texts(text: str) -> list[str]:
    return [statement.text for statement in statements.split(text)]


@pytest.mark.parametrize("name", FILES)
def test_split_matches_psql(name: str) -> None:
    text, expected = FILES[name]
    found = texts(text)
    if expected is None:
        assert len(found) == 2
        assert text == f"{found[0]}; {found[1]};"
    else:
        assert found == expected


def test_postgresql_counts_the_same_statements(empty_database: Database) -> None:
    with empty_database.connect() as conn:
        for name, (text, _) in FILES.items():
            results = 0
            conn.pgconn.send_query(text.encode())
            while result := conn.pgconn.get_result():
                assert result.status != pq.ExecStatus.FATAL_ERROR, (name, result.error_message)
                results += result.status != pq.ExecStatus.EMPTY_QUERY
            assert results == len(texts(text)), name
            conn.rollback()


@pytest.mark.parametrize("name", FILES)
def test_statement_has_start_offset_and_line(name: str) -> None:
    text, _ = FILES[name]
    for statement in statements.split(text):
        assert text[statement.start :].startswith(statement.text)
        assert statement.line == len(re.split(r"\r\n|\r|\n", text[: statement.start]))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_numbers_with_any_line_ending(end: str) -> None:
    text = end.join(["-- header", "", "select", "  'ü', oops;", "select 2"])
    assert [statement.line for statement in statements.split(text)] == [3, 5]
    place = statements.place(text, text.index("oops"), "a.sql")
    assert (place.line, place.column, place.text) == (4, 8, "  'ü', oops;")
    assert str(place) == "a.sql:4:8"


def test_place_at_end_of_file_is_on_the_last_line() -> None:
    place = statements.place("select 1\nfrom", 13, "a.sql")
    assert (place.line, place.column, place.text) == (2, 5, "from")


def test_code_ignores_comments_and_spacing() -> None:
    plain = "create table t (a int, b text);"
    spaced = "-- a table\r\ncreate  table t /* of\n two */ (a int,\n\tb text\n) ;\n-- end"
    assert "".join(statements.code(plain)) == "".join(statements.code(spaced))


@pytest.mark.parametrize(
    "other",
    [
        "select 'a  b' as \"x\"",  # spacing inside a string
        "select 'a b' as \"X\"",  # a name's case
        "select 'a b -- c' as \"x\"",  # what looks like a comment, in a string
        "select 'a b' as \"x\", 1",
        "select 'a b'",
    ],
)
def test_code_differs_when_the_meaning_differs(other: str) -> None:
    assert list(statements.code("select 'a b' as \"x\"")) != list(statements.code(other))


def test_unterminated_comment_is_left_to_postgresql() -> None:
    """Dropping it would also drop, without an error, the code that follows it."""
    assert texts("select 1; /* a /* b */ select 2;") == ["select 1", "/* a /* b */ select 2;"]


def test_splitting_a_long_literal_uses_little_memory() -> None:
    text = "select E'" + r"\n" * 500_000 + "', $$" + "'" * 500_000 + "$$;"
    tracemalloc.start()
    try:
        assert len(list(statements.split(text))) == 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(text)


def test_comment_separates_words_like_a_space() -> None:
    assert list(statements.code("select/**/1")) == ["select", "1"]
    assert list(statements.code("select1")) == ["select1"]


@pytest.mark.parametrize(
    "word",
    [
        "begin",
        "COMMIT",
        "end",
        "rollback",
        "abort",
        "savepoint a",
        "release a",
        "start transaction",
        "prepare transaction 'a'",
        "Start\n-- now\nTransaction",
    ],
)
def test_transaction_control_is_refused_with_its_line(word: str) -> None:
    text = f"select 1;\n\n  /* so */ {word};\nselect 2;"
    with pytest.raises(FileError) as caught:
        statements.checked_statements(text, "sql/0001_a.sql", transactional=True)
    assert caught.value.place
    assert caught.value.place.line == 3
    assert caught.value.place.column == 12
    assert word.split(maxsplit=1)[0].lower() in caught.value.message
    assert "-- transactional: false" in caught.value.hint


def test_transaction_control_is_refused_in_non_transactional_file() -> None:
    with pytest.raises(FileError) as caught:
        statements.checked_statements("begin; select 1;", "a.sql", transactional=False)
    assert "transactional: false" not in caught.value.hint


@pytest.mark.parametrize(
    "harmless",
    [
        "do $$ begin null; end $$",
        "create function f() returns int language sql begin atomic select 1; end",
        "prepare p as select 1",
        "select 'commit'",
        "-- commit;\nselect 1",
        'create table commits ("end" int)',
    ],
)
def test_statement_that_only_looks_like_transaction_control_passes(harmless: str) -> None:
    found = statements.checked_statements(harmless, "a.sql", transactional=True)
    assert len(found) == 1


@pytest.mark.parametrize("data", ["1\tone\n\\.\n", "\\N\tit's\n\\.\n", "1\tone\n"])
def test_copy_from_stdin_is_refused(data: str) -> None:
    text = f"select 1;\ncopy public.t (a, b) FROM\n  Stdin with (format text);\n{data}"
    with pytest.raises(FileError, match="copies from stdin") as caught:
        statements.checked_statements(text, "a.sql", transactional=True)
    assert caught.value.place
    assert caught.value.place.line == 2


def test_copy_from_server_file_passes() -> None:
    text = "copy t from '/srv/stdin.csv';"
    assert len(statements.checked_statements(text, "a.sql", transactional=True)) == 1


def test_psql_command_is_refused_with_line_and_column() -> None:
    text = "select '\\ fine', E'\\'', $$\\$$; -- \\ fine\n \\set x 1\n"
    with pytest.raises(FileError, match="psql command") as caught:
        list(statements.split(text, "a.sql"))
    assert caught.value.place
    assert (caught.value.place.line, caught.value.place.column) == (2, 2)


# --- properties ---------------------------------------------------------------------------------

PIECES = [
    "select ",
    "a",
    "1",
    ";",
    "'",
    '"',
    "$$",
    "$a$",
    "--",
    "/*",
    "*/",
    "(",
    ")",
    "\n",
    "\r",
    " ",
    "E'",
    "ü",
    "😀",
    "begin atomic",
    " end ",
    " case ",
    "create function f() ",
    "\\",
]
sql_like = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


@given(sql_like | st.text(max_size=60))
def test_splitting_drops_no_code_and_raises_only_file_errors(text: str) -> None:
    try:
        found = list(statements.split(text, "a.sql"))
    except FileError as error:
        assert error.place
        assert error.place.text[(error.place.column or 0) - 1] == "\\"
        return
    position = 0
    gaps = []
    for statement in found:
        assert statement.text == text[statement.start : statement.start + len(statement.text)]
        assert statement.text.strip(" \t\r\n\f\v")  # white space as PostgreSQL knows it
        gaps.append(text[position : statement.start])
        position = statement.start + len(statement.text)
    gaps.append(text[position:])
    for gap in gaps:  # only comments, space and semicolons are left out
        assert set("".join(statements.code(gap))) <= {";"}


WHOLE = [text for _, found in FILES.values() for text in found or [] if "\r" not in text]
BETWEEN = [";", " ; ", ";;\n", ";\n-- and; then\n", "/* so; */;/* then */ ", ";\r\n\r\n"]


@given(st.lists(st.tuples(st.sampled_from(WHOLE), st.sampled_from(BETWEEN))))
def test_joined_statements_are_split_again(parts: list[tuple[str, str]]) -> None:
    text = "".join(statement + "\n" + between for statement, between in parts)
    assert [found.rstrip().removesuffix("/* so; */").rstrip() for found in texts(text)] == [
        statement for statement, _ in parts
    ]


@given(st.text(max_size=40), st.data())
def test_place_of_any_offset_contains_its_character(text: str, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(text)))
    place = statements.place(text, offset, "a.sql")
    assert place.line
    assert place.column
    here = text[offset : offset + 1]
    if here and here not in "\r\n":
        assert place.text[place.column - 1] == here
