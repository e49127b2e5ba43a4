"""The tree of errors: drawn as it is, each with its exit code."""

from __future__ import annotations

import re

from runner import errors
from runner.errors import Place, RunnerError

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
