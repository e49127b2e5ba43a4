"""The test data of verify: two organizations with the same rows, and the actors who use them.

The rows are inserted into the database under test, in a transaction that is rolled back.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from runner.postgres.connection import Connection
from runner.queries import query

TENANTS = ("OWNER", "ADMIN", "MEMBER")
_USERS = ("owner", "admin", "member", "unlinked")
_COLLEAGUES = ("other_owner", "other_admin", "other_member")
_ROWS = ("project", "idle_project", "workflow", "approved_workflow", "agent", "audit")
_NAMESPACE = uuid.UUID("6f8f7a52-31f0-5d0e-9a5f-70726f6f6673")


@dataclass(frozen=True)
class Actor:
    """A database role with JWT claims, as PostgREST sets them for a request."""

    name: str
    role: str
    claims: str  # JSON


@dataclass(frozen=True)
class Org:
    """One of the two organizations; its name is part of its ids."""

    name: str

    def id(self, of: str = "") -> str:
        """Return a well-formed, recognizable id of the organization, or of one of its rows."""
        return f"cproof{self.name}{of.replace('_', '')}".ljust(25, "0")[:25]

    def sub(self, user: str) -> str:
        """Return the `sub` claim of a user's token, a UUID."""
        return str(uuid.uuid5(_NAMESPACE, f"{user}.{self.name}"))

    def ids(self, *, me: str = "member") -> dict[str, str]:
        """Return the ids that statements of permissions.toml and of the scenarios refer to.

        `me` is the user who runs the statement.
        """
        return {
            **{name: self.id(name) for name in (*_USERS, *_COLLEAGUES, *_ROWS)},
            **{f"{user}_uuid": self.sub(user) for user in _USERS},
            "org": self.id(),
            "me": self.id(me),
            "new_id": f"cproofunused{self.name}".ljust(25, "0")[:25],
            "new_uuid": self.sub("unused"),
        }


HOME, AWAY = Org("home"), Org("away")


def signed_in(user: str, org: Org = HOME) -> Actor:
    """Return the actor for a user's token, whether or not a users row is linked to it."""
    claims = json.dumps({"role": "authenticated", "sub": org.sub(user)})
    return Actor(f"{user} of {org.name}", "authenticated", claims)


ACTORS: Mapping[str, Actor] = {
    "OWNER": signed_in("owner"),
    "ADMIN": signed_in("admin"),
    "MEMBER": signed_in("member"),
    "stranger": signed_in("stranger"),  # signed in, without a users row
    "unlinked": signed_in("unlinked"),  # unlinked from its users row; the token is still valid
    "anon": Actor("anon", "anon", '{"role": "anon"}'),
    "service_role": Actor("service_role", "service_role", '{"role": "service_role"}'),
}


def insert(connection: Connection) -> None:
    """Insert both organizations in the open transaction, as the role that owns the tables."""
    text = query("isolation/fixture")
    for org in (HOME, AWAY):
        connection.execute(substitute(text, org.ids()).encode())


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Return a statement with each :'name' replaced by its literal, as psql does it."""

    def literal(match: re.Match[str]) -> str:
        return "'" + values[match[1]].replace("'", "''") + "'"

    return re.sub(r":'([\w.]+)'", literal, text)
