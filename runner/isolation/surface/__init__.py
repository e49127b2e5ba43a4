"""The security surface: every fact that decides who reaches which rows, one a line.

It is read from the catalog snapshot, which drift compares too, and by queries/cluster.sql for what
is not the schema's own. `lock_file` keeps it as reviewed, `comparison` compares, `review` reports.

Each kind of fact can open something. A default or generated expression runs for every writer;
checks and keys hold what policies rely on, and a unique, exclusion or foreign key tells one tenant
what another has; NOT NULL keeps the tenant's key set. Left out: plain indexes, comments,
statistics, storage, and the numbers of a sequence.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

from runner.postgres.connection import Connection
from runner.queries import query
from runner.schema import snapshot
from runner.schema.snapshot import Fact

NAME = "surface"
Surface = tuple[Fact, ...]  # sorted, each on one line

# Traits; drift compares them all.
_NOT_SECURITY = {
    *("clustered on", "comment", "compression", "cost", "of type", "owned by", "rows", "sequence"),
    *("statistics", "storage", "target", "toast options"),
}
# PostgreSQL prints functions with their schema, except its own.
_CALLS_A_FUNCTION = re.compile(r"""[\w"]\.(?:\w+|"(?:[^"]|"")+")\(""")
_TABLE_PRIVILEGES = ("delete", "insert", "references", "select", "trigger", "truncate", "update")
_ONE_RELATION = re.compile(
    r"SELECT (?:(?!SELECT| JOIN ).)*? FROM \w+\.(\w+)(?: (\w+))?(?: [A-Z](?:(?!SELECT| JOIN ).)*)?;"
)
_QUOTED_OR_SPACE = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")|[ \t\n\r\f\v]+""")


def take(connection: Connection) -> Surface:
    """Return the surface as it is now, also inside an open transaction. Changes nothing.

    It does not depend on the server's major version, on the role that reads it, on who owns the
    schema, or on the database's name. The source of a function is given as a hash, so that an edit
    of white space or a comment is a difference too.
    """
    facts = [
        *snapshot.take(connection).facts,
        *snapshot.read(connection, snapshot.scoped(query("isolation/surface/cluster"))),
    ]
    shown = {_shown(fact) for fact in _relevant(sorted(facts))}
    if connection.info.server_version < 160000:
        shown = {_unqualified(fact) for fact in shown}
    return tuple(sorted(shown))


def one_line(text: str) -> str:
    """Return SQL on one line: white space is one space, except where it is quoted."""
    shown = _QUOTED_OR_SPACE.sub(lambda match: match[1] or " ", text.strip())
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in shown)


def _relevant(facts: Iterable[Fact]) -> Iterator[Fact]:
    for (kind, _), of_object in groupby(facts, lambda fact: (fact.kind, fact.name)):
        traits = {fact.trait: fact for fact in of_object if fact.trait not in _NOT_SECURITY}
        if kind in ("index", "statistics") and not _decides(traits["definition"].value):
            continue
        if kind in ("column", "table"):
            traits.pop("options", None)
        for trait in [trait for trait in traits if _is_part_of_all(trait, traits)]:
            with_it = trait.replace("maintain", "select", 1)
            undo = f"{traits[with_it].unmake}; {traits.pop(trait).unmake}"
            traits[with_it] = replace(traits[with_it], unmake=undo)
        for trait, fact in traits.items():
            # That an object exists is said by its other facts, if it always has any.
            if trait or len(traits) == 1 or kind == "membership":
                yield fact


def _decides(definition: str) -> bool:
    """Whether an index or statistics refuse rows, or run a function for each."""
    is_unique = definition.startswith("CREATE UNIQUE INDEX")
    return is_unique or bool(_CALLS_A_FUNCTION.search(definition))


def _is_part_of_all(trait: str, traits: dict[str, Fact]) -> bool:
    """Whether it is MAINTAIN, which came with PostgreSQL 17, granted together with all others."""
    privilege, _, grantee = trait.partition(" to ")
    return privilege == "maintain" and all(f"{p} to {grantee}" in traits for p in _TABLE_PRIVILEGES)


def _unqualified(fact: Fact) -> Fact:
    """Return the definition of a view of one relation as it is printed since PostgreSQL 16."""
    one = _ONE_RELATION.fullmatch(fact.value) if fact.kind.endswith("view") else None
    name = one and re.escape(one[2] or one[1])
    return replace(fact, value=re.sub(rf"(?<![\w.]){name}\.", "", fact.value)) if name else fact


def _shown(fact: Fact) -> Fact:
    """Return the fact as it is compared and written."""
    value = fact.value
    if fact.trait == "body":
        value = f"sha256 {hashlib.sha256(value.encode()).hexdigest()[:32]}"
    name, trait = (one_line(text).replace(" | ", " \\| ") for text in (fact.name, fact.trait))
    return replace(fact, name=name, trait=trait, value=one_line(value))
