"""Find tenant, people, identity and actors in the catalog; say what cannot be decided."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from runner.errors import UsageError
from runner.isolation.draft import sources
from runner.isolation.draft.sources import Reading, Sources
from runner.isolation.tenancy import relations
from runner.isolation.tenancy.config import Actor, Config, People
from runner.isolation.tenancy.objects import UNDECIDED, Relation, TenantMap
from runner.postgres.connection import Connection
from runner.queries import query


@dataclass
class Draft:
    """What was found, and per section what a person has to decide."""

    config: Config
    tenants: TenantMap
    undecided: list[tuple[str, str]] = field(default_factory=list)  # section, question

    def ask(self, section: str, question: str) -> None:
        """Leave a question to the user."""
        self.undecided.append((section, " ".join(question.split())))


def read(connection: Connection, path: str) -> Draft:
    """Return tenant, identity, people, actors and shared tables; no rights yet.

    Raises UsageError where no table of tenants and no column of theirs is found, or no role.
    """
    roles = connection.execute(query("isolation/draft/roles")).fetchall()
    plain = [name for name, bypasses in roles if not bypasses]
    actors = {name: Actor(name, name) for name in plain}
    empty = Config(None, "", {}, (), {}, actors, path=path)
    draft = Draft(empty, relations.read(connection, empty))
    if not plain:
        raise UsageError(
            "No role was granted anything in this database, except owners and superusers",
            hint="A request must run as a role of its own, or row-level security limits nothing.",
        )
    for name, bypasses in roles:
        if bypasses:
            draft.ask(
                "actors",
                f"{name} bypasses row-level security. If it may cross tenants: "
                f'{name} = {{ role = "{name}", everywhere = true }}',
            )
    found = sources.read(connection, draft.tenants)
    _tenant(connection, draft, found)
    _people(connection, draft, found)
    _identity(draft, found)
    _actors(connection, draft, found)
    draft.tenants = relations.read(connection, draft.config)
    _shared(draft, found)
    draft.tenants = relations.read(connection, draft.config)
    return draft


def _tenant(connection: Connection, draft: Draft, found: Sources) -> None:
    """Choose the column that most policies use, with the table that it refers to."""
    candidates = connection.execute(query("isolation/draft/tenants")).fetchall()
    referring = [c for c in candidates if c[1] and (c[2] > 1 or c[3])]
    if not referring:
        compared = Counter(
            column
            for reading in found.readers
            for column, _, table in found.compared(reading)
            if table
        )
        referring = [c for c in candidates if compared[c[0]]]
    if not referring:
        raise UsageError(
            "No column of tenants was found: no foreign key leads from several tables to one, and "
            "no policy compares a column with a setting",
            hint="Write isolation.toml by hand: docs/isolation.md, Verify another schema.",
        )
    column, target, tables, policed = referring[0]
    for other, its_target, *counts in referring[1:]:
        if tuple(counts) == (policed, tables)[::-1]:
            name = draft.tenants.relations[its_target].qualified if its_target else "no table"
            draft.ask("tenant", f"the column could as well be {other} ({name})")
    table = draft.tenants.relations[target] if target else None
    place = f"{table.schema}.{table.name}" if table else None
    draft.config = replace(draft.config, tenant_column=column, tenant_table=place)


def _people(connection: Connection, draft: Draft, found: Sources) -> None:
    """Choose the table that has a tenant and a user, and is compared with the request's user."""
    column = draft.config.tenant_column
    tenant = draft.tenants.named(draft.config.tenant_table) if draft.config.tenant_table else None
    scores: dict[tuple[int, str], int] = {}
    for reading in found.readers:
        if found.is_tenant(reading, column, tenant):
            continue
        for user, text, policed in found.compared(reading):
            for table in draft.tenants.relations.values():
                if user == column or not table.is_table or not table.column(column):
                    continue
                unique = any(
                    user in key.columns and {*key.columns} <= {user, column} for key in table.keys
                )
                here = policed == table.oid if policed else table.name in text
                if unique and table.column(user) and here:
                    scores[table.oid, user] = scores.get((table.oid, user), 0) + 1
    if not scores:
        return
    (oid, user), *others = sorted(scores, key=lambda place: -scores[place])
    table = draft.tenants.relations[oid]
    for other, its_user in others:
        draft.ask("people", f"or {draft.tenants.relations[other].qualified}, user {its_user}")
    draft.config = replace(
        draft.config,
        people=People(
            f"{table.schema}.{table.name}", user, column, _role(connection, draft, table)
        ),
    )


def _role(connection: Connection, draft: Draft, people: Relation) -> str | None:
    """Return the column of the role inside a tenant."""
    labels = _labels(connection, people)
    named = [c for c in labels if c in ("role", "roles", "rank") or c.endswith(("_role", "_roles"))]
    chosen = named or list(labels)
    if len(chosen) > 1:
        draft.ask("people", f"role could also be {', '.join(chosen[1:])}")
    return chosen[0] if chosen else None


def _labels(connection: Connection, table: Relation) -> dict[str, list[str]]:
    """Return the columns that hold one of a few words, with the words."""
    rows = connection.execute(query("isolation/tenancy/labels"), {"table": table.oid})
    return {name: labels for name, labels in rows if labels}


# --- identity ------------------------------------------------------------------------------------


def _identity(draft: Draft, found: Sources) -> None:
    """Write a template of each setting that is read."""
    claims: dict[str, dict[str, str]] = {}
    settings: dict[str, str] = {}
    values = {reading: _value(draft, found, reading) for reading in found.readers}
    for reading, value in values.items():
        same = [other for other in values if value and values[other] == value]
        if reading not in ([r for r in same if r.is_subject] or same[:1]) and value:
            draft.ask("identity", f"{reading} is also taken for {value}. May a client set it?")
        elif value is None:
            draft.ask("identity", f"what is {reading}? Policies or their functions read it")
        elif reading.key:
            claims.setdefault(reading.setting, {})[reading.key] = value
        else:
            settings[reading.setting] = value
    settings |= {name: json.dumps(keys) for name, keys in claims.items()}
    draft.config = replace(draft.config, settings=settings)


def _value(draft: Draft, found: Sources, reading: Reading) -> str | None:
    """Return what a setting or key stands for, by the columns that it is compared with."""
    config, people = draft.config, draft.config.people
    if reading.key == "role":
        return "{role}"
    tenant = draft.tenants.named(config.tenant_table) if config.tenant_table else None
    if found.is_tenant(reading, config.tenant_column, tenant):
        return "{tenant}"
    if people and any(column == people.user for column, _, _ in found.compared(reading)):
        return "{user}"
    return None


# --- actors and shared tables --------------------------------------------------------------------


def _actors(connection: Connection, draft: Draft, found: Sources) -> None:
    """Write an actor for each role, or for each role inside the tenant that it may have."""
    config = draft.config
    roles = list(config.actors)
    table = draft.tenants.named(config.people.table) if config.people else None
    if table is None or config.people is None:
        return
    labels = _labels(connection, table).get(config.people.role or "", ["member"])
    signed = [role for role in roles if _signs_in(draft, found, role)] or roles
    actors: dict[str, Actor] = {role: Actor(role, role) for role in roles if role not in signed}
    for role in signed:
        for label in [role] if {*signed} <= {*labels} else labels:
            name = label if len(signed) == 1 or label == role else f"{role}_{label}"
            name = f"{name}_member" if name in actors else name
            actors[name] = Actor(name, role, label)
    draft.config = replace(config, actors=actors)


def _signs_in(draft: Draft, found: Sources, role: str) -> bool:
    """Whether a policy that binds a role asks for the user."""
    users = {
        function.oid
        for reading, readers in found.readers.items()
        if _value(draft, found, reading) == "{user}"
        for function in readers
    }
    keys = [
        f"'{reading.key or reading.setting}'"
        for reading in found.readers
        if _value(draft, found, reading) == "{user}"
    ]
    for relation in draft.tenants.relations.values():
        for policy in found.binding(relation, role) if _granted(relation, role) else ():
            called = found.called(policy.condition)
            texts = [policy.condition, *(f.source for f in called)]
            if {f.oid for f in called} & users or any(k in t for k in keys for t in texts):
                return True
    return False


def _granted(relation: Relation, role: str) -> bool:
    """Whether a role has a privilege on a table, even without USAGE on its schema."""
    return bool(relation.privileges.get(role)) or any(
        role in (*c.select, *c.insert, *c.update) for c in relation.columns
    )


def _shared(draft: Draft, found: Sources) -> None:
    """Declare the tables that a request may only read, and that belong to no tenant."""
    shared = []
    for relation in _undecided(draft):
        policies = [p for p in found.policies if p.table == relation.oid and p.permissive]
        limited = any(p.condition not in ("true", "true and true") for p in policies)
        if _written(draft, relation) or limited:
            why = "a policy limits them" if limited else "a request may write them"
            draft.ask(
                "tenant",
                f"whose are the rows of {relation.qualified}? They refer to no tenant, and {why}",
            )
        else:
            shared.append(f"{relation.schema}.{relation.name}")
    draft.config = replace(draft.config, shared=tuple(shared))


def _undecided(draft: Draft) -> Iterator[Relation]:
    behind = {oid for view in draft.tenants.reachable() for oid in view.bases}
    for relation in draft.tenants.relations.values():
        near = relation in draft.tenants.reachable() or relation.oid in behind
        if near and relation.is_table and relation.tenancy == UNDECIDED:
            yield relation


def _written(draft: Draft, relation: Relation) -> bool:
    return any(
        relation.holds(role, "delete")
        or relation.usable(role, "insert")
        or relation.usable(role, "update")
        for role in draft.tenants.api_roles
    )
