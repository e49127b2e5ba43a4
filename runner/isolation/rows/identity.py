"""Who a request comes from: a database role, a person, a tenant, and the settings that say so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.errors import UsageError
from runner.isolation.tenancy.config import Actor, Config

A, B = "A", "B"  # the two tenants; A is the own one
OTHER = {A: B, B: A}


@dataclass(frozen=True)
class Person:
    """A user that the fixture made, and the role in each tenant."""

    name: str
    user: str
    roles: Mapping[str, str] = field(default_factory=dict, hash=False)  # by tenant: A, B
    former: bool = False  # was a member of A


@dataclass(frozen=True)
class Identity:
    """One caller as the database sees it."""

    name: str  # of the actor, or what is unusual about it
    role: str
    settings: Mapping[str, str]
    person: Person | None = None
    actor: Actor | None = None  # whose rights it has in the tenants it belongs to
    active: str | None = None  # the tenant that the settings name
    regular: bool = True  # whether the rights must also work
    request: str = ""  # the statement that follows the settings: the function before each request

    @property
    def title(self) -> str:
        """The identity in one line, with what to set to become it."""
        shown = ", ".join(f"{name} = {value!r}" for name, value in self.settings.items())
        return f"{self.name}: role {self.role}{f', {shown}' if shown else ''}"


def settings(config: Config, role: str, user: str | None, tenant: str | None) -> dict[str, str]:
    """Return the settings of a request, from the templates of [identity]."""
    return {
        name: _render(config, template, {"role": role, "user": user, "tenant": tenant})
        for name, template in config.settings.items()
    }


def names_tenant(config: Config) -> bool:
    """Whether the settings of a request name the tenant."""
    return any("{tenant}" in template for template in config.settings.values())


def names_user(config: Config) -> bool:
    """Whether the settings of a request name the user."""
    return any("{user}" in template for template in config.settings.values())


def _render(config: Config, template: str, values: Mapping[str, str | None]) -> str:
    text = template
    if '"' not in template:
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", value or "")
        return text
    for name, value in values.items():
        quoted = "null" if value is None else json.dumps(value)
        text = text.replace(f'"{{{name}}}"', quoted)
        text = text.replace(f"{{{name}}}", value if value and _is_number(value) else quoted)
    try:
        claims = json.loads(text)
    except ValueError:
        raise UsageError(f"{config.path}: [identity] this is not JSON: {template}") from None
    return json.dumps({key: value for key, value in claims.items() if value is not None})


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and (text == "0" or not text.startswith("0"))
