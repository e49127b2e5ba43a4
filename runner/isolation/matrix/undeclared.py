"""Find relations in exposed schemas that have no rights in isolation.toml: each is a breach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runner.isolation.fixes import declare
from runner.isolation.matrix.attempt import Outcome, attempt
from runner.isolation.matrix.judge import preamble
from runner.isolation.project import Project
from runner.isolation.verdict import Breach
from runner.postgres.connection import Connection
from runner.queries import query


@dataclass(frozen=True)
class Relation:
    """One row of exposed_relations.sql."""

    schema: str
    name: str
    qualified: str
    kind: str
    secured: bool  # row-level security is enabled
    invoker: bool  # a view with security_invoker
    parent: str | None  # the table it is a partition of
    extension: str | None  # the extension it belongs to
    granted: list[str]  # "select to anon"


def relations(connection: Connection, project: Project, schemas: Sequence[str]) -> list[Relation]:
    """Return the tables, partitions, (materialized) views and foreign tables of the schemas."""
    rows = connection.execute(
        query("isolation/matrix/exposed_relations"),
        {"schemas": list(schemas), "roles": project.roles()},
    )
    return [Relation(*row) for row in rows]


def undeclared(connection: Connection, project: Project, schemas: Sequence[str]) -> list[Breach]:
    """Return a breach for each relation that is not in the permission table.

    Partitions of declared tables and relations of extensions are accepted as long as no API role
    has a privilege on them.
    """
    declared = {f"public.{table}" for table in project.tables}
    found = relations(connection, project, schemas)
    partitions = {r.qualified for r in found if r.parent in declared}
    for _ in found:  # partitions of partitions
        partitions |= {r.qualified for r in found if r.parent in partitions}
    return [
        _breach(connection, project, relation)
        for relation in found
        if relation.qualified not in declared
        and (relation.granted or not (relation.qualified in partitions or relation.extension))
    ]


def _breach(connection: Connection, project: Project, relation: Relation) -> Breach:
    text = f"select * from {relation.qualified} limit 4"  # noqa: S608 - quoted by format()
    exposed: list[str] = []
    worst = ""
    # A foreign table is not tried: reading it would connect to another server.
    outsiders = (*project.anonymous[:1], *project.strangers[:1], project.members[-1])
    for name in outsiders if relation.kind != "foreign table" else ():
        outcome = attempt(connection, project.actors[name], text)
        exposed.append(f"{name}: {_count(outcome)}")
        if not outcome.sqlstate and not worst:
            worst = name
    weakness = {
        "table": "" if relation.secured else "row-level security is off",
        "partitioned table": "" if relation.secured else "row-level security is off",
        "view": ""
        if relation.invoker
        else "it reads with its owner's rights (no security_invoker)",
    }.get(relation.kind, f"a {relation.kind} has no row-level security")
    grants = f"grant {', '.join(relation.granted)}" if relation.granted else ""
    actor = project.actors[worst or project.members[-1]]
    by_role: dict[str, list[str]] = {}
    for name in (*project.anonymous, *project.members, *project.platform):
        by_role.setdefault(project.actors[name].role, []).append(name)
    return Breach(
        proof=f"undeclared.{relation.qualified}",
        subject=relation.qualified,
        summary=f"the {relation.kind} {relation.qualified} is in an exposed schema, but not in "
        f"{project.file.path}",
        actor=f"{actor.name}: {actor.description}" if worst else "",
        sql=preamble(actor, text) if worst else "",
        exposed="; ".join(exposed),
        cause="; ".join(filter(None, (weakness, grants))) or "no privileges yet, and undeclared",
        intended=declare.of_grants(
            relation.qualified, relation.granted, by_role, project.file.path
        ),
        fix=f"revoke all on {relation.qualified} from public, {', '.join(project.roles())};",
    )


def _count(outcome: Outcome) -> str:
    """Return how many rows were seen, never their content: it may be personal data."""
    if outcome.sqlstate:
        return f"refused ({outcome.sqlstate})" if outcome.refused else f"error {outcome.sqlstate}"
    return f"saw {'at least ' if outcome.rows == 4 else ''}{outcome}"
