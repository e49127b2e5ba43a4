"""The databases of a self-test: one with the unchanged schema, and a copy of it for each mutant."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql

from runner.errors import NO_CHANGES, UsageError
from runner.files import loader
from runner.migrate.migrator import Migrator
from runner.postgres.connection import Connection
from runner.postgres.target import Target
from runner.preflight.scratch import ScratchServer, copy_privileges
from runner.settings import SCRATCH_URL

Like = Callable[[], AbstractContextManager[Migrator]]
_ROLES = "select rolname::text from pg_roles"
_CREATES_ROLE = re.compile(r'\bcreate (?:role|user) (?!mapping\b)"?([\w$]+)', re.IGNORECASE)
_ATTRIBUTES = """
    select
        array_remove(array[
            case when rolbypassrls then 'bypassrls' end,
            case when rolcreaterole then 'createrole' end
        ], null)
    from pg_roles
    where rolname = session_user and not rolsuper
"""


@dataclass(frozen=True)
class Copies:
    """A scratch server, and the role that applies the files there and runs verify."""

    server: Target  # as a superuser
    unmodified: str = "unmodified"
    owner: str = ""  # "" for that superuser
    attributes: tuple[str, ...] = ()
    password: str = field(default="", repr=False)
    version: str = ""

    @property
    def kind(self) -> str:
        """The kind of owner, in words."""
        having = f" with {' and '.join(map(str.upper, self.attributes))}" if self.attributes else ""
        return f"an owner without superuser{having}" if self.owner else "a superuser"

    def url(self, database: str, *, admin: bool = False) -> str:
        """Return the URL of a database for the owner, or for the superuser."""
        given = {**self.server.parameters, "dbname": database}
        if self.owner and not admin:
            given |= {"user": self.owner, "password": self.password}
        return replace(self.server, parameters=given).url(show_password=True)

    def create(self, sql_dir: Path, roles: Iterable[str]) -> str:
        """Create the database that is copied, again if it exists; return the server's version.

        `roles`: of the actors. An owner without superuser becomes a member of them: a superuser
        has made them before, as on a server where that owner may not.
        """
        database = sql.SQL("create database {}").format(sql.Identifier(self.unmodified))
        with self._admin() as admin:
            self._drop(admin, self.unmodified)
            if self.owner:
                admin.execute(database)
                _apply(self.url(self.unmodified, admin=True), sql_dir)
                self._drop(admin, self.unmodified)
                admin.execute(sql.SQL("drop role if exists {}").format(self._owner))
                create = f"create role {{}} login {' '.join(self.attributes)} password {{}}"
                admin.execute(sql.SQL(create).format(self._owner, sql.Literal(self.password)))
                members = sql.SQL(", ").join(map(sql.Identifier, roles))
                admin.execute(sql.SQL("grant {} to {}").format(members, self._owner))
            admin.execute(database + sql.SQL(" owner {}").format(self._owner))
            return _apply(self.url(self.unmodified), sql_dir)

    @contextmanager
    def copy(self, name: str) -> Iterator[str]:
        """Create a copy, yield its name, and drop it."""
        name = f"{self.unmodified}_{name}"
        create = sql.SQL("create database {} template {} owner {}")
        names = map(sql.Identifier, (name, self.unmodified))
        with self._admin() as admin:
            admin.execute(create.format(*names, self._owner))
            try:
                copy_privileges(admin, self.unmodified, name)
                yield name
            finally:
                self._drop(admin, name)

    def refuse(self, statements: Iterable[str]) -> None:
        """Raise UsageError if a role exists that one of the statements creates."""
        made = {name for text in statements for name in _CREATES_ROLE.findall(text)}
        with self._admin() as admin:
            used = sorted(made.intersection(name for (name,) in admin.execute(_ROLES)))
        if used:
            raise UsageError(
                f"The scratch server has the role {used[0]}, which the self-test creates and drops",
                hint="Rename the role, if the files create it. Or name a server in "
                f"{SCRATCH_URL} that nothing else uses; unset it, to use the embedded one.",
                state=NO_CHANGES,
            )

    def weaken(self, database: str, statements: str) -> None:
        """Run what weakens a copy, as its owner or, where that may not, as the superuser."""
        with suppress(psycopg.errors.InsufficientPrivilege), connected(self.url(database)) as conn:
            conn.execute(statements.encode())
            return
        with connected(self.url(database, admin=True)) as conn:
            conn.execute(statements.encode())

    def undo(self, statements: str) -> None:
        """Run what undoes a change of the whole server."""
        with self._admin() as admin:
            admin.execute(statements.encode())

    def _admin(self) -> Connection:
        return connected(self.server.url(show_password=True))

    @property
    def _owner(self) -> sql.Composable:
        return sql.Identifier(self.owner) if self.owner else sql.SQL("default")

    @staticmethod
    def _drop(admin: Connection, name: str) -> None:
        drop = sql.SQL("drop database if exists {} with (force)")
        admin.execute(drop.format(sql.Identifier(name)))


@contextmanager
def copies(
    server: ScratchServer, sql_dir: Path, roles: Iterable[str], like: Like | None
) -> Iterator[Copies]:
    """Create the unmodified database, and drop what was made on the server at the end.

    Roles belong to the server, where another session may create some meanwhile: dropped are those
    that the files name.

    `roles`: of the actors. `like`: connects to a database whose role decides what the owner is like
    here; see also `ScratchServer.supplying`. Raises UsageError if the server is in use, or its role
    is no superuser.
    """
    made = Copies(server.target(server.maintenance), f"self_test_{os.getpid()}")
    if like:
        with like() as migrator:
            found = migrator.connection.execute(_ATTRIBUTES).fetchone()
        if found:
            password = secrets.token_urlsafe()
            owner = f"{made.unmodified}_owner"
            made = replace(made, owner=owner, attributes=tuple(found[0]), password=password)
    roles = sorted(set(roles))
    text = "\n".join(file.text for file in loader.read(sql_dir)).lower()
    with connected(made.server.url(show_password=True)) as admin:
        if admin.info.parameter_status("is_superuser") != "on":
            raise UsageError(
                f"The self-test needs a superuser on its scratch server, and {SCRATCH_URL} names "
                f"{admin.info.user}",
                hint=f"Name a superuser in {SCRATCH_URL}; or unset it, to use the embedded server.",
                state=NO_CHANGES,
            )
        before = {name for (name,) in admin.execute(_ROLES)}
        if used := sorted(before.intersection(roles)):
            raise UsageError(
                f"The server of {SCRATCH_URL} has the role {used[0]}, which the self-test changes",
                hint="For a while it is a superuser, for example. Name a server that nothing else "
                f"uses, without the roles {', '.join(roles)}; or unset {SCRATCH_URL}.",
                state=NO_CHANGES,
            )
        try:
            version = server.supplying(partial(made.create, sql_dir, roles), like)
            yield replace(made, version=version)
        finally:
            made._drop(admin, made.unmodified)
            for (name,) in admin.execute(_ROLES).fetchall():
                if name not in before and (made.unmodified in name or _is_word(name, text)):
                    with suppress(psycopg.errors.DependentObjectsStillExist):
                        admin.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def _is_word(name: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name.lower())}(?!\w)", text) is not None


def connected(url: str) -> Connection:
    """Connect in autocommit mode, without automatic prepared statements."""
    return psycopg.connect(url, autocommit=True, prepare_threshold=None)


def _apply(url: str, sql_dir: Path) -> str:
    with connected(url) as connection:
        migrator = Migrator(connection)
        with migrator.lock():
            migrator.apply(loader.read(sql_dir))
        return f"PostgreSQL {connection.info.parameter_status('server_version')}"
