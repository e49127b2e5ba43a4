"""Which rows a write names, by conditions that its caller may use, and with which values."""

from __future__ import annotations

from runner.isolation.probes.effects import Effects
from runner.isolation.probes.identities import Caller
from runner.isolation.probes.reads import Probe
from runner.isolation.rows.snapshot import Row
from runner.isolation.tenancy.objects import Relation
from runner.isolation.tenancy.variables import literal, quoted


class WriteRows:
    """Conditions and values for updates and deletes."""

    def __init__(self, probe: Probe, effects: Effects) -> None:
        self._probe, self._effects = probe, effects

    def of_both(self, relation: Relation) -> str:
        """Return the condition that a row `t` is one of the two tenants', or nothing."""
        fixture = self._probe.fixture
        found = [fixture.condition(relation, owner) for owner in fixture.ids]
        return " or ".join(f"({each})" for each in found if each != "false")

    def of(self, caller: Caller, relation: Relation, owner: str) -> str:
        """Return the condition that a row `t` is a tenant's; nothing if the caller may not read it.

        `owner`: one of the two tenants.
        """
        if owner not in self._probe.fixture.ids:
            return ""
        if relation.tenant_column in relation.usable(caller.role, "select"):
            return f"({self._probe.fixture.condition(relation, owner)})"
        keys = (self.key(caller, relation, r) for r in self._probe.snapshot.of(relation, owner))
        return " or ".join(f"({key})" for key in keys if key)

    def key(self, caller: Caller, relation: Relation, row: Row) -> str:
        """Return a condition that names one row, with columns that the caller may read."""
        readable = relation.usable(caller.role, "select")
        target = self._effects.target(relation)
        key = relation.key or (target.key if target else [])
        names = [name for name in key if name in readable]
        if not key or len(names) < len(key):
            names = [n for n in readable if row.values.get(n) is not None]
        return " and ".join(f"{quoted(n)}::text = {literal(row.values[n] or '')}" for n in names)

    def is_plain(self, relation: Relation, name: str) -> bool:
        """Whether a column is in no key, is no reference and not the tenant's."""
        target = self._effects.target(relation) or relation
        return not (
            name == relation.tenant_column
            or any(name in key.columns for key in target.keys)
            or any(name in reference.columns for reference in target.references)
        )

    def constant(self, relation: Relation, name: str) -> str:
        """Return a value that some row has in a column, as a literal; or nothing."""
        rows = self._probe.snapshot.rows.get(relation.oid, [])
        value = next((row.values[name] for row in rows if row.values.get(name) is not None), None)
        return literal(value) if value is not None else ""
