"""The login of applications on the embedded server: it may become the actors' roles, no more.

It is a fact of the server, not of the schema, so no migration makes it. docs/application.md has the
statements for another server.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from psycopg import sql

from runner.isolation import toml_file
from runner.isolation.tenancy import config
from runner.postgres.connection import Connection, connect, translate_errors
from runner.postgres.target import Target
from runner.queries import query
from runner.settings import Settings

NAME = "app_login"


def roles(sql_dir: Path) -> list[str]:
    """Return the database roles of a project's actors, sorted; none without an isolation.toml.

    Raises UsageError, naming file and line, for an invalid file.
    """
    path = sql_dir / toml_file.NAME
    if not path.is_file():
        return []
    return sorted({actor.role for actor in config.read(path).actors.values()})


def wanted(settings: Settings) -> list[str]:
    """Return the roles that `up` lets the login become; none except on the embedded server."""
    return roles(settings.sql_dir) if settings.embedded else []


def create(connection: Connection, target: Target, members_of: Sequence[str]) -> None:
    """Create the login and let it become these roles, if any; safe to run again. Raises SqlError.

    Where the server has a TCP port, and so a password, the login gets one of its own.
    """
    if not members_of:
        return
    values = {"login": sql.Literal(NAME), "roles": sql.Literal(list(members_of))}
    with translate_errors():
        connection.execute(sql.SQL(query("isolation/application_login")).format(**values))
        if password := _password(target):
            verifier = connection.pgconn.encrypt_password(
                password.encode(), NAME.encode(), b"scram-sha-256"
            ).decode()
            alter = sql.SQL("alter role {} password {}")
            connection.execute(alter.format(sql.Identifier(NAME), sql.Literal(verifier)))


def target_of(target: Target, note: Callable[[str], None]) -> Target:
    """Return the database as the login reaches it; unchanged, with a note, where there is none."""
    if not target.embedded:
        return target
    with connect(target) as connection, translate_errors():
        if connection.execute("select to_regrole(%s)", [NAME]).fetchone() == (None,):
            note(f"As the superuser: no {NAME} yet. `up` makes it if there is an {toml_file.NAME}.")
            return target
    parameters = {**target.parameters, "user": NAME}
    if password := _password(target):
        parameters["password"] = password
    return replace(target, parameters=parameters)


def advise(target: Target, url: str, note: Callable[[str], None]) -> None:
    """Note what to know about a URL that is printed."""
    if "***" in url:
        note("The password is masked; to show it: python -m runner url --show-password")
    if not target.embedded:
        note(
            f"As {target.source} names it. An application needs a login that is no superuser and "
            "owns nothing: docs/application.md"
        )


def facts(connection: Connection, members_of: Iterable[str]) -> set[tuple[str, str, str]]:
    """Return what the security surface says of the login as `create` makes it."""
    names = "select format('%%I to %%I', name, %s::text) from unnest(%s::text[]) as name"
    found = connection.execute(names, [NAME, list(members_of)]).fetchall()
    memberships = {("membership", name, trait) for (name,) in found for trait in ("", "set")}
    return {("role", NAME, "login"), *memberships}


def _password(target: Target) -> str:
    """Return the login's password, derived from the superuser's; empty without a TCP port."""
    secret = target.parameters.get("password", "")
    return hmac.new(secret.encode(), NAME.encode(), hashlib.sha256).hexdigest() if secret else ""
