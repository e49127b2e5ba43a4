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
the header: only where requests have this setting. A statement may change only rows of the two
fixture tenants, must name them, and must not take a lock that blocks writers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from runner.errors import UsageError
from runner.isolation.actors import Actor, substitute, variables
from runner.isolation.project import Project
from runner.isolation.sql_cases.case_file import CaseFile
from runner.isolation.toml_file import nearest

OWNER = "owner"
OF_AWAY = " of away"

_STEP = re.compile(
    r"(?:-- .*\n)*?-- as: (.+)\n-- expect: (.+)\n(?:-- if: (.+)\n)?((?:.*\n)+?)"
    r"(?=(?:-- .*\n)*?-- as: |\Z)"
)
_OUTCOME = re.compile(r"nothing|rows|done|own|same|[0-9A-Z]{5}|[0-9A-Z]{2}\*{3}")
_TABLE = re.compile(r"('(?:[^']|'')*')|(?<!:):table\b")
_WORD = re.compile(r"(?<!:):(key|tenant_table|tenant_key|member_roles|api_roles)\b")


@dataclass(frozen=True)
class Step:
    """One statement by one actor, and its accepted outcomes."""

    actor_name: str
    expected: tuple[str, ...]
    condition: str  # of `-- if:`, or empty
    sql: str
    project: Project

    @property
    def actor(self) -> Actor | None:
        """The actor; None is the connecting role."""
        if self.actor_name == OWNER:
            return None
        if self.actor_name.endswith(OF_AWAY):
            return self.project.actor(self.actor_name.removesuffix(OF_AWAY), self.project.away)
        return self.project.actors[self.actor_name]

    def substitute(self, text: str, table: str = "", key: str = "") -> str:
        """Return its SQL or condition with the ids, the quoted table name and its key inserted."""
        project, actor = self.project, self.actor
        text = _TABLE.sub(lambda match: _with_table(match, table), text)
        member_roles, api_roles = project.quoted_roles
        words = {
            "key": key,
            "tenant_table": project.quoted_tenant_table,
            "tenant_key": project.tenant_key,
            "member_roles": member_roles,
            "api_roles": api_roles,
        }
        text = _WORD.sub(lambda match: words[match[1]], text)
        values: Mapping[str, str] = {
            **project.values(project.home, actor.user if actor else ""),
            **{f"away.{name}": value for name, value in project.values(project.away).items()},
        }
        return substitute(text, values)


def _with_table(match: re.Match[str], table: str) -> str:
    """Return a match of _TABLE with the name inserted; within a literal, its quotes are doubled."""
    literal: str | None = match[1]
    if literal is None:
        return table
    escaped = table.replace("'", "''")
    return re.sub(r"(?<!:):table\b", lambda _: escaped, literal)


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
                parsed.append(Step(actor, outcomes, condition, statement, project))
    return tuple(parsed)


def _actors(word: str, project: Project, where: str) -> list[str]:
    """Return the names that a word of `-- as:` stands for."""
    if word == OWNER:
        return [OWNER]
    name, away = (word.removesuffix(OF_AWAY), OF_AWAY) if word.endswith(OF_AWAY) else (word, "")
    members = project.members
    kinds = {
        "members": members,
        "some members": tuple(dict.fromkeys((members[0], members[-1]))),
        "one member": members[:1],
        "strangers": project.strangers,
        "anonymous": project.anonymous,
        "platform": project.platform,
        **{actor: (actor,) for actor in project.actors},
    }
    if name not in kinds:
        raise UsageError(f"{where}: unknown actor {word!r}", hint=nearest(name, kinds))
    return [f"{actor}{away}" for actor in kinds[name]]
