"""One SQL file: its hashes, its header, and contents that are refused."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import FileError
from runner.files.sql_file import Header, SqlFile

TEXT = "-- 0001_a\n-- Two tables.\n\ncreate table a ();\n\n  create table b ();\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "0001_a.sql"


def sql_file(path: Path, content: str | bytes) -> SqlFile:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return SqlFile(path)


@pytest.mark.parametrize(
    "same",
    [
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", "\r"),
        TEXT.replace("\n", "  \t\n"),
        TEXT.removesuffix("\n"),
        TEXT + "\n\n  \n",
        "\ufeff" + TEXT,
        "\ufeff" + TEXT.replace("\n", " \r\n").rstrip(),
    ],
)
def test_hash_ignores_line_endings_trailing_space_bom_and_final_newline(
    path: Path, same: str
) -> None:
    assert sql_file(path, same).sha256 == sql_file(path, TEXT).sha256


@pytest.mark.parametrize(
    "other",
    [
        TEXT.replace("Two", "Three"),
        TEXT.replace("create table a", "create  table a"),
        TEXT.replace("  create", " create"),
        TEXT.replace("\n\n", "\n"),
        "\n" + TEXT,
        TEXT.replace("a ()", "A ()"),
        TEXT + ";",
        TEXT.replace("tables.", "tables.\ufeff"),
    ],
)
def test_hash_changes_with_any_other_difference(path: Path, other: str) -> None:
    assert sql_file(path, other).sha256 != sql_file(path, TEXT).sha256


def test_code_hash_ignores_comments_and_spacing(path: Path) -> None:
    before = sql_file(path, TEXT).code_sha256
    cosmetic = TEXT.replace("Two tables.", "A pair.").replace("  create", "create")
    assert sql_file(path, cosmetic).code_sha256 == before
    assert sql_file(path, TEXT.replace("table b", "table c")).code_sha256 != before


def test_large_file_is_hashed_without_loading_it_into_memory(path: Path) -> None:
    line = b"insert into t values ('" + b"x" * 80 + b"');\n"
    size = path.write_bytes(b"-- depends: 0000_z\n" + line * 100_000)
    large = SqlFile(path)
    tracemalloc.start()
    try:
        assert large.sha256
        assert large.header.depends == ("0000_z",)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 10_000_000
    assert peak < 1_000_000


def test_file_without_directives_has_default_header(path: Path) -> None:
    assert sql_file(path, TEXT).header == Header((), transactional=True, independent=False)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_directives_are_read_from_the_leading_comment_lines(path: Path, end: str) -> None:
    lines = [
        "-- 0003_c",
        "--depends: 0001_a 0002_b",
        "",
        "  -- depends:0000_z",
        "-- transactional: FALSE",
        "--   independent :  true",
        "create table c ();",
    ]
    found = sql_file(path, end.join(lines)).header
    assert found == Header(("0001_a", "0002_b", "0000_z"), transactional=False, independent=True)


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        ("250", 250),
        ("500ms", 500),
        ("5s", 5000),
        ("1.5 s", 1500),
        ("10min", 600_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("1us", 1),  # PostgreSQL would round it to 0, which means no limit
        ("0", 0),
        ("0s", 0),
        ("off", 0),
        ("OFF", 0),
        ("2147483647", 2**31 - 1),
    ],
)
def test_timeout_directive_accepts_postgresql_units(
    path: Path, value: str, milliseconds: int
) -> None:
    header = sql_file(path, f"-- lock_timeout: {value}\nselect 1;").header
    assert header == Header(lock_timeout=milliseconds)
    header = sql_file(path, f"-- statement_timeout: {value}\nselect 1;").header
    assert header == Header(statement_timeout=milliseconds)


@pytest.mark.parametrize(
    "value",
    ["", "soon", "5 seconds", "5S", "-1", "1e3s", "none", "5s 6s", "25d", "2147483648", "٣s"],
)
def test_invalid_timeout_directive_is_refused_with_its_line(path: Path, value: str) -> None:
    with pytest.raises(FileError, match="lock_timeout is a time, not ") as caught:
        _ = sql_file(path, f"-- x\n-- lock_timeout: {value}\nselect 1;").header
    assert caught.value.place
    assert caught.value.place.line == 2
    assert "off for no limit" in caught.value.hint


@pytest.mark.parametrize(
    "prose",
    [
        "-- Careful: it takes a while",
        "-- note: it takes a while",
        "-- see https://example.com",
        "-- the enum: its values",
        "-- author: us",
        "-- users: who may sign in",
        "-- https://example.test",
        "--safety-assured:start",
        "-- transition: from one to the other",
        "-- the transactional tables: two",
    ],
)
def test_comment_with_colon_is_not_a_directive(path: Path, prose: str) -> None:
    assert sql_file(path, f"{prose}\nselect 1;").header == Header()


@pytest.mark.parametrize(
    "word",
    [
        *("transaction", "dependz", "depends on", "dependencies", "reversible"),
        *("lock-timeout", "lock timeout", "timeout", "statement_timeuot"),
    ],
)
def test_misspelled_directive_is_refused_with_its_line(path: Path, word: str) -> None:
    with pytest.raises(FileError, match=f"unknown directive: {word}") as caught:
        _ = sql_file(path, f"-- x\n-- {word}: false\nselect 1;").header
    assert str(caught.value.place) == f"{path}:2:1"
    assert "Known: depends, idle_in_transaction_session_timeout, " in caught.value.hint


@pytest.mark.parametrize(
    ("tool", "mark"),
    [
        ("goose", "-- +goose Up"),
        ("goose", "-- +goose NO TRANSACTION"),
        ("dbmate", "/* people */\n  -- migrate:up transaction:false"),
        ("dbmate", "--migrate:down"),
        ("sql migrate", "-- +migrate Up"),
        ("tern", "create table a ();\n\n---- create above / drop below ----"),
        ("MyBatis", "-- //@UNDO"),
        ("Liquibase", "--liquibase formatted sql"),
        ("Liquibase", "--changeset bob:1 labels:x"),
        ("node pg migrate", "-- Up Migration"),
        ("rambler", "-- rambler up"),
        ("another migration tool", "-- ==== DOWN ===="),
        ("another migration tool", "/* down */"),
        ("another migration tool", "select 1;\r-- @DOWN\rselect 2;"),
    ],
)
def test_file_that_contains_its_rollback_as_other_tools_do_is_refused(
    path: Path, tool: str, mark: str
) -> None:
    with pytest.raises(FileError, match=f"is a file of {tool}: what undoes it") as caught:
        _ = sql_file(path, f"{mark}\ncreate table b ();").statements
    assert f"{path.stem}.rollback.sql" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    ["-- go down\n", "select 1; -- down\n", "select '\n-- +goose Up\n';\n", "/*\n-- down\n*/"],
)
def test_text_that_only_looks_like_a_mark_of_another_tool_passes(path: Path, text: str) -> None:
    assert sql_file(path, f"{text}select 1;").statements


def test_invalid_directive_value_is_refused_with_its_line(path: Path) -> None:
    with pytest.raises(FileError, match="true or false, not 'no'") as caught:
        _ = sql_file(path, "-- transactional: no\nselect 1;").header
    assert str(caught.value.place) == f"{path}:1:1"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("create table a ();\n-- transactional: false\n", 2),
        ("/* a license */\n-- transactional: false\ncreate table a ();", 2),
        ("-- x\n\ncreate table a ();\n\t-- depends: 0001_a", 4),
        ("create table a ();\r-- independent: true\r", 2),
    ],
)
def test_directive_below_header_is_refused_with_its_line(path: Path, text: str, line: int) -> None:
    with pytest.raises(FileError, match="below its header") as caught:
        _ = sql_file(path, text).statements
    assert caught.value.place
    assert caught.value.place.line == line


def test_directive_anywhere_in_header_is_accepted(path: Path) -> None:
    assert len(sql_file(path, "\n-- a\n\n-- transactional: false\n\nvacuum;").statements) == 1


def test_invalid_utf8_is_refused_with_byte_and_line(path: Path) -> None:
    with pytest.raises(FileError, match="byte 0xe9") as caught:
        _ = sql_file(path, "-- ü\nselect 'caf".encode() + b"\xe9';").text
    assert caught.value.place
    assert caught.value.place.line == 2


def test_nul_character_is_refused_with_line_and_column(path: Path) -> None:
    with pytest.raises(FileError, match="NUL") as caught:
        _ = sql_file(path, "select 1;\nselect '\0';").text
    assert str(caught.value.place) == f"{path}:2:9"


def test_text_has_no_bom(path: Path) -> None:
    assert sql_file(path, "\ufeffselect 1").text == "select 1"


def test_missing_file_is_a_file_error(path: Path) -> None:
    for read in ("sha256", "header", "text"):
        with pytest.raises(FileError, match="No such file"):
            getattr(SqlFile(path), read)


@given(content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: "-- " + text))
def test_any_content_is_read_or_refused_with_a_file_error(
    tmp_path_factory: pytest.TempPathFactory, content: str | bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.sql"
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    path.write_bytes(data)
    found = SqlFile(path)
    assert len(found.sha256) == 64
    try:
        _ = found.header, found.statements, found.code_sha256
    except FileError as error:
        assert error.message
