"""Values for the arguments of functions: of the other tenant, of none, and texts that tell."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg import sql

from runner.isolation.rows.fixture import Fixture
from runner.isolation.rows.identity import A, B
from runner.isolation.rows.snapshot import Snapshot
from runner.isolation.tenancy.objects import Argument, Function, Relation

_MOST, _MOST_OF_ONE = (
    6,
    24,
)  # values of the other tenant for one of several arguments, for the only one
_TEXT = {"text", "character varying", "character", "citext", "name"}
_NUMBER = {"integer", "bigint", "smallint", "numeric"}
_LARGEST = {"smallint": 10**4 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
_PLAIN = {
    "B": "true", "D": "now", "T": "0", "N": "1", "E": "", "U": "{}", "A": "{}", "S": "",
}  # fmt: skip
_PREFIX = re.compile(r"^(p|v|_|in|arg|the|wanted|of|by)?_+|_+$")


@dataclass(frozen=True)
class Value:
    """One argument as a literal."""

    type: str
    text: str | None
    variadic: bool = False
    kind: str = ""  # "other" for a value of the other tenant

    @property
    def sql(self) -> str:
        """The argument as SQL."""
        literal = "null" if self.text is None else sql.Literal(self.text).as_string(None)
        return f"{'variadic ' if self.variadic else ''}{literal}::{self.type}"


class Arguments:
    """Chooses values by the type and the name of an argument."""

    def __init__(self, fixture: Fixture, snapshot: Snapshot) -> None:
        self._fixture, self._snapshot = fixture, snapshot
        self._tables = [r for r in fixture.tenants.owned() if snapshot.rows.get(r.oid)]

    def of_other(self, function: Function) -> Iterator[tuple[int, list[Value]]]:
        """Yield arguments of the other tenant, with a number for those of the same kind.

        First all arguments are the other tenant's, then each alone, the rest being the own.
        """
        theirs = [self._values(a, B, function.source) for a in function.arguments]
        plain = [self._plain(a) for a in function.arguments]
        several = sum(map(bool, theirs)) > 1
        if several:
            theirs = [found[:_MOST] for found in theirs]
        for n in range(max(map(len, theirs), default=0) or 1):
            values = [
                found[min(n, len(found) - 1)] if found else default
                for found, default in zip(theirs, plain, strict=True)
            ]
            yield 0, values
            if function.required < len(values) and (n == 0 or function.required):
                yield 1, values[: function.required]
        if several:
            ours = [self._values(a, A, function.source)[:1] for a in function.arguments]
            for place, found in enumerate(theirs):
                for value in found:
                    values = [
                        own[0] if own else default for own, default in zip(ours, plain, strict=True)
                    ]
                    values = [Value(v.type, v.text, v.variadic) for v in values]
                    values[place] = value
                    yield 2 + place, values

    def plain(self, function: Function) -> Iterator[list[Value]]:
        """Yield arguments of no tenant, without and with the optional ones; and own ones."""
        plain = [self._plain(a) for a in function.arguments]
        yield plain
        if function.required < len(plain):
            yield plain[: function.required]
        ours = [self._values(a, A, function.source)[:1] for a in function.arguments]
        if any(ours):
            yield [own[0] if own else p for own, p in zip(ours, plain, strict=True)]

    def fresh(self, values: Sequence[Value]) -> list[Value]:
        """Return the arguments with values that no row has, instead of the other tenant's."""
        return [
            Value(v.type, _absent(v), v.variadic, "other") if v.kind == "other" else v
            for v in values
        ]

    def texts(self, function: Function, setting: str) -> Iterator[list[Value]]:
        """Yield arguments with a pattern, or with SQL that leaves a trace if it is executed."""
        call = f"pg_catalog.set_config('{setting}', '1', true)"
        plain = [self._plain(a) for a in function.arguments]
        theirs = {
            value.text for a in function.arguments for value in self._values(a, B, function.source)
        }
        ends = [f"%{text[-2:]}" for text in theirs if text and len(text) > 8][:2]
        for place, argument in enumerate(function.arguments):
            if argument.category != "S":
                continue
            for text in (
                "%", *ends, f"(select {call})", f"' || {call} || '", f"'; select {call}; --",
                f"x' or {call} = '1", '"',
            ):  # fmt: skip
                values = list(plain)
                values[place] = Value(argument.type, text)
                yield values
            everywhere = [
                Value(a.type, "%") if a.category == "S" else p
                for a, p in zip(function.arguments, plain, strict=True)
            ]
            yield everywhere

    def _values(self, argument: Argument, owner: str, source: str) -> list[Value]:
        """Return values of a tenant for an argument: of the columns that fit best first."""
        ranked: list[tuple[int, int, str]] = []
        words = set(re.findall(r"\w+", source))
        array = argument.type.endswith("[]")
        wanted = argument.type.removesuffix("[]")
        name = _PREFIX.sub("", argument.name.lower())
        for table in self._tables:
            for column in table.columns:
                if not _alike(column.type, wanted):
                    continue
                rank = _rank(name, table, column.name)
                rank += 0 if {table.name, column.name} <= words else 2
                values = [
                    value
                    for row in self._snapshot.of(table, owner)
                    if (value := row.values[column.name])
                    and self._snapshot.markers.get(value) == owner
                    and _fits(value, wanted)
                ]
                ranked += [(n, rank, value) for n, value in enumerate(dict.fromkeys(values[-3:]))]
        best = sorted(ranked, key=lambda found: found[:2])
        texts = list(dict.fromkeys(value for *_, value in best))[:_MOST_OF_ONE]
        return [
            Value(argument.type, f"{{{t}}}" if array else t, argument.variadic, "other")
            for t in texts
        ]

    def _plain(self, argument: Argument) -> Value:
        """Return a harmless value of the argument's type."""
        text: str | None = _PLAIN.get(argument.category)
        if argument.labels:
            labels = ",".join(argument.labels)
            text = f"{{{labels}}}" if argument.type.endswith("[]") else argument.labels[0]
        elif argument.category == "U" and "json" not in argument.type:
            text = None
        return Value(argument.type, text, argument.variadic)


def _fits(value: str, type_: str) -> bool:
    """Whether a number of a column is one of an argument's type, with room for an absent one."""
    if type_ not in _LARGEST:
        return True
    return re.fullmatch(r"-?\d+", value) is not None and abs(int(value)) <= _LARGEST[type_]


def _alike(column: str, argument: str) -> bool:
    base = re.sub(r"\(.*\)", "", column).strip()
    return (
        base == argument
        or (base in _TEXT and argument in _TEXT)
        or (base in _NUMBER and argument in _NUMBER)
    )


def _rank(name: str, table: Relation, column: str) -> int:
    """Return how well a column fits an argument's name: 0 is best."""
    singular = table.name.rstrip("s")
    if name and name == column:
        return 0
    if name and name.removesuffix("_id") in (table.name, singular) and column in table.key:
        return 0
    if column in table.key:
        return 1
    return 2 if name and (name in column or column in name) else 3


def _absent(value: Value) -> str | None:
    text = value.text or ""
    if text.startswith("{"):
        return "{" + (_absent(Value(value.type[:-2], text.strip("{}"))) or "") + "}"
    if text.isdigit():
        return str(int(text) // 10 * 10 + 7 + 10 * secrets.randbelow(10**4) + 10**5)
    try:
        uuid.UUID(text)
    except ValueError:
        return f"absent{secrets.token_hex(4)}"
    return str(uuid.uuid4())
