"""What a column is tried with: texts that its type may read, of the kinds that trip migrations.

Each list holds the nth value of several kinds, always in the same order, so that one kind can be
followed from n to n. What does not fit the type or a check is sorted out by PostgreSQL, elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from runner.preflight.sample_rows.shapes import Column

Lister = Callable[[Column, str, int], list[str]]

_LONG = "a text of some length " * 20
_LARGE = {"int2": "30000", "int4": "2000000000", "int8": "9000000000000000000"}
_ALPHABETS = ("abcdef", "ABCDEF", "123456789")
_QUOTED = re.compile(r"'((?:[^']|'')*)'")
_PATTERN = re.compile(r"~~?\*? '(?:[^']|'')*'")  # what follows ~, ~*, ~~ is no value
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")


def usual(column: Column, said: str, n: int) -> list[str]:
    """Return values that differ in what a migration may not expect.

    `said`: the conditions on the column, for the values that they name.
    """
    lister = _BY_KIND.get(column.kind) or _BY_CATEGORY.get(column.category) or _strange
    return _whole(column, said, lister(column, said, n))


def unusual(column: Column, said: str, n: int) -> list[str]:
    """Return guesses for a column whose conditions accept none of the usual values."""
    guesses = _guesses(said, n) if column.category in ("S", "U") else []
    return _whole(column, said, [*guesses, *_named(said)])


def _whole(column: Column, said: str, found: list[str]) -> list[str]:
    """Return the values as they are, or as arrays: of none, of several, of those named, of one."""
    if column.category == "S" and column.size > 4:  # the catalog counts a header of four
        found = [text[4 - column.size :] for text in found]  # where the number is
    if not column.is_array:
        return found
    several = list(dict.fromkeys(found))[:12]
    return ["{}", *(_array(values) for values in (several, _named(said), *([v] for v in found)))]


def _array(values: Sequence[str]) -> str:
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"


# --- by type -------------------------------------------------------------------------------------


def _texts(_: Column, said: str, n: int) -> list[str]:
    """Return a plain text, none, a long one, one that is not ASCII, and what conditions name."""
    lengths = (_counted(n, _ALPHABETS[0], length) for length in _lengths(said))
    return [f"made {n}", "", f"{_LONG}{n}", f"žluťoučký 漢字 😀 {n}", *_named(said), *lengths]


def _numbers(column: Column, said: str, n: int) -> list[str]:
    """Return small, none, negative and large ones, and what conditions name, with neighbours."""
    large = _LARGE.get(column.kind, "12345678901.25")
    if column.kind == "numeric" and column.size >= 4:
        precision, scale = divmod(column.size - 4, 1 << 16)
        large = str((Decimal(10) ** precision - 1).scaleb(-scale))
    named = [Decimal(text) for text in dict.fromkeys(_NUMBER.findall(said))][:6]
    return [str(n), "0", "-1", large, *(str(v + step) for v in named for step in (0, 1, -1))]


def _dates(_: Column, said: str, n: int) -> list[str]:
    return [_day(n), "1970-01-01", "now", "2999-12-31", *_named(said)]


def _times(_: Column, said: str, n: int) -> list[str]:
    return [f"{n // 60 % 24:02}:{n % 60:02}", "00:00", "23:59:59.999", *_named(said)]


def _ranges(_: Column, __: str, n: int) -> list[str]:
    return [f"[{n},{n + 1})", f"[{_day(n)},{_day(n + 1)})", "empty"]


def _bits(column: Column, _: str, n: int) -> list[str]:
    return [_fitted(bits, column.size, "0") for bits in (f"{n:b}", "0", "1" * 64)]


def _jsons(_: Column, __: str, n: int) -> list[str]:
    return [f'{{"made": {n}}}', "{}", '{"a": {"b": [1, null, "c"]}}']


def _strange(column: Column, _: str, n: int) -> list[str]:
    """Return what one type or another reads: addresses, shapes, vectors, composites, the rest."""
    width = max(1, column.width)
    return [
        f"10.0.{n // 256 % 256}.{n % 256}",
        "2001:db8::1",
        f"08:00:2b:01:{n // 256 % 256:02x}:{n % 256:02x}",
        f"({n},{n})",
        f"(({n},{n}),({n + 1},{n + 1}))",
        f"<({n},{n}),1>",
        f"{{1,1,{n}}}",
        f"POINT({n} {n})",
        "[" + ",".join([str(n)] * min(max(3, column.size), 2000)) + "]",
        "(" + ",".join([str(n)] * width) + ")",
        "(" + "," * (width - 1) + ")",
        f"<a>{n}</a>",
        f"0/{n:X}",
        f"made{n}",
        f"{n}",
        "",
    ]


_BY_KIND: dict[str, Lister] = {
    "time": _times,
    "timetz": _times,
    "json": _jsons,
    "jsonb": _jsons,
    "uuid": lambda _, __, n: [str(UUID(int=n)), str(UUID(int=2**128 - n))],
    "bytea": lambda _, __, n: [f"\\x{n:08x}", "\\x", "\\xdeadbeef"],
}
_BY_CATEGORY: dict[str, Lister] = {
    "S": _texts,
    "N": _numbers,
    "D": _dates,
    "T": lambda _, said, n: [f"{n} days", "0", "-1 year", *_named(said)],
    "B": lambda *_: ["false", "true"],
    "V": _bits,
    "e": lambda column, *_: column.labels,
    "r": _ranges,
    "m": lambda *given: [f"{{{value}}}" for value in _ranges(*given)],
}


def _guesses(said: str, n: int) -> list[str]:
    """Return what people often ask of a text, or of a document."""
    return [
        f"made{n}",
        f"made{n}@example.com",
        f"https://example.com/{n}",
        f"made-{n}",
        f"/made/{n}",
        f"example{n}.com",
        f"c{n:024}",
        f"{n}",
        str(UUID(int=n)),
        f"#{n:06x}",
        f"+1555{n:07}",
        f"{n}.0.0",
        f"Made {n}",
        f"MADE_{n}",
        f"[{n}]",
        "[]",
        "null",
        *(_counted(n, letters, length) for length in _lengths(said) for letters in _ALPHABETS),
    ]


# --- words ---------------------------------------------------------------------------------------


def _named(said: str) -> list[str]:
    """Return the texts that conditions name."""
    found = _QUOTED.findall(_PATTERN.sub("", said))
    return [text.replace("''", "'") for text in dict.fromkeys(found)][:24]


def _lengths(said: str) -> list[int]:
    """Return the counts that conditions name, and those that are one longer."""
    found = [int(text) for text in dict.fromkeys(re.findall(r"\d+", said))][:6]
    return [length for count in found for length in (count, count + 1) if 0 < length < 2000]


def _day(n: int) -> str:
    return str(date(2000, 1, 1) + timedelta(days=n))


def _counted(n: int, alphabet: str, length: int) -> str:
    """Return a number of this length, written with the letters of an alphabet."""
    text = ""
    while n:
        n, rest = divmod(n, len(alphabet))
        text = alphabet[rest] + text
    return _fitted(text, length, alphabet[0])


def _fitted(text: str, size: int, filling: str) -> str:
    return text.rjust(size, filling)[-size:] if size > 0 else text
