"""What lies in the exposed schemas, and nobody has decided on: each such table is a breach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runner.isolation.fixture import ACTORS
from runner.isolation.matrix.attempt import Outcome, attempt
from runner.isolation.matrix.cases import tables
from runner.isolation.matrix.judge import preamble
from runner.isolation.verdict import Breach
from runner.postgres.connection import Connection
from runner.queries import query

API_ROLES = ("anon", "authenticated", "service_role")


@dataclass(frozen=True)
class Relation:
    """One line of exposed.sql."""

    schema: str
    name: str
    qualified: str
    kind: str
    secured: bool
    invoker: bool
    parent: str | None  # the table it is a partition of
    extension: str | None  # the extension it came with
    granted: list[str]  # "select to anon"


def relations(connection: Connection, schemas: Sequence[str]) -> list[Relation]:
    """Return every table, view, materialized view, foreign table and partition of the schemas."""
    rows = connection.execute(
        query("isolation/matrix/exposed_relations"),
        {"schemas": list(schemas), "roles": list(API_ROLES)},
    )
    return [Relation(*row) for row in rows]


def undecided(connection: Connection, schemas: Sequence[str]) -> list[Breach]:
    """Return a breach for each relation that the permission table does not know.

    A partition of a table that it knows, and what came with an extension, may stay as long as no
    API role holds anything on it.
    """
    known = {f"public.{table}" for table in tables()}
    found = relations(connection, schemas)
    partitions = {r.qualified for r in found if r.parent in known}
    for _ in found:  # partitions of partitions
        partitions |= {r.qualified for r in found if r.parent in partitions}
    return [
        _breach(connection, relation)
        for relation in found
        if relation.qualified not in known
        and (relation.granted or not (relation.qualified in partitions or relation.extension))
    ]


def _breach(connection: Connection, relation: Relation) -> Breach:
    text = f"select * from {relation.qualified} limit 4"  # noqa: S608 - quoted by format()
    reached: list[str] = []
    worst = ""
    # A foreign table is not tried: reading it would reach out of this database.
    for who in ("anon", "stranger", "MEMBER") if relation.kind != "foreign table" else ():
        outcome = attempt(connection, ACTORS[who], text)
        reached.append(f"{who}: {_shown(outcome)}")
        if not outcome.sqlstate and not worst:
            worst = who
    said = {
        "table": "" if relation.secured else "row-level security is off",
        "partitioned table": "" if relation.secured else "row-level security is off",
        "view": "" if relation.invoker else "it reads as its owner (no security_invoker)",
    }.get(relation.kind, f"a {relation.kind} has no row-level security")
    grants = f"grant {', '.join(relation.granted)}" if relation.granted else ""
    actor = ACTORS[worst or "anon"]
    return Breach(
        proof=f"undecided.{relation.qualified}",
        subject=relation.qualified,
        what=f"the {relation.kind} {relation.qualified} lies in an exposed schema, and nobody has "
        "decided who may reach it",
        who=f"{actor.name}: role {actor.role}, claims {actor.claims}" if worst else "",
        sql=preamble(actor, text) if worst else "",
        reached="; ".join(reached),
        fault="; ".join(filter(None, (said, grants))) or "no privileges yet, and no decision",
        fix=f"revoke all on {relation.qualified} from public, {', '.join(API_ROLES)};  -- then "
        "write its rights into runner/isolation/matrix/permissions.toml, or move it to a schema "
        "that is not exposed",
    )


def _shown(outcome: Outcome) -> str:
    """Say what came back, never the rows themselves: they may be real people's."""
    if outcome.sqlstate:
        return f"refused ({outcome.sqlstate})" if outcome.refused else f"error {outcome.sqlstate}"
    return f"saw {'at least ' if outcome.rows == 4 else ''}{outcome}"
