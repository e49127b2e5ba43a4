"""What files make of FORCE ROW LEVEL SECURITY where the owner of the tables is subject to policies.

A file may decide it by the attributes of the role that applies it, and a scratch server has a
superuser. So the files run again, as a role like that owner. Nothing else depends on the owner.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

import psycopg
from psycopg import sql

from runner.errors import SqlError
from runner.files.loader import Migration
from runner.migrate.migrator import Migrator
from runner.postgres.connection import Connection, connect
from runner.preflight.scratch import ScratchServer, apply
from runner.queries import query
from runner.schema import snapshot
from runner.schema.snapshot import Fact, Snapshot

_TRAIT = "force"
_EXISTS = re.compile(r'role "(.+)" already exists')
_USE = "grant all on schema {} to {}"


def as_owner(
    there: Snapshot, files: Sequence[Migration], scratch: ScratchServer, like: Connection
) -> Snapshot:
    """Return the catalog `there` that files made, with FORCE as the owner of `like` makes it.

    Raises as `ScratchServer.read_of`.
    """
    if _passes(like):
        return there
    if any(_TRAIT in file.text.lower() for file in files):
        with connect(scratch.target(scratch.maintenance)) as admin:
            if not _passes(admin):
                return there
            forced = _forced(files, scratch, like, admin)
    else:  # so no table is forced, which fits such an owner
        of_others = {fact.name for fact in there.facts if fact.trait == "owner"}
        forced = [f for f in there.facts if f.trait == _TRAIT and f.name in of_others]
    others = (fact for fact in there.facts if fact.trait != _TRAIT)
    return replace(there, facts=tuple(sorted((*others, *forced))))


def differs(like: Connection, made: Connection) -> bool:
    """Return whether the owner of `like` is subject to policies, and that of `made` is not."""
    return not _passes(like) and _passes(made)


def _passes(connection: Connection) -> bool:
    with connection.transaction():
        connection.execute(snapshot.PIN.encode())
        owner = snapshot.scoped(query("preflight/passes_policies"))
        ((passes,),) = connection.execute(owner.encode())
    return bool(passes)


def _forced(
    files: Sequence[Migration], scratch: ScratchServer, like: Connection, admin: Connection
) -> list[Fact]:
    with _role(admin) as (owner, password), scratch.database(like=like, files=files) as made:
        name = made.connection.info.dbname
        database = sql.Identifier(name)
        admin.execute(sql.SQL("alter database {} owner to {}").format(database, owner))
        schemas = "select nspname::text from pg_namespace where nspname !~ '^(pg_|information_)'"
        for (schema,) in made.connection.execute(schemas).fetchall():
            made.connection.execute(sql.SQL(_USE).format(sql.Identifier(schema), owner))
        address = scratch.target(name)
        as_role = {"user": owner.as_string(admin).strip('"'), "password": password}
        address = replace(address, parameters={**address.parameters, **as_role})
        with connect(address) as connection:
            _apply(Migrator(connection, fingerprints=False), files, admin, owner)
        return [f for f in snapshot.take(made.connection).facts if f.trait == _TRAIT]


@contextmanager
def _role(admin: Connection) -> Iterator[tuple[sql.Identifier, str]]:
    """Create a role without attributes that is a member of the others, and drop it."""
    owner, password = sql.Identifier(f"scratch_owner_{os.getpid()}"), secrets.token_urlsafe()
    create = sql.SQL("create role {} login password {}")
    members = (
        "select rolname::text from pg_roles where not rolsuper and rolname !~ '^pg_'"
        " and rolname <> current_user"
    )
    roles = [sql.Identifier(role) for (role,) in admin.execute(members).fetchall()]
    admin.execute(create.format(owner, sql.Literal(password)))
    try:
        for role in roles:
            admin.execute(sql.SQL("grant {} to {} with admin option").format(role, owner))
        yield owner, password
    finally:
        for role in roles:  # with what it granted
            with suppress(psycopg.errors.UndefinedObject):
                admin.execute(sql.SQL("revoke {} from {} cascade").format(role, owner))
        admin.execute(sql.SQL("drop role {}").format(owner))


def _apply(
    migrator: Migrator, files: Sequence[Migration], admin: Connection, owner: sql.Identifier
) -> None:
    """Apply files; one that this role may not apply as a superuser, which it is for that file."""
    while todo := [file for file in files if file.id not in migrator.records()]:
        try:
            apply(migrator, todo)
        except SqlError:
            applied = migrator.records()
            failed = next(file for file in todo if file.id not in applied)
            admin.execute(sql.SQL("alter role {} superuser").format(owner))
            try:
                _apply_again(migrator, failed, admin)
            finally:
                admin.execute(sql.SQL("alter role {} nosuperuser").format(owner))


def _apply_again(migrator: Migrator, file: Migration, admin: Connection) -> None:
    """Apply a file, without the roles that it makes and the first database has made already."""
    while True:
        try:
            return apply(migrator, [file])
        except SqlError as error:
            if error.sqlstate != "42710" or not (role := _EXISTS.search(error.message)):
                raise
            admin.execute(sql.SQL("drop role {}").format(sql.Identifier(role[1])))
