"""A project's isolation data: isolation.toml and isolation/ of its folder, as one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from runner.errors import UsageError
from runner.isolation import isolation_file, toml_file
from runner.isolation.actors import (
    Actor,
    Tenant,
    random_token,
    settings_for,
    substitute,
    variables,
)
from runner.isolation.isolation_file import IsolationFile
from runner.isolation.matrix.permissions import Permission
from runner.isolation.sql_cases import case_file
from runner.isolation.sql_cases.case_file import CaseFile
from runner.isolation.tenancy import config
from runner.postgres.connection import Connection

FOLDER = "isolation"
_SCENARIO_FOLDERS = ("attacks", "invariants")
_DEFINITIONS = "definitions.sql"
_FIXTURE_HINT = (
    "It inserts the rows of one tenant, with ids as :'org', :'project' and so on: verify runs it "
    "twice and rolls back. Without rows nothing could be tried."
)


@dataclass(frozen=True, eq=False)
class Project:
    """What one schema promises, and the two tenants with which one run proves it."""

    file: IsolationFile
    tenant_table: tuple[str, str]  # schema and name
    tenant_key: str  # the key of that table
    tenant_column: str  # in the tenants' tables
    settings: Mapping[str, str]  # templates; see actors.settings_for
    declared_actors: Mapping[str, Mapping[str, Any]]
    rights: tuple[Permission, ...]
    internal_schemas: tuple[str, ...]
    fixture: str  # SQL, run once for each tenant
    scenarios: tuple[CaseFile, ...]  # attacks, then invariants
    races: tuple[CaseFile, ...]  # for --self-test, because they commit
    rules: tuple[CaseFile, ...]
    definitions: str  # common table expressions of the rules
    mutants: tuple[str, ...]  # queries for --self-test
    equivalents: tuple[tuple[str, str], ...]  # a pattern of mutants' names, the layer that holds
    home: Tenant
    away: Tenant

    @property
    def fixture_path(self) -> str:
        """The fixture's file, for messages."""
        return str(self.file.path.parent / FOLDER / "fixture.sql")

    @cached_property
    def actors(self) -> Mapping[str, Actor]:
        """The actors in the first tenant, by name."""
        return {name: self.actor(name) for name in self.declared_actors}

    def actor(self, name: str, tenant: Tenant | None = None) -> Actor:
        """Return an actor in a tenant, the first one by default."""
        tenant, declared = tenant or self.home, self.declared_actors[name]
        role, member, user = declared["role"], declared.get("member", ""), declared["user"]
        return Actor(
            name=f"{user} of {tenant.name}" if user else role,
            role=role,
            settings=settings_for(
                self.settings,
                role=role,
                member=member,
                user=tenant.uuid(user) if user else "",
                tenant=tenant.key if member else "",
            ),
            user=user,
            member=member,
            everywhere=declared.get("everywhere", False),
        )

    @cached_property
    def members(self) -> tuple[str, ...]:
        """The actors with a role inside the tenant."""
        return self._named(lambda actor: bool(actor.member))

    @cached_property
    def platform(self) -> tuple[str, ...]:
        """The actors whose rights cross tenants."""
        return self._named(lambda actor: actor.everywhere)

    @cached_property
    def strangers(self) -> tuple[str, ...]:
        """The actors that are signed in and in no tenant."""
        return self._named(lambda actor: bool(actor.user) and not actor.member)

    @cached_property
    def anonymous(self) -> tuple[str, ...]:
        """The actors that are not signed in."""
        return self._named(lambda actor: not actor.user and not actor.everywhere)

    def _named(self, condition: Callable[[Actor], bool]) -> tuple[str, ...]:
        return tuple(name for name, actor in self.actors.items() if condition(actor))

    def roles(self, actors: Iterable[str] | None = None) -> list[str]:
        """Return the database roles of these actors, of all by default, sorted."""
        return sorted({self.actors[name].role for name in actors or self.actors})

    @property
    def tables(self) -> list[str]:
        """The tables that have rights, in the order of the file."""
        return list(dict.fromkeys(right.table for right in self.rights))

    def key_of(self, table: str) -> str:
        """Return the column that holds the tenant of a row."""
        return self.tenant_key if ("public", table) == self.tenant_table else self.tenant_column

    def members_with(self, right: Permission) -> tuple[str, ...]:
        """Return the members that have a right."""
        return tuple(name for name in self.members if name in right.allowed)

    def allows(self, right: Permission, name: str, *, own_org: bool) -> bool:
        """Whether an actor has a right: members in their own tenant only."""
        return name in right.allowed and (own_org or name in self.platform)

    def may(self, actor: str, table: str, command: str) -> bool:
        """Whether an actor has any right of this command in their own tenant."""
        return any(
            self.allows(right, actor, own_org=True)
            for right in self.rights
            if (right.table, right.command) == (table, command)
        )

    def values(self, tenant: Tenant, user: str = "") -> Mapping[str, str]:
        """Return the values of the variables that statements refer to.

        `user`: of the fixture, who runs the statement.
        """
        return _values(self, tenant, user or self.actors[self.members[-1]].user)

    @cached_property
    def away_ids(self) -> frozenset[str]:
        """What a row of the second tenant contains: the mark of its ids, and its UUIDs."""
        uuids = (v for name, v in self.values(self.away).items() if name.endswith("_uuid"))
        return frozenset((self.away.mark, self.away.uuid("org"), *uuids))

    @cached_property
    def names(self) -> frozenset[str]:
        """The variables: those of the fixture, the users' ids, and a few that always exist."""
        users = {declared["user"] for declared in self.declared_actors.values()} - {""}
        return _names(self.fixture, users)

    def insert_rows(self, connection: Connection) -> None:
        """Insert both tenants in the open transaction, as the role that owns the tables."""
        for tenant in (self.home, self.away):
            connection.execute(substitute(self.fixture, self.values(tenant)).encode())

    @cached_property
    def quoted_roles(self) -> tuple[str, str]:
        """The members' roles, and all roles, as lists in SQL."""
        member, every = (
            ", ".join('"' + role.replace('"', '""') + '"' for role in roles)
            for roles in (self.roles(self.members), self.roles())
        )
        return member, every

    @property
    def quoted_tenant_table(self) -> str:
        """The tenant table as SQL."""
        return ".".join(f'"{part}"' for part in self.tenant_table)


def load(sql_dir: Path) -> Project:
    """Return the isolation data of a project's folder, with new ids for its two tenants.

    Raises UsageError, naming file and line, for a missing or invalid file, and for one whose rights
    have the short form of `tenancy.config`.
    """
    if config.is_generic(sql_dir / toml_file.NAME):
        raise UsageError(
            f"{sql_dir / toml_file.NAME} has rights of the short form, which only the proof "
            "itself understands",
            hint="--self-test needs rights with `allowed` and `sql`.",
        )
    file = isolation_file.read(sql_dir)
    folder = sql_dir / FOLDER
    table, key, column, has_uuid = file.tenant()
    settings, declared = file.settings(), file.actors()
    fixture = _text(folder / "fixture.sql", hint=_FIXTURE_HINT)
    token = random_token()
    users = {each["user"] for each in declared.values()} - {""}
    return Project(
        file=file,
        tenant_table=table,
        tenant_key=key,
        tenant_column=column,
        settings=settings,
        declared_actors=declared,
        rights=file.rights(tuple(declared), _names(fixture, users)),
        internal_schemas=file.internal_schemas(),
        fixture=fixture,
        scenarios=_scenarios(folder, settings),
        races=case_file.read_all("races", folder / "races", ("safe", "source")),
        rules=case_file.read_all("rules", folder / "rules", ("source", "why"), ("level",)),
        definitions=_definitions(folder / "rules" / _DEFINITIONS),
        mutants=tuple(_text(path) for path in sorted((folder / "mutants").glob("*.sql"))),
        equivalents=isolation_file.equivalents(folder / "mutants" / "equivalent.toml"),
        home=Tenant("home", token, has_uuid),
        away=Tenant("away", token, has_uuid),
    )


def _scenarios(folder: Path, settings: Mapping[str, str]) -> tuple[CaseFile, ...]:
    """Return the attacks and invariants, without those about a setting that no request has here."""
    found = []
    for name in _SCENARIO_FOLDERS:
        place = folder / name
        for case in case_file.read_all(name, place, ("safe", "source"), ("each", "setting")):
            setting = case.fields.get("setting", "")
            if setting in ("", *settings):
                found.append(case)
            elif case.where.startswith(str(place)):
                hint = toml_file.nearest(setting, settings)
                raise UsageError(f"{case.where}: no request has the setting {setting}", hint=hint)
    return tuple(found)


@lru_cache(maxsize=32)  # for the pairs of tenant and user of one project
def _values(project: Project, tenant: Tenant, user: str) -> Mapping[str, str]:
    values = {name: tenant.value(name) for name in project.names}
    return {**values, "me": tenant.id(user), "user": tenant.uuid(user)}


def _names(fixture: str, users: Iterable[str]) -> frozenset[str]:
    always = ("org", "me", "user", "new_id", "new_uuid")
    of_users = (name for user in users for name in (user, f"{user}_uuid"))
    return frozenset((*variables(fixture), *of_users, *always))


def _text(path: Path, *, hint: str = "") -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        missing = isinstance(error, FileNotFoundError)
        problem = "does not exist" if missing else f"cannot be read: {error}"
        raise UsageError(f"{path} {problem}", hint=hint) from None


def _definitions(path: Path) -> str:
    """Return the common table expressions of the rules; a project's own come last."""
    packaged = files("runner.isolation.sql_cases") / "rules" / _DEFINITIONS
    text = packaged.read_text(encoding="utf-8").rstrip()
    return f"{text},\n{_text(path)}" if path.is_file() else text
