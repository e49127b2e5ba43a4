"""Find the grant, policy or setting that allowed an access, or that is missing, and the fix."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from runner.postgres.connection import Connection
from runner.queries import query


@dataclass(frozen=True)
class Fact:
    """One row of root_cause.sql."""

    kind: str  # "switch", "owner", "policy", "restrictive", "grant", "member", "trigger", "helper"
    name: str  # of the policy, grantee, trigger or function; of a switch: table, owner or role
    text: str


class RootCauses:
    """Looks up what governs a role's access to a table; results are cached.

    Each method returns the cause and the fix. `table` is quoted and has its schema; `role` is a
    plain name; `command` is a lower-case SQL command.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._facts: dict[tuple[str, str, str], list[Fact]] = {}
        self._quoted: dict[str, str] = {}

    def facts(self, table: str, command: str, role: str) -> list[Fact]:
        """Return everything that allows or restricts this command for this role."""
        key = (table, command, role)
        if key not in self._facts:
            rows = self._connection.execute(
                query("isolation/matrix/root_cause"),
                {"table": table, "command": command, "role": role},
            )
            self._facts[key] = [Fact(kind, name, _readable(text)) for _, kind, name, text in rows]
        return self._facts[key]

    def of_access(
        self, table: str, command: str, role: str, *, column: str = "", guarded: bool = False
    ) -> tuple[str, str]:
        """Return what gave a role access that it should not have.

        `column`: the column that must not be written, if it is one. `guarded`: the role may change
        the row, so only a trigger could have refused this change; otherwise the cause is a policy
        or a helper function that it calls.
        """
        facts = self.facts(table, command, role)
        grants = [f for f in facts if f.kind == "grant"]
        of_column = [f for f in grants if column and self._quote(column) in _columns(f.text)]
        if of_column:
            return _joined(of_column), self._revoke(command, table, of_column, column)
        switches = [f for f in facts if f.kind == "switch"]
        if switches:
            return _joined([*switches, *grants]), self._revert(switches[0], table, role)
        policies = [f for f in facts if f.kind in ("policy", "restrictive")]
        if not guarded:
            helpers = [f for f in facts if f.kind == "helper"]
            cause = _joined([*policies, *helpers, *grants])
            named = [f"{f.kind.replace('restrictive', 'policy')} {f.name}" for f in policies]
            named += [f"function {f.name}" for f in helpers]
            return (
                cause or f"no grant or policy of {table} explains it",
                self._compare(", ".join(named) or "grants and policies", table),
            )
        triggers = [f.text.removeprefix("trigger ") for f in facts if f.kind == "trigger"]
        cause = (
            f"no guard refused it; triggers on {table} for {command}: "
            f"{', '.join(triggers) or 'none'}; its policies: "
            f"{', '.join(f.name for f in policies) or 'none'}; {_joined(grants)}"
        )
        return cause, self._compare("triggers, constraints and policies", table)

    def of_privilege(self, table: str, command: str, role: str) -> tuple[str, str]:
        """Return what gives a role a privilege that it should not have."""
        facts = self.facts(table, command, role)
        owner = [f for f in facts if f.kind == "owner"]
        if owner:
            return owner[0].text, self._revert(owner[0], table, role)
        grants = [f for f in facts if f.kind == "grant"]
        if grants:
            return _joined(grants), self._revoke(command, table, grants)
        members = [f for f in facts if f.kind == "member"]
        if members:
            return _joined(members), " ".join(_revoke_membership(member) for member in members)
        switches = [f for f in facts if f.kind == "switch"]
        if switches:
            return _joined(switches), self._revert(switches[0], table, role)
        return f"no grant on {table} explains it", self._compare("grants", table)

    def of_refusal(
        self,
        table: str,
        command: str,
        role: str,
        sqlstate: str,
        message: str,
        *,
        columns: Sequence[str] = (),
    ) -> tuple[str, str]:
        """Return what is missing if an allowed statement was refused.

        `columns`: those that it writes; none for the whole table.
        """
        facts = self.facts(table, command, role)
        grants = [f for f in facts if f.kind == "grant"]
        listed = ", ".join(map(self._quote, columns))
        grant = f"grant {command}{f' ({listed})' if listed else ''} on {table}"
        grant = f"{grant} to {self._quote(role)};"
        if not grants:
            return f"missing: {grant.rstrip(';')}", grant
        if sqlstate == "42501" and message.startswith("permission denied"):
            return f"missing: a privilege ({message}); there is {_joined(grants)}", grant
        if sqlstate and sqlstate != "42501":
            return f"{sqlstate}: {message}", self._compare("triggers and constraints", table)
        # To change a row, a role must see it: UPDATE and DELETE need a policy for SELECT, too.
        for needed in [command] if command == "insert" else [command, "select"]:
            if not any(f.kind == "policy" for f in self.facts(table, needed, role)):
                cause = (
                    f"missing: a permissive policy for {needed} to {self._quote(role)} on {table}"
                )
                return cause, self._compare(f"policies for {needed}", table)
        policies = [f for f in facts if f.kind in ("policy", "restrictive")]
        cause = f"{message or 'no visible row'}; there is {_joined(policies)}"
        return cause, self._compare("policies", table)

    def _compare(self, what: str, table: str) -> str:
        """Return a fix without a statement, because only the files say what is right."""
        return f"-- compare {what} of {table}"

    def _quote(self, name: str) -> str:
        """Return a name as an SQL identifier, quoted if it is mixed case, reserved or the like."""
        if name not in self._quoted:
            row = self._connection.execute("select quote_ident(%s)", [name]).fetchone()
            self._quoted[name] = row[0] if row else name
        return self._quoted[name]

    def _revoke(self, command: str, table: str, grants: list[Fact], column: str = "") -> str:
        privilege = f"{command} ({self._quote(column)})" if column else command
        return " ".join(
            f"revoke {privilege} on {table} from {grantee};"
            for grantee in dict.fromkeys(f.name for f in grants)
        )

    def _revert(self, switch: Fact, table: str, role: str) -> str:
        if switch.name == "table":
            return f"alter table {table} enable row level security;"
        if switch.name == "role":
            return f"alter role {self._quote(role)} nosuperuser nobypassrls;"
        return f"alter table {table} owner to current_user;  -- no API role may own a table"


def _readable(text: str) -> str:
    """Return a policy's expression without the alias that PostgreSQL adds to a sub-select."""
    return re.sub(r"\( SELECT (\S+?\(.*?\)) AS \w+\)", r"(select \1)", text)


def _joined(facts: list[Fact]) -> str:
    return "; ".join(f.text for f in facts)


def _columns(grant: str) -> list[str]:
    """Return the quoted columns of `grant update (a, "B") on …`; none for the whole table."""
    listed = re.match(r"grant \w+ \((.*)\) on ", grant)
    return re.findall(r'"(?:[^"]|"")*"|[^\s,]+', listed[1]) if listed else []


def _revoke_membership(member: Fact) -> str:
    """Return the revoke of `grant pg_read_all_data to authenticated`."""
    role = member.text.removeprefix("grant ").removesuffix(f" to {member.name}")
    return f"revoke {role} from {member.name};"
