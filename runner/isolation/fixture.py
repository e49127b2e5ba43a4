"""The world a proof is made in: two organizations, and the people who try things on both.

Its rows are poured into the database that is proved, inside a transaction that is rolled back.
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
_PEOPLE = ("owner", "admin", "member", "unlinked")
_COLLEAGUES = ("other_owner", "other_admin", "other_member")
_ROWS = ("project", "idle_project", "workflow", "approved_workflow", "agent", "audit")
_NAMESPACE = uuid.UUID("6f8f7a52-31f0-5d0e-9a5f-70726f6f6673")


@dataclass(frozen=True)
class Actor:
    """Somebody who comes in as PostgREST lets them in: a role, and the claims of a token."""

    name: str
    role: str
    claims: str


@dataclass(frozen=True)
class Org:
    """One of the two organizations, by a name that its ids show."""

    name: str

    def id(self, of: str = "") -> str:
        """Return a well-formed id that a reader can recognise, of the org or of a row in it."""
        return f"cproof{self.name}{of.replace('_', '')}".ljust(25, "0")[:25]

    def sub(self, person: str) -> str:
        """Return the `sub` of a person's token."""
        return str(uuid.uuid5(_NAMESPACE, f"{person}.{self.name}"))

    def ids(self, *, me: str = "member") -> dict[str, str]:
        """Return what the statements of permissions.toml and of the attacks ask for.

        `me` is the person who tries.
        """
        return {
            **{name: self.id(name) for name in (*_PEOPLE, *_COLLEAGUES, *_ROWS)},
            **{f"{person}_uuid": self.sub(person) for person in _PEOPLE},
            "org": self.id(),
            "me": self.id(me),
            "new_id": f"cproofnobodyhasthis{self.name}".ljust(25, "0")[:25],
            "new_uuid": self.sub("nobody"),
        }


HOME, AWAY = Org("home"), Org("away")


def person(name: str, org: Org = HOME) -> Actor:
    """Return somebody with a token, whether or not a row of users is linked to it."""
    claims = json.dumps({"role": "authenticated", "sub": org.sub(name)})
    return Actor(f"{name} of {org.name}", "authenticated", claims)


ACTORS: Mapping[str, Actor] = {
    "OWNER": person("owner"),
    "ADMIN": person("admin"),
    "MEMBER": person("member"),
    "stranger": person("stranger"),  # signed in, and without a row
    "unlinked": person("unlinked"),  # was linked until now; the token is still alive
    "anon": Actor("anon", "anon", '{"role": "anon"}'),
    "service_role": Actor("service_role", "service_role", '{"role": "service_role"}'),
}


def make(connection: Connection) -> None:
    """Pour the world into the open transaction, as the role that owns the tables."""
    text = query("isolation/fixture")
    for org in (HOME, AWAY):
        connection.execute(filled(text, org.ids()).encode())


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return a statement with each :'name' replaced by its literal, as psql would do it."""

    def literal(match: re.Match[str]) -> str:
        return "'" + values[match[1]].replace("'", "''") + "'"

    return re.sub(r":'([\w.]+)'", literal, text)
