"""The error classes: documented tree, codes, exit codes, positions and masked passwords."""

from __future__ import annotations

import re

from runner import errors
from runner.errors import FileError, Place, RunnerError, SqlError, masked

KINDS: list[type[RunnerError]] = [RunnerError, *RunnerError.__subclasses__()]


def test_docstring_lists_every_error_class_and_its_exit_code() -> None:
    documented = re.findall(r"^ +(?:[├└]── )?(\w+) +exit (\d+)", errors.__doc__ or "", re.MULTILINE)
    assert {(kind.__name__, kind.exit_code) for kind in KINDS} == {
        (name, int(code)) for name, code in documented
    }


def test_every_error_class_has_a_unique_code() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS)


def test_place_is_formatted_as_file_line_column() -> None:
    assert str(Place("a.sql", 3, 7)) == "a.sql:3:7"
    assert str(Place("a.sql", 3)) == "a.sql:3"
    assert str(Place("a.sql")) == "a.sql"


def test_error_masks_passwords_in_every_field() -> None:
    secret = (
        "alter role r password 'Sw0rdf1sh' to postgres://u:Sw0rdf1sh@h/db as password=Sw0rdf1sh"
    )
    error = SqlError(secret, hint=secret, detail=secret, server_hint=secret, context=secret)
    for part in (error.message, error.hint, error.detail, error.server_hint, error.context):
        assert part == "alter role r password *** to postgres://u:***@h/db as password=***"
    assert "Sw0rdf1sh" not in str(error) + repr(error)
    for shown in ("password: x", "'passwd' => 'x y'", '"password": "x"', "password = ''x y''"):
        assert "x" not in masked(shown), shown
    for harmless in (
        "password::text",
        "Enter password:",
        "a password for u@h",
        "postgresql://user:password@host/db",
        "http://h:1/a",
    ):
        assert FileError(harmless).message == harmless
