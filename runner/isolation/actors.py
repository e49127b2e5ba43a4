"""Actors of verify: a database role with the settings that a request has, and the two tenants."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import string
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_NAMESPACE = uuid.UUID("6f8f7a52-31f0-5d0e-9a5f-70726f6f6673")
_ALPHABET = string.ascii_lowercase + string.digits
_ID_LENGTH = 25
_NAME_LENGTH = 9  # of a row, in its id
_VARIABLE = re.compile(r":'([\w.]+)'")


@dataclass(frozen=True)
class Actor:
    """A database role with the settings that the API makes for a request."""

    name: str  # the user and the tenant, or the role
    role: str
    settings: Mapping[str, str]
    user: str = ""  # of the fixture; empty for a request that names no user
    member: str = ""  # the role inside the tenant; empty if there is none
    everywhere: bool = False  # whether its rights cross tenants

    @property
    def description(self) -> str:
        """The role and its settings, in one line."""
        made = (f"{name.rpartition('.')[2]} {value}" for name, value in self.settings.items())
        return ", ".join((f"role {self.role}", *made))


@dataclass(frozen=True)
class Tenant:
    """One of the two tenants. Its name and a part that is random per run are in all its ids."""

    name: str
    token: str
    has_uuid: bool = False  # as its key

    @property
    def key(self) -> str:
        """Return the key of the tenant itself."""
        return self.uuid("org") if self.has_uuid else self.id()

    @property
    def mark(self) -> str:
        """What every text id of this tenant begins with, and no other id does."""
        return f"cproof{self.name}{self.token}"

    def value(self, of: str) -> str:
        """Return the value of a variable; `org` is the tenant itself, `…_uuid` a UUID."""
        if of == "org":
            return self.key
        return self.uuid(of.removesuffix("_uuid")) if of.endswith("_uuid") else self.id(of)

    def id(self, of: str = "") -> str:
        """Return a recognizable text id: 25 letters and digits."""
        name = of.replace("_", "")
        if len(name) > _NAME_LENGTH:  # still a different id for each name
            digest = hashlib.sha256(of.encode()).hexdigest()
            name = name[: _NAME_LENGTH - 4] + digest[:4]
        return f"{self.mark}{name}".ljust(_ID_LENGTH, "0")

    def uuid(self, of: str) -> str:
        """Return the UUID of a user or another row."""
        return str(uuid.uuid5(_NAMESPACE, f"{of}.{self.name}.{self.token}"))


def random_token() -> str:
    """Return the part of all ids that no tenant can know before the run."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(6))


def settings_for(
    templates: Mapping[str, str], *, role: str, member: str, user: str, tenant: str
) -> dict[str, str]:
    """Return the settings of a request, with {role}, {member}, {user} and {tenant} replaced.

    `user` and `tenant` are ids, empty for an actor without one: then a JSON key whose value names
    it is left out, and any other setting that does is empty.
    """
    values = {"{role}": role, "{member}": member, "{user}": user, "{tenant}": tenant}
    return {name: _filled(template, values) for name, template in templates.items()}


def _filled(template: str, values: Mapping[str, str]) -> str:
    missing = [word for word, value in values.items() if not value and word in template]
    if missing:
        try:
            document = json.loads(template)
        except ValueError:
            return ""
        if not isinstance(document, dict):
            return ""
        template = json.dumps(
            {
                k: v
                for k, v in document.items()
                if not any(word in json.dumps(v) for word in missing)
            }
        )
    for word, value in values.items():
        template = template.replace(word, value)
    return template


def variables(text: str) -> Iterator[str]:
    """Yield the name of each :'name' of a statement."""
    return (match[1] for match in _VARIABLE.finditer(text))


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Return a statement with each :'name' replaced by its literal, as psql does it."""
    return _VARIABLE.sub(lambda match: literal(values[match[1]]), text)


def literal(value: str) -> str:
    """Return a value as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"
