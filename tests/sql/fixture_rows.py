"""Two organizations with the same rows, and the callers that access both."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from conftest import ANON, SERVICE, Caller, act_as
from promises import PROJECT
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.isolation.actors import substitute
from runner.isolation.matrix.permissions import Permission

USERS = {
    "owner": "OWNER",
    "admin": "ADMIN",
    "member": "MEMBER",
    "other_owner": "OWNER",
    "other_admin": "ADMIN",
    "other_member": "MEMBER",
    "unlinked": "MEMBER",
}
ROWS = ("project", "idle_project", "workflow", "approved_workflow", "agent", "audit")


@dataclass(frozen=True)
class Org:
    """An organization, and the ids of its rows by their names in isolation.toml."""

    name: str

    @property
    def id(self) -> str:
        return cuid(self.name)

    def row(self, name: str) -> str:
        return cuid(f"{self.name}{name.replace('_', '')}")

    def auth(self, person: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{person}.{self.name}"))

    def caller(self, person: str) -> Caller:
        return Caller(f"{self.name} {person}", "authenticated", sub=self.auth(person))

    def ids(self, *, me: str | None = None) -> Mapping[str, str]:
        """The parameters of the statements in isolation.toml, for this organization."""
        return {
            **{name: self.row(name) for name in (*USERS, *ROWS)},
            "org": self.id,
            "me": me or self.row("member"),
            "new_id": cuid("unused"),
            "new_uuid": str(uuid.uuid5(uuid.NAMESPACE_DNS, "new")),
        }


def cuid(words: str) -> str:
    """A well-formed id that contains the given words."""
    return f"c{words}".ljust(25, "0")[:25]


HOME, AWAY = Org("home"), Org("away")
OWNER, ADMIN, MEMBER = (HOME.caller(person) for person in ("owner", "admin", "member"))
STRANGER = Caller("stranger", "authenticated", sub=str(uuid.uuid5(uuid.NAMESPACE_DNS, "stranger")))
UNLINKED = HOME.caller("unlinked")
CALLERS = {
    "OWNER": OWNER,
    "ADMIN": ADMIN,
    "MEMBER": MEMBER,
    "service_role": SERVICE,
    "anon": ANON,
    "stranger": STRANGER,
    "unlinked": UNLINKED,
}
TABLES = ("organizations", "users", "projects", "workflows", "ai_agents", "audit_logs")


def breach(conn: Connection[TupleRow], right: Permission, who: str, *, own_org: bool) -> str | None:
    """Try a right as this caller on HOME or AWAY; return how it differs from isolation.toml."""
    org = HOME if own_org else AWAY
    me = HOME.row(who.lower()) if who in PROJECT.members else None
    outcome: int | str
    with act_as(conn, CALLERS[who]):
        try:
            outcome = conn.execute(substitute(right.sql, org.ids(me=me))).rowcount
        except psycopg.Error as error:
            outcome = error.sqlstate or "no SQLSTATE"
    if PROJECT.allows(right, who, own_org=own_org):
        as_declared = isinstance(outcome, int) and outcome != 0
    else:
        as_declared = outcome in refusals(who, own_org=own_org)
    return None if as_declared else f"{who} in {org.name}: {right.sql}: {outcome}"


def breaches(conn: Connection[TupleRow], *, own_org: bool | None = None) -> list[str]:
    """All differences from isolation.toml, for the own organization, the other, or both."""
    results = (
        breach(conn, right, who, own_org=own)
        for right in PROJECT.rights
        for who in CALLERS
        for own in ([True, False] if own_org is None else [own_org])
    )
    return [text for text in results if text]


def refusals(who: str, *, own_org: bool) -> tuple[int | str, ...]:
    """The outcomes that count as denied; other errors are only for callers that see the row."""
    nothing, refused, invariant, referred_to = 0, "42501", "23514", "23503"
    if CALLERS[who] is SERVICE:
        return (nothing, refused, invariant, referred_to)
    if who in PROJECT.members and own_org:
        return (nothing, refused, invariant)
    return (nothing, refused)


def fill(conn: Connection[TupleRow]) -> None:
    """Insert both organizations as the current role; the unlinked user is linked, then unlinked."""
    for org in (HOME, AWAY):
        conn.execute(
            "insert into public.organizations (id, name) values (%s, %s)", [org.id, org.name]
        )
        for person, role in USERS.items():
            conn.execute(
                "insert into public.users (id, org_id, email, name, roles, auth_user_id)"
                " values (%s, %s, %s, %s, array[%s]::public.user_role[], %s)",
                [
                    org.row(person),
                    org.id,
                    f"{person}@{org.name}.test",
                    f"{person} of {org.name}",
                    role,
                    org.auth(person),
                ],
            )
        conn.execute(
            "update public.users set auth_user_id = null where org_id = %s and id = %s",
            [org.id, org.row("unlinked")],
        )
        for name in ("project", "idle_project"):
            conn.execute(
                "insert into public.projects (id, org_id, name) values (%s, %s, %s)",
                [org.row(name), org.id, f"{name} of {org.name}"],
            )
        conn.execute(
            "insert into public.workflows (id, org_id, project_id, gate) values (%s, %s, %s, 'G1')",
            [org.row("workflow"), org.id, org.row("project")],
        )
        conn.execute(
            "insert into public.workflows (id, org_id, project_id, gate, status, approver_id)"
            " values (%s, %s, %s, 'G2', 'approved', %s)",
            [org.row("approved_workflow"), org.id, org.row("project"), org.row("other_owner")],
        )
        conn.execute(
            "insert into public.ai_agents (id, org_id, type) values (%s, %s, 'researcher')",
            [org.row("agent"), org.id],
        )
        conn.execute(
            "insert into public.audit_logs (id, org_id, actor_id, action, target_type, target_id)"
            " values (%s, %s, %s, 'exported', 'projects', %s)",
            [org.row("audit"), org.id, org.row("other_owner"), org.row("project")],
        )
