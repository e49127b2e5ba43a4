"""List candidate values for a column, as text: of kinds that often break migrations.

Each list has the nth value of several kinds, always in the same order, so that one kind can be
followed from n to n. `fitting` drops values that PostgreSQL rejects for the type or a check.
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
# Large in absolute value. Positive ones stay below what would fill a disk as an argument of
# generate_series() or repeat().
_LARGE = {"int2": "30000", "int4": "100000", "int8": "100000"}
_SMALL = {"int4": "-2000000000", "int8": "-9000000000000000000"}
# For numbers of an owner: a base of 16 bits gives distinct ranges, except for smallint.
_OFFSETS = {"int4": 100_000_000, "int8": 10**12}
_STEPS = {"int4": 20_000, "int8": 10**7, "int2": 0}
_ALPHABETS = ("abcdef", "ABCDEF", "123456789")
_QUOTED = re.compile(r"'((?:[^']|'')*)'")
_PATTERN = re.compile(r"~~?\*? '(?:[^']|'')*'")  # a pattern after ~, ~*, ~~ is not a value
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")


def usual(column: Column, conditions: str, n: int) -> list[str]:
    """Return values that a migration may not expect, such as empty, long or extreme ones.

    `conditions` is the SQL of the checks on the column: values that it mentions are included.
    """
    lister = _BY_KIND.get(column.kind) or _BY_CATEGORY.get(column.category) or _others
    return _whole(column, conditions, lister(column, conditions, n))


def unusual(column: Column, conditions: str, n: int) -> list[str]:
    """Return guesses for a column whose conditions accept none of the usual values."""
    guesses = _guesses(conditions, n) if column.category in ("S", "U") else []
    return _whole(column, conditions, [*guesses, *_named(conditions)])


def mentioned(conditions: str) -> list[str]:
    """Return the values that conditions mention."""
    return _named(conditions)


def marked(marker: str, base: int) -> Lister:
    """Return a lister of values that name their owner: `marker` in texts, numbers above `base`.

    `base`: up to 16 bits. Dates, flags and labels cannot be marked.
    """

    def lister(column: Column, conditions: str, n: int) -> list[str]:
        day = _day(n % 9000)
        found = {
            "S": [
                f"{marker}{n}",
                f"{marker}-{n}",
                f"{marker}{n}@example.com",
                f"https://{marker}{n}.example.com/",
                f"{marker}{n}.example.com",
                f"/{marker}/{n}",
                f"{marker.upper()}{n}",
            ],
            "N": [str(_OFFSETS.get(column.kind, 0) + base * _STEPS.get(column.kind, 1) + n)],
            "D": [day],
            "r": [f"[{day} 09:00Z,{day} 10:00Z)", f"[{day},{day}]", f"[{base + n},{base + n + 1})"],
        }.get(column.category, [])
        if column.kind == "uuid":
            found = [str(UUID(int=(base << 96) + (0x4 << 76) + (0x8 << 60) + n))]
        if column.kind in ("json", "jsonb"):
            found = [f'{{"{marker}": {n}}}']
        return _whole(column, conditions, found)

    return lister


def _whole(column: Column, conditions: str, found: list[str]) -> list[str]:
    """Return the values, or arrays of them: empty, of several, of those mentioned, of one."""
    if column.category == "S" and column.size > 4:  # the modifier includes a header of four bytes
        found = [text[4 - column.size :] for text in found]  # keep the end, which has the number
    if not column.is_array:
        return found
    several = list(dict.fromkeys(found))[:12]
    return [
        "{}",
        *(_array(values) for values in (several, _named(conditions), *([v] for v in found))),
    ]


def _array(values: Sequence[str]) -> str:
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"


# --- by type -------------------------------------------------------------------------------------


def _texts(_: Column, conditions: str, n: int) -> list[str]:
    """Return a short, an empty, a long and a non-ASCII text, and those in conditions."""
    lengths = (_counted(n, _ALPHABETS[0], length) for length in _lengths(conditions))
    return [f"made {n}", "", f"{_LONG}{n}", f"žluťoučký 漢字 😀 {n}", *_named(conditions), *lengths]


def _numbers(column: Column, conditions: str, n: int) -> list[str]:
    """Return a small, zero, negative and large number, and those in conditions and next to them."""
    large = [_LARGE.get(column.kind, "100000.25"), _SMALL.get(column.kind, "-12345678901.25")]
    if column.kind == "numeric" and column.size >= 4:
        precision, scale = divmod(column.size - 4, 1 << 16)
        most = (Decimal(10) ** precision - 1).scaleb(-scale)
        large = [str(min(most, Decimal(100_000))), str(-most)]
    named = [Decimal(text) for text in dict.fromkeys(_NUMBER.findall(conditions))][:6]
    return [str(n), "0", "-1", *large, *(str(v + step) for v in named for step in (0, 1, -1))]


def _dates(_: Column, conditions: str, n: int) -> list[str]:
    return [_day(n), "1970-01-01", "now", "2999-12-31", *_named(conditions)]


def _times(_: Column, conditions: str, n: int) -> list[str]:
    return [f"{n // 60 % 24:02}:{n % 60:02}", "00:00", "23:59:59.999", *_named(conditions)]


def _ranges(_: Column, __: str, n: int) -> list[str]:
    return [f"[{n},{n + 1})", f"[{_day(n)},{_day(n + 1)})", "empty"]


def _bits(column: Column, _: str, n: int) -> list[str]:
    return [_fitted(bits, column.size, "0") for bits in (f"{n:b}", "0", "1" * 64)]


def _jsons(_: Column, __: str, n: int) -> list[str]:
    return [f'{{"made": {n}}}', "{}", '{"a": {"b": [1, null, "c"]}}']


def _others(column: Column, _: str, n: int) -> list[str]:
    """Return texts for all other types: addresses, geometry, vectors, composites and more."""
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
    "T": lambda _, conditions, n: [f"{n} days", "0", "-1 year", *_named(conditions)],
    "B": lambda *_: ["false", "true"],
    "V": _bits,
    "e": lambda column, *_: column.labels,
    "r": _ranges,
    "m": lambda *given: [f"{{{value}}}" for value in _ranges(*given)],
}


def _guesses(conditions: str, n: int) -> list[str]:
    """Return values of common text formats and of JSON."""
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
        *(
            _counted(n, letters, length)
            for length in _lengths(conditions)
            for letters in _ALPHABETS
        ),
    ]


# --- text ----------------------------------------------------------------------------------------


def _named(conditions: str) -> list[str]:
    """Return the string literals in conditions."""
    found = _QUOTED.findall(_PATTERN.sub("", conditions))
    return [text.replace("''", "'") for text in dict.fromkeys(found)][:24]


def _lengths(conditions: str) -> list[int]:
    """Return the integers in conditions, and each plus one, as lengths."""
    found = [int(text) for text in dict.fromkeys(re.findall(r"\d+", conditions))][:6]
    return [length for count in found for length in (count, count + 1) if 0 < length < 2000]


def _day(n: int) -> str:
    return str(date(2000, 1, 1) + timedelta(days=n))


def _counted(n: int, alphabet: str, length: int) -> str:
    """Return a number of this length, with the letters of an alphabet as its digits."""
    text = ""
    while n:
        n, rest = divmod(n, len(alphabet))
        text = alphabet[rest] + text
    return _fitted(text, length, alphabet[0])


def _fitted(text: str, size: int, filling: str) -> str:
    return text.rjust(size, filling)[-size:] if size > 0 else text
