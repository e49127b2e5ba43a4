"""What a statement changed: the rows of both tenants that are gone, changed or new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runner.isolation.probes.execute import Outcome
from runner.isolation.rows.fixture import SHARED_ROWS
from runner.isolation.rows.snapshot import Row, Snapshot
from runner.isolation.tenancy.objects import Relation, TenantMap


@dataclass(frozen=True)
class Effect:
    """The changes of one statement."""

    gone: Sequence[tuple[Relation, Row]]  # deleted, changed or moved
    added: Sequence[tuple[Relation, str]]  # new or changed, with their owner

    def touched(self, owner: str) -> list[str]:
        """Return the tables in which rows of an owner were changed or added."""
        found = [relation.qualified for relation, row in self.gone if row.owner == owner]
        found += [relation.qualified for relation, whose in self.added if whose == owner]
        return list(dict.fromkeys(found))

    def changed(self, relation: Relation, owner: str) -> list[Row]:
        """Return the rows of an owner in a table that were changed or deleted."""
        return [row for table, row in self.gone if table is relation and row.owner == owner]


class Effects:
    """Compares where the rows are with where they were."""

    def __init__(self, snapshot: Snapshot, tenants: TenantMap) -> None:
        self._snapshot, self._tenants = snapshot, tenants
        self._rows = {
            (number, row.owner, row.place): row
            for number, relation in enumerate(snapshot.tables)
            for row in snapshot.rows[relation.oid]
        }

    def of(self, outcome: Outcome) -> Effect:
        """Return the changes of a statement; none if it failed."""
        if outcome.places is None:
            return Effect((), ())
        gone = []
        for text in self._snapshot.state - outcome.places:
            number, owner, place = text.split(" ")
            row = self._rows.get((int(number), owner, place))
            if row:
                gone.append((self._snapshot.tables[int(number)], row))
        added = [
            (self._snapshot.tables[int(number)], owner)
            for number, owner, _ in (
                t.split(" ") for t in outcome.places - self._snapshot.state if t
            )
        ]
        return Effect(gone, added)

    def target(self, relation: Relation) -> Relation | None:
        """Return the table that a write to a relation changes, if it is one table."""
        if relation.is_table:
            parent = relation
            while parent.parent in self._tenants.relations and parent.parent is not None:
                parent = self._tenants.relations[parent.parent]
            return parent
        bases = [self._tenants.relations[o] for o in relation.bases if o in self._tenants.relations]
        return self.target(bases[0]) if len(bases) == 1 and relation.updatable else None

    def base_rows(self, relation: Relation, rows: Sequence[Row]) -> set[str]:
        """Return the places in the written table of rows of a table or view."""
        target = self.target(relation)
        if relation.is_table or target is None:
            return {row.place for row in rows}
        names = [c.name for c in relation.columns if target.column(c.name)]
        wanted = {row.shown(names) for row in rows}
        return {row.place for row in self._snapshot.rows[target.oid] if row.shown(names) in wanted}


__all__ = ["SHARED_ROWS", "Effect", "Effects"]
