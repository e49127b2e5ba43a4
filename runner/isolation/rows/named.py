"""The ids of the rows that cases, attacks and the project's fixture refer to by name."""

from __future__ import annotations

import hashlib
import secrets
import string
import uuid
from collections.abc import Mapping

from runner.isolation.rows.identity import A, B, Person
from runner.isolation.tenancy.config import Config
from runner.isolation.tenancy.objects import Relation
from runner.isolation.tenancy.variables import names

_ALPHABET = string.ascii_lowercase + string.digits
_LENGTH = 25
_NAME_LENGTH = 9  # of a row, in its id
_WORDS = {A: "home", B: "away"}


class Ids:
    """Ids that no tenant can know before the run: each contains its tenant's word and its name."""

    def __init__(self) -> None:
        self._token = "".join(secrets.choice(_ALPHABET) for _ in range(6))
        self._namespace = uuid.uuid4()

    def of(self, name: str, owner: str) -> str:
        """Return the id of a row: a UUID for a name that ends in _uuid, else letters and digits."""
        if name.endswith("_uuid"):
            return str(uuid.uuid5(self._namespace, f"{name}.{owner}"))
        short = name.replace("_", "")
        if len(short) > _NAME_LENGTH:  # still a different id for each name
            digest = hashlib.sha256(name.encode()).hexdigest()
            short = short[: _NAME_LENGTH - 4] + digest[:4]
        return f"cproof{_WORDS[owner]}{self._token}{short}".ljust(_LENGTH, "0")


def values(
    config: Config,
    people: Relation | None,
    *,
    members: Mapping[Person, Mapping[str, str | None]],
    owner: str,
    tenant: str,
    ids: Ids,
) -> dict[str, str]:
    """Return the value of each variable for a tenant.

    `members`: the people table's row of each person. A role inside the tenant, in lower case, is
    the key of the person who has it, and with _uuid that person's user.
    """
    wanted = names(config.fixture or "", config.actors.values())
    found = {name: ids.of(name, owner) for name in wanted} | {"tenant": tenant, "org": tenant}
    for person, row in members.items():
        if person.former or set(person.roles) != {owner}:
            continue
        role = person.roles[owner]
        found |= {f"user.{role}": person.user, f"{role.lower()}_uuid": person.user}
        found[role.lower()] = key_of(config, people, row) or person.user
    return found


def key_of(config: Config, people: Relation | None, row: Mapping[str, str | None]) -> str:
    """Return the key of a row of the people table within its tenant, if it is one column."""
    tenant = config.people.tenant if config.people else ""
    key = [name for name in (people.key if people else []) if name != tenant]
    return (row.get(key[0]) or "") if len(key) == 1 else ""
