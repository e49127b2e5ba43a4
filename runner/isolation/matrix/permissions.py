"""The permission table: who may do what, read from permissions.toml beside this file.

A permission is one right, the roles that have it and one statement that exercises it. The tests,
verify and docs/isolation.md use the same table. No database access.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TENANTS = ("OWNER", "ADMIN", "MEMBER")
SERVICE = "service_role"
COMMANDS = ("select", "insert", "update", "delete", "truncate")


@dataclass(frozen=True)
class Permission:
    """One right: the roles in `allowed` may use `command` on `what` of `table`."""

    table: str
    command: str
    what: str
    allowed: tuple[str, ...]
    sql: str

    @property
    def tenants(self) -> tuple[str, ...]:
        """The roles inside an organization that have this right."""
        return tuple(role for role in TENANTS if role in self.allowed)

    def allows(self, role: str, *, own_org: bool) -> bool:
        """Tenants act in their own organization only; service_role in every one."""
        return role in self.allowed and (own_org or role == SERVICE)

    def statement(self, ids: Mapping[str, str]) -> str:
        """Return the statement with each `:'name'` replaced by a literal, as psql does it."""
        return re.sub(r":'(\w+)'", lambda name: _literal(ids[name[1]]), self.sql)


@cache
def permissions() -> tuple[Permission, ...]:
    """Return all permissions, in the order of the file."""
    tables = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return tuple(
        Permission(table, command, what, tuple(right["allowed"]), right["sql"].strip())
        for table, commands in tables.items()
        for command, rights in commands.items()
        for what, right in rights.items()
    )


def may(actor: str, table: str, command: str) -> bool:
    """Whether an actor has any right of this command in their own organization."""
    return any(
        right.allows(actor, own_org=True)
        for right in permissions()
        if (right.table, right.command) == (table, command)
    )


def markdown() -> str:
    """Return the permission table as docs/isolation.md shows it: Markdown, one row per table."""
    head = ["Table", "SELECT", "INSERT", "UPDATE", SERVICE]
    tables = dict.fromkeys(permission.table for permission in permissions())
    rows = [head, ["---"] * len(head), *(_row(table) for table in tables)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(table: str) -> list[str]:
    by_command = {
        command: [p for p in permissions() if (p.table, p.command) == (table, command)]
        for command in COMMANDS
    }
    service = (c for c, rights in by_command.items() if any(SERVICE in p.allowed for p in rights))
    cells = [_cell(by_command[command]) for command in ("select", "insert", "update")]
    return [table, *cells, ", ".join(service)]


def _cell(rights: Iterable[Permission]) -> str:
    """Return `every member: own name · OWNER: …`, without the rights that no tenant has."""
    whats: dict[tuple[str, ...], list[str]] = {}
    for right in rights:
        if right.tenants:
            whats.setdefault(right.tenants, []).append(right.what)
    if not whats:
        return "–"
    return " · ".join(
        ("every member" if who == TENANTS else ", ".join(who))
        + ("" if what == ["rows"] else f": {', '.join(what)}")
        for who, what in whats.items()
    )


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
