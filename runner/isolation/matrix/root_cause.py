"""Which grant, policy or switch let something through, or is missing, and how to fix it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runner.postgres.connection import Connection
from runner.queries import query

_HELPERS = "psql -1 -f sql/0006_create_caller_helpers.sql"
_GUARDS = "psql -1 -f sql/0007_guard_rows.sql"
_LOG = "psql -1 -f sql/0008_record_audit.sql"
_POLICIES = "psql -1 -f sql/0009_enable_row_level_security.sql"
# What puts back every function, trigger and policy.
PAGES = f"{_HELPERS}\n{_GUARDS}\n{_LOG}\n{_POLICIES}  -- a constraint is in 0002 to 0005"


@dataclass(frozen=True)
class Found:
    """One line of faults.sql."""

    kind: str  # "switch", "owner", "policy", "restrictive", "grant", "member", "trigger", "helper"
    name: str  # of the policy, grantee, trigger or function; of a switch, which
    words: str


class Faults:
    """Looks up what stands between a role and a table; asked again, it remembers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[str, str, str, str], list[Found]] = {}

    def of(self, table: str, command: str, role: str, *, schema: str = "public") -> list[Found]:
        """Return what stands between this role and this command, and what opens it."""
        key = (schema, table, command, role)
        if key not in self._known:
            rows = self._connection.execute(
                query("isolation/matrix/root_cause"),
                {"schema": schema, "table": table, "command": command, "role": role},
            )
            self._known[key] = [Found(kind, name, _plain(words)) for _, kind, name, words in rows]
        return self._known[key]

    def let_through(
        self, table: str, command: str, role: str, *, column: str = "", guarded: bool = False
    ) -> tuple[str, str]:
        """Return what let a role reach what it should not, and how to close it.

        `column`: it is this one that should not be written; `guarded`: the row is the role's to
        change, so that only a trigger could have refused this change of it. Else it is the
        policies, or the helpers that they ask.
        """
        found = self.of(table, command, role)
        grants = [f for f in found if f.kind == "grant"]
        named = [f for f in grants if column and column in _columns(f.words)]
        if named:
            return _joined(named), _revokes(command, table, named, column)
        switches = [f for f in found if f.kind == "switch"]
        if switches:
            return _joined([*switches, *grants]), _switch_back(switches[0], table, role)
        policies = [f for f in found if f.kind in ("policy", "restrictive")]
        if not guarded:
            helpers = [f for f in found if f.kind == "helper"]
            fault = _joined([*policies, *helpers, *grants])
            fix = f"{_POLICIES}  -- puts its policies and grants back; drop any others"
            if helpers:
                fix = f"{_HELPERS}  -- puts back what they ask\n{fix}"
            return fault or f"no grant or policy of public.{table} explains it", fix
        triggers = [f for f in found if f.kind == "trigger"]
        standing = ", ".join(f.words.removeprefix("trigger ") for f in triggers)
        fault = (
            f"no guard refused it; triggers on public.{table} for {command}: "
            f"{standing or 'none'}; its policies: "
            f"{', '.join(f.name for f in policies) or 'none'}; {_joined(grants)}"
        )
        return fault, f"{_GUARDS}; {_POLICIES}"

    def held(self, table: str, command: str, role: str) -> tuple[str, str]:
        """Return by what a role holds a privilege it should not, and how to take it away."""
        found = self.of(table, command, role)
        owner = [f for f in found if f.kind == "owner"]
        if owner:
            return owner[0].words, _switch_back(owner[0], table, role)
        grants = [f for f in found if f.kind == "grant"]
        if grants:
            return _joined(grants), _revokes(command, table, grants)
        members = [f for f in found if f.kind == "member"]
        if members:
            return _joined(members), " ".join(_left(member) for member in members)
        switches = [f for f in found if f.kind == "switch"]
        if switches:
            return _joined(switches), _switch_back(switches[0], table, role)
        return f"no grant on public.{table} explains it", _POLICIES

    def stood_in_the_way(
        self, table: str, command: str, role: str, sqlstate: str, message: str
    ) -> tuple[str, str]:
        """Return what is missing where something allowed was refused."""
        found = self.of(table, command, role)
        grants = [f for f in found if f.kind == "grant"]
        if not grants:
            return (f"missing: grant {command} on public.{table} to {role}", _POLICIES)
        if sqlstate == "42501" and message.startswith("permission denied"):
            return (f"missing: a privilege ({message}); there is {_joined(grants)}", _POLICIES)
        if sqlstate and sqlstate != "42501":
            return (f"{sqlstate}: {message}", PAGES)
        # Who changes a row has to see it: select_… is needed beside update_….
        for needed in [command] if command == "insert" else [command, "select"]:
            if not any(f.kind == "policy" for f in self.of(table, needed, role)):
                fault = f"missing: a permissive policy for {needed} to {role} on public.{table}"
                return (fault, _POLICIES)
        others = [f for f in found if f.kind in ("policy", "restrictive")]
        return (f"{message or 'no row is within sight'}; there is {_joined(others)}", _POLICIES)


def _plain(words: str) -> str:
    """Return a policy's expression as it was written, short of what PostgreSQL adds."""
    return re.sub(r"\( SELECT (\S+?\(.*?\)) AS \w+\)", r"(select \1)", words)


def _joined(found: list[Found]) -> str:
    return "; ".join(f.words for f in found)


def _columns(words: str) -> list[str]:
    """Return the columns of `grant update (a, b) on …`; none when it is the whole table."""
    if "(" not in words:
        return []
    return [name.strip(' "') for name in words.split("(", 1)[1].split(")", 1)[0].split(",")]


def _revokes(command: str, table: str, grants: list[Found], column: str = "") -> str:
    what = f"{command} ({column})" if column else command
    return " ".join(
        f"revoke {what} on public.{table} from {name};"
        for name in dict.fromkeys(f.name for f in grants)
    )


def _left(member: Found) -> str:
    """Return the revoke of `grant pg_read_all_data to authenticated`."""
    given = member.words.removeprefix("grant ").rpartition(" to ")[0]
    return f"revoke {given} from {member.name};"


def _switch_back(switch: Found, table: str, role: str) -> str:
    if switch.name == "table":
        return f"alter table public.{table} enable row level security;"
    if switch.name == "role":
        return f"alter role {role} nosuperuser nobypassrls;"
    return f"alter table public.{table} owner to current_user;  -- no API role may own a table"
