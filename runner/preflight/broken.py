"""Name the function that fails because something that it uses is missing."""

from __future__ import annotations

import re

import psycopg

_MISSING = ("42703", "42704", "42883", "42P01", "3F000")  # column, object, function, table, schema
_FUNCTION = re.compile(r"^(?:PL/pgSQL|SQL) function (.+?) (?:line \d|statement \d|during )")
_USED = re.compile(r"^(?:\w{5}: )?(?:missing: )?(.+) \(in function (.+)\)", re.MULTILINE)


def message(error: psycopg.Error) -> str:
    """Return the message of an error, and the innermost function if that lacks what it uses."""
    text = error.diag.message_primary or str(error)
    for line in (error.diag.context or "").splitlines() if error.sqlstate in _MISSING else ():
        if match := _FUNCTION.match(line):
            return f"{text} (in function {match[1]})"
    return text


def function(text: str) -> tuple[str, str] | None:
    """Return what is missing, and the function that uses it, if a text has such a message."""
    match = _USED.search(text)
    return (match[1], match[2]) if match else None
