"""Parse a scenario: the steps of an attack or invariant, each with actor, expected outcome and SQL.

The steps of a file in attacks/ or invariants/ run in order in one savepoint, once per table if the
header says so: later steps see the changes of earlier ones, and all are rolled back at the end.

    -- as: MEMBER, ADMIN        actors: keys of fixture.ACTORS, `MEMBER of away`, or `owner`, the
                                connecting role; the step is repeated for each
    -- expect: nothing, 42501   the accepted outcomes
    -- if: boolean expression   optional: if true for the actor, that alone is the breach, and the
                                statement is not run because it would take a lock
    update public.projects set … where org_id = :'away.org'

Outcomes: `nothing` (no row seen or changed), `rows` (one or more), `done` (no error), `own` (rows,
none of which has an id of the other organization), `same` (the same response as the previous step,
except for ids), a SQLSTATE, or a SQLSTATE class (`22***`).

`:'org'`, `:'project'` … are ids of the actor's organization, `:'away.org'` … of the other one, and
`:'me'` is the actor. `-- each: table` in the header runs all steps on every tenant table, as
`:table`, with `:key`, its organization column. A statement may change only rows of the two fixture
organizations, must name them, and must not take a lock that blocks writers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from runner.isolation import fixture
from runner.isolation.fixture import ACTORS, AWAY, HOME, Actor
from runner.isolation.sql_cases import case_file
from runner.isolation.sql_cases.case_file import CaseFile

FOLDERS = ("attacks", "invariants")
OWNER = "owner"

_STEP = re.compile(
    r"(?:-- .*\n)*?-- as: (.+)\n-- expect: (.+)\n(?:-- if: (.+)\n)?((?:.*\n)+?)"
    r"(?=(?:-- .*\n)*?-- as: |\Z)"
)
_OUTCOME = re.compile(r"nothing|rows|done|own|same|[0-9A-Z]{5}|[0-9A-Z]{2}\*{3}")
_TABLE = re.compile(r"('(?:[^']|'')*')|(?<!:):table\b")


@dataclass(frozen=True)
class Step:
    """One statement by one actor, and its accepted outcomes."""

    actor_name: str
    expected: tuple[str, ...]
    condition: str  # of `-- if:`, or empty
    sql: str

    @property
    def actor(self) -> Actor | None:
        """The actor; None is the connecting role."""
        if self.actor_name == OWNER:
            return None
        if self.actor_name.endswith(" of away"):
            return fixture.signed_in(self.actor_name.removesuffix(" of away").lower(), AWAY)
        return ACTORS[self.actor_name]

    def substitute(self, text: str, table: str = "", key: str = "") -> str:
        """Return its SQL or condition with the ids, the quoted table name and its key inserted."""
        text = _TABLE.sub(lambda match: _with_table(match, table), text)
        text = re.sub(r"(?<!:):key\b", key, text)
        actor = self.actor
        me = actor.name.split(" ")[0] if actor and actor.role == "authenticated" else "member"
        values: Mapping[str, str] = {
            **HOME.ids(me=me),
            **{f"away.{name}": value for name, value in AWAY.ids().items()},
        }
        return fixture.substitute(text, values)


def _with_table(match: re.Match[str], table: str) -> str:
    """Return a match of _TABLE with the name inserted; within a literal, its quotes are doubled."""
    literal: str | None = match[1]
    if literal is None:
        return table
    escaped = table.replace("'", "''")
    return re.sub(r"(?<!:):table\b", lambda _: escaped, literal)


@cache
def scenarios() -> tuple[CaseFile, ...]:
    """Return every attack, then every invariant, in order."""
    return tuple(
        each for folder in FOLDERS for each in case_file.read(folder, ("safe", "source"), ("each",))
    )


@cache
def steps(scenario: CaseFile) -> tuple[Step, ...]:
    """Return the steps of a scenario; raise ValueError if it is malformed."""
    where = f"{scenario.folder}/{scenario.name}.sql"
    if scenario.fields.get("each", "table") != "table":
        raise ValueError(f"{where}: the only supported value is -- each: table")
    text = scenario.body + "\n"
    found = list(_STEP.finditer(text))
    if not found or "".join(match[0] for match in found) != text:
        raise ValueError(f"{where}: a step must be `-- as:`, `-- expect:`, then SQL")
    parsed = []
    for match in found:
        actors, outcomes = (tuple(re.split(r",\s*", match[n].strip())) for n in (1, 2))
        for actor in actors:
            if actor != OWNER and actor.removesuffix(" of away") not in ACTORS:
                raise ValueError(f"{where}: unknown actor {actor!r}")
        if unknown := [outcome for outcome in outcomes if not _OUTCOME.fullmatch(outcome)]:
            raise ValueError(f"{where}: unknown outcome {unknown[0]!r}")
        condition, statement = (match[3] or "").strip(), match[4].strip()
        if not statement:
            raise ValueError(f"{where}: a step of {actors[0]} has no SQL")
        parsed += [Step(actor, outcomes, condition, statement) for actor in actors]
    return tuple(parsed)
