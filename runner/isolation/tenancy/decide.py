"""Decide whose the rows of each relation are: by column, reference, or declaration."""

from __future__ import annotations

from runner.isolation.tenancy.config import Config
from runner.isolation.tenancy.objects import (
    PERSON,
    SHARED,
    TENANT,
    UNDECIDED,
    Reference,
    Relation,
    TenantMap,
)


def decide(found: TenantMap, config: Config) -> None:
    """Decide whose the rows of each relation are."""
    shared = {r.oid for name in config.shared if (r := found.named(name))}
    renamed = {
        r.oid: column for name, column in config.tenant_columns.items() if (r := found.named(name))
    }
    if found.tenant:
        renamed.setdefault(found.tenant.oid, _tenant_key(found, config))
    for relation in found.relations.values():
        column = renamed.get(relation.oid, config.tenant_column)
        if relation.oid in shared:
            relation.tenancy, relation.why = SHARED, "declared as shared"
        elif relation.column(column):
            relation.tenancy, relation.tenant_column = TENANT, column
            relation.why = f"column {column}"
    if found.people and config.people:
        _persons(found, found.people, config.people.user)
    _imply(found)
    for wanted in (TENANT, PERSON):
        _follow(found, wanted)
    _views(found)


def _tenant_key(found: TenantMap, config: Config) -> str:
    """Return the column of the tenant table that the tenant column of other tables refers to."""
    assert found.tenant  # noqa: S101 - the caller checks it
    for relation in found.relations.values():
        for reference in relation.references:
            if reference.oid == found.tenant.oid and config.tenant_column in reference.columns:
                return reference.referred[reference.columns.index(config.tenant_column)]
    return (found.tenant.key or [config.tenant_column])[0]


def _persons(found: TenantMap, people: Relation, user: str) -> None:
    """Mark the tables that the column of the user refers to, and those that these refer to."""
    waiting = [(people, user)]
    while waiting:
        relation, column = waiting.pop()
        for reference in relation.references:
            if reference.columns != [column]:
                continue
            target = found.relations.get(reference.oid)
            if target and target.tenancy == UNDECIDED:
                target.tenancy, target.why = PERSON, f"referenced by {people.qualified}.{user}"
                found.person_columns[target.oid] = reference.referred[0]
                waiting.append((target, reference.referred[0]))


def _imply(found: TenantMap) -> None:
    """Add a reference for each column that has the name of a foreign key in another table."""
    known: dict[tuple[str, str], Reference] = {}
    for relation in found.relations.values():
        for reference in relation.references:
            own = [c for c in reference.columns if c != relation.tenant_column]
            if len(own) == 1 and (column := relation.column(own[0])):
                known.setdefault((own[0], column.type), reference)
    for relation in found.relations.values():
        referring = {name for reference in relation.references for name in reference.columns}
        for column in relation.columns if relation.is_table else ():
            like = known.get((column.name, column.type))
            if like and column.name not in {*referring, *relation.key, relation.tenant_column}:
                place = like.columns.index(column.name)
                relation.references.append(
                    Reference([column.name], like.oid, [like.referred[place]], implied=True)
                )


def _follow(found: TenantMap, wanted: str) -> None:
    """Decide tables by their references: required ones first, step by step."""
    while True:
        decided = []
        for relation in found.relations.values():
            if relation.tenancy != UNDECIDED or not relation.is_table:
                continue
            paths = [
                r
                for r in relation.references
                if (parent := found.relations.get(r.oid)) and parent.tenancy == wanted
            ]
            paths.sort(
                key=lambda r: (
                    r.implied,
                    not all((c := relation.column(name)) and c.not_null for name in r.columns),
                )
            )
            if paths:
                decided.append((relation, paths[0]))
        for relation, path in decided:
            relation.tenancy, relation.path = wanted, path
            relation.why = f"({', '.join(path.columns)}) → {found.relations[path.oid].qualified}"
        if not decided:
            return


def _views(found: TenantMap) -> None:
    """Decide views by what they read."""
    for _ in found.relations:
        changed = False
        for view in found.relations.values():
            bases = [found.relations[oid] for oid in view.bases if oid in found.relations]
            if view.tenancy != UNDECIDED or not bases:
                continue
            kinds = {base.tenancy for base in bases}
            for kind in (TENANT, PERSON):
                if kind in kinds:
                    view.tenancy, changed = kind, True
                    view.why = f"reads {', '.join(b.qualified for b in bases if b.tenancy == kind)}"
                    break
            else:
                if kinds == {SHARED}:
                    view.tenancy, view.why, changed = SHARED, "reads shared tables only", True
        if not changed:
            return
