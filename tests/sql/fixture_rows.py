"""Two organizations with the same rows, and the callers that access both."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from conftest import ANON, SERVICE, Caller
from psycopg import Connection
from psycopg.rows import TupleRow

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
