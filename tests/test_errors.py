"""The tree of errors: drawn as it is, each with its exit code."""

from __future__ import annotations

import re

from runner import errors
from runner.errors import FileError, Place, RunnerError, SqlError

KINDS: list[type[RunnerError]] = [RunnerError, *RunnerError.__subclasses__()]


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    drawn = re.findall(r"^ +(?:[├└]── )?(\w+) +exit (\d+)", errors.__doc__ or "", re.MULTILINE)
    assert {(kind.__name__, kind.exit_code) for kind in KINDS} == {
        (name, int(code)) for name, code in drawn
    }


def test_every_error_has_a_code_of_its_own_for_programs() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS)


def test_a_place_reads_as_editors_read_it() -> None:
    assert str(Place("a.sql", 3, 7)) == "a.sql:3:7"
    assert str(Place("a.sql", 3)) == "a.sql:3"
    assert str(Place("a.sql")) == "a.sql"


def test_an_error_hides_what_looks_like_a_password_in_all_its_parts() -> None:
    secret = (
        "alter role r password 'Sw0rdf1sh' to postgres://u:Sw0rdf1sh@h/db as password=Sw0rdf1sh"
    )
    error = SqlError(secret, hint=secret, detail=secret, server_hint=secret, context=secret)
    for part in (error.message, error.hint, error.detail, error.server_hint, error.context):
        assert part == "alter role r password *** to postgres://u:***@h/db as password=***"
    assert "Sw0rdf1sh" not in str(error) + repr(error)
    for harmless in ("a password for u@h", "postgresql://user:password@host/db", "http://h:1/a"):
        assert FileError(harmless).message == harmless
