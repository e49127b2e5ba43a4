"""Parse a scenario: the steps of an attack or invariant, each with actor, expected outcome and SQL.

The steps of a file in attacks/ or invariants/ run in order in one savepoint, once per table if the
header says so: later steps see the changes of earlier ones, and all are rolled back at the end.

    -- as: members, anonymous   actors: see below; the step is repeated for each
    -- expect: nothing, 42501   the accepted outcomes
    -- if: boolean expression   optional: if true for the actor, that alone is the breach, and the
                                statement is not run because it would take a lock
    update public.t set … where tenant_id = :'away.org'

Actors: a name of [actors], `NAME of away`, or `owner`, the connecting role. A file for every
project names them by kind: `members` (of the tenant), `some members` (the first and the last),
`one member` (the first), `strangers` (signed in, of no tenant), `anonymous`, `platform`
(everywhere).

Outcomes: `nothing` (no row seen or changed), `rows` (one or more), `done` (no error), `own` (rows,
none of which has an id of the other tenant), `same` (the same response as the previous step, except
for ids), a SQLSTATE, or a SQLSTATE class (`22***`).

`:'org'`, `:'project'` … are ids of the actor's tenant, `:'away.org'` … of the other one, `:'me'` is
the actor and `:'user'` the UUID in their token. `-- each: table` in the header runs all steps on
every tenant table, as `:table`, with `:key`, its tenant column. `:tenant_table` and `:tenant_key`
are the table of the tenants, `:member_roles` and `:api_roles` lists of roles. `-- setting: name` in
the header: only where requests have this setting. `-- platform: function: why`: where a platform
owns the function, the attack may succeed, which is then neither a breach nor a proof. A statement
may change only rows of the two fixture tenants, must name them, and must not take a lock that
blocks writers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from runner.errors import UsageError
from runner.isolation.project import Project
from runner.isolation.sql_cases.case_file import CaseFile
from runner.isolation.tenancy.variables import variables
from runner.isolation.toml_file import nearest

OWNER = "the connecting role"  # what `owner` stands for: no actor can have this name
_OWNER = "owner"
OF_AWAY = " of away"

_STEP = re.compile(
    r"(?:-- .*\n)*?-- as: (.+)\n-- expect: (.+)\n(?:-- if: (.+)\n)?((?:.*\n)+?)"
    r"(?=(?:-- .*\n)*?-- as: |\Z)"
)
_OUTCOME = re.compile(r"nothing|rows|done|own|same|[0-9A-Z]{5}|[0-9A-Z]{2}\*{3}")


@dataclass(frozen=True)
class Step:
    """One statement by one actor, and its accepted outcomes."""

    actor_name: str
    expected: tuple[str, ...]
    condition: str  # of `-- if:`, or empty
    sql: str


def steps(scenario: CaseFile, project: Project) -> tuple[Step, ...]:
    """Return the steps of a scenario; raise UsageError if it is malformed."""
    where = scenario.where
    if scenario.fields.get("each", "table") != "table":
        raise UsageError(f"{where}: the only supported value is -- each: table")
    text = scenario.body + "\n"
    found = list(_STEP.finditer(text))
    if not found or "".join(match[0] for match in found) != text:
        raise UsageError(f"{where}: a step must be `-- as:`, `-- expect:`, then SQL")
    for name in variables(text):
        if name.removeprefix("away.") not in project.names:
            hint = nearest(name, project.names)
            raise UsageError(f"{where}: unknown variable :'{name}'", hint=hint)
    parsed = []
    for match in found:
        words, outcomes = (tuple(re.split(r",\s*", match[n].strip())) for n in (1, 2))
        if unknown := [outcome for outcome in outcomes if not _OUTCOME.fullmatch(outcome)]:
            raise UsageError(f"{where}: unknown outcome {unknown[0]!r}")
        condition, statement = (match[3] or "").strip(), match[4].strip()
        if not statement:
            raise UsageError(f"{where}: a step of {words[0]} has no SQL")
        for word in words:
            for actor in _actors(word, project, where):
                parsed.append(Step(actor, outcomes, condition, statement))
    return tuple(parsed)


def _actors(word: str, project: Project, where: str) -> list[str]:
    """Return the names that a word of `-- as:` stands for."""
    if word == _OWNER:
        return [OWNER]
    name, away = (word.removesuffix(OF_AWAY), OF_AWAY) if word.endswith(OF_AWAY) else (word, "")
    members = project.members
    kinds = {
        "members": members,
        "some members": tuple(dict.fromkeys((*members[:1], *members[-1:]))),
        "one member": members[:1],
        "strangers": project.strangers,
        "anonymous": project.anonymous,
        "platform": project.platform,
        **{actor: (actor,) for actor in project.actors},
    }
    if name not in kinds:
        raise UsageError(f"{where}: unknown actor {word!r}", hint=nearest(name, kinds))
    return [f"{actor}{away}" for actor in kinds[name]]
