"""The steps that an attack is made of: who, what may come of it, and the SQL.

A file of attacks/ or invariants/ is a row of steps, each tried by one actor, in one savepoint: what
a step did is there for the next one, and gone after the last.

    -- as: MEMBER, ADMIN        actors of world.ACTORS, `MEMBER of away`, or `owner`: who connects
    -- expect: nothing, 42501   what may come of it, any of these
    -- if: boolean expression   optional: where it is true for the actor, that alone is the breach,
                                and the statement, which would take a lock, is not run
    update public.projects set … where org_id = :'away.org'

What may come of a step: `nothing` (no row seen or changed), `rows` (one or more), `done` (no
error), `own` (rows, and none of them shows an id of the other organization), `same` (told word for
word what the step before told, but for the ids), a SQLSTATE, or a class of them (`22***`).

`:'org'`, `:'project'` … are ids of the actors' organization, `:'away.org'` … of the other one, and
`:'me'` is the actor. `-- each: table` in the head tries all steps on every table that tenants have:
`:table`, and `:key`, the column that says whose row it is. A statement changes only rows of these
two made-up organizations, names them, and takes no lock that writers would meet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from runner.isolation import fixture
from runner.isolation.fixture import ACTORS, AWAY, HOME, Actor
from runner.isolation.sql_cases import case_file
from runner.isolation.sql_cases.case_file import Sheet

FOLDERS = ("attacks", "invariants")
OWNER = "owner"

_STEP = re.compile(
    r"(?:-- .*\n)*?-- as: (.+)\n-- expect: (.+)\n(?:-- if: (.+)\n)?((?:.*\n)+?)"
    r"(?=(?:-- .*\n)*?-- as: |\Z)"
)
_TOKEN = re.compile(r"nothing|rows|done|own|same|[0-9A-Z]{5}|[0-9A-Z]{2}\*{3}")


@dataclass(frozen=True)
class Step:
    """One statement by one actor, and what may come of it."""

    name: str
    expected: tuple[str, ...]
    unless: str
    sql: str

    @property
    def actor(self) -> Actor | None:
        """Who tries it; None is who connected."""
        if self.name == OWNER:
            return None
        if self.name.endswith(" of away"):
            return fixture.person(self.name.removesuffix(" of away").lower(), AWAY)
        return ACTORS[self.name]

    def filled(self, text: str, table: str = "", key: str = "") -> str:
        """Return its SQL, or its condition, with the ids, the table and its key written in."""
        text = re.sub(r"(?<!:):table\b", table, text)
        text = re.sub(r"(?<!:):key\b", key, text)
        actor = self.actor
        me = actor.name.split(" ")[0] if actor and actor.role == "authenticated" else "member"
        values: Mapping[str, str] = {
            **HOME.ids(me=me),
            **{f"away.{name}": value for name, value in AWAY.ids().items()},
        }
        return fixture.filled(text, values)


@cache
def attacks() -> tuple[Sheet, ...]:
    """Every attack, then every invariant, in order."""
    return tuple(
        each for folder in FOLDERS for each in case_file.read(folder, ("safe", "source"), ("each",))
    )


@cache
def steps(attack: Sheet) -> tuple[Step, ...]:
    """Return the steps of an attack; raise ValueError where it is not made of steps."""
    where = f"{attack.folder}/{attack.name}.sql"
    if attack.fields.get("each", "table") != "table":
        raise ValueError(f"{where}: the only thing there is one of each of is a table")
    text = attack.body + "\n"
    found = list(_STEP.finditer(text))
    if not found or "".join(match[0] for match in found) != text:
        raise ValueError(f"{where}: a step is `-- as:`, `-- expect:`, then SQL")
    made = []
    for match in found:
        actors, tokens = (tuple(re.split(r",\s*", match[n].strip())) for n in (1, 2))
        for actor in actors:
            if actor != OWNER and actor.removesuffix(" of away") not in ACTORS:
                raise ValueError(f"{where}: there is no actor {actor!r}")
        if unknown := [token for token in tokens if not _TOKEN.fullmatch(token)]:
            raise ValueError(f"{where}: nothing known can come of it: {unknown[0]!r}")
        guard, statement = (match[3] or "").strip(), match[4].strip()
        if not statement:
            raise ValueError(f"{where}: a step of {actors[0]} has no SQL")
        made += [Step(actor, tokens, guard, statement) for actor in actors]
    return tuple(made)
