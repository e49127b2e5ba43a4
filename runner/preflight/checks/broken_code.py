"""Find triggers and functions that use what a file has renamed or dropped.

Two ways: what fails when it is tried, and what still has the old name in its text. A statement in
a branch that no tried change reaches is found only in the second way, which is no proof.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from runner.postgres.connection import Connection
from runner.preflight.diff import Difference
from runner.queries import query

_RELATIONS = ("foreign table", "materialized view", "sequence", "table", "view")
_NAMED_IN_CODE = (*_RELATIONS, "aggregate", "column", "function", "procedure", "schema", "type")
_LABEL = re.compile(r"'(?:[^']|'')*'")
_PART = re.compile(r'"((?:[^"]|"")*)"|([^".(]+)')


def removes_names(differences: Sequence[Difference]) -> bool:
    """Return whether an object, column or enum value is gone, which code may still use by name."""
    return any((d.is_whole and d.after is None) or _labels(d) for d in differences)


def failing(connection: Connection) -> set[tuple[str, str]]:
    """Return what fails for want of an object or column, each with PostgreSQL's reason."""
    with connection.transaction(force_rollback=True):
        connection.execute(query("preflight/checks/broken_code"))
        found = connection.execute("select * from pg_temp.broken_code()").fetchall()
    return {(what, reason) for what, reason in found}


def described(found: set[tuple[str, str]]) -> Iterator[str]:
    for what, reason in sorted(found):
        yield f"{what}: {reason}"


def naming(connection: Connection, differences: Sequence[Difference]) -> Iterator[str]:
    """Yield a sentence for each name that is gone and still in the text of functions."""
    gone = list(dict.fromkeys(_gone(differences)))
    if gone:
        names, patterns, tables = map(list, zip(*gone, strict=True))
        values = {"names": names, "patterns": patterns, "tables": tables}
        for name, functions in connection.execute(query("preflight/checks/old_names"), values):
            yield (
                f"renames or drops {name}, which is still in the text of {functions}: not every "
                "statement of a function is tried"
            )


def _gone(differences: Sequence[Difference]) -> Iterator[tuple[str, str, str]]:
    """Yield each name that is gone, a pattern for it in code, and the table of a column."""
    new = {(d.kind, _last(d.name)) for d in differences if d.is_whole and d.before is None}
    for d in differences:
        for label in _labels(d):
            yield label, re.escape(label), ""
        if d.is_whole and d.after is None and d.kind in _NAMED_IN_CODE:
            parts = [re.escape(part) for part in _parts(d.name)]
            moved = (d.kind, _last(d.name)) in new  # to another schema
            pattern = rf"\m{parts[-1]}\M"
            if d.kind != "column" and moved:
                pattern = rf"\m{parts[-2]}\s*\.\s*{parts[-1]}\M"
            yield _last(d.name), pattern, (d.of or "") if d.kind == "column" else ""


def _labels(difference: Difference) -> list[str]:
    """Return the labels that an enum has no more, quoted."""
    if (difference.kind, difference.trait) != ("type", "labels"):
        return []
    left = _LABEL.findall(difference.after or "")
    return [label for label in _LABEL.findall(difference.before or "") if label not in left]


def _parts(name: str) -> list[str]:
    return [quoted or plain for quoted, plain in _PART.findall(name.partition("(")[0])]


def _last(name: str) -> str:
    return _parts(name)[-1]
