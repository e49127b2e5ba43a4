"""Give a scratch server what files need and other servers have: roles, extensions and more."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from psycopg import sql

from runner.errors import SqlError
from runner.files.loader import Migration
from runner.postgres.connection import Connection
from runner.queries import query
from runner.schema import snapshot

DEFAULT_PATH = '"$user", public'
_ROLE = re.compile(r'role "(.+)" does not exist')
_PUBLICATION = re.compile(r'publication "(.+)" does not exist')
_COLLATION = re.compile(r'collation "(?:pg_catalog\.)?([^".]+-x-icu)" for encoding')
_EXTENSION = re.compile(r'extension "(.+)" is not available')
_BUILD = re.compile("not available|not supported")  # by this build; or a combination of words
FOLDER_SETTING = 18  # the first version with extension_control_path


def set_path(made: Connection, like: Connection, files: Sequence[Migration]) -> None:
    """Give a scratch database the search_path of another, and its schemas that no file makes."""
    ((path, schemas),) = like.execute(
        "select pg_catalog.current_setting('search_path'),"
        " pg_catalog.current_schemas(false)::pg_catalog.text[]"
    )
    if path == DEFAULT_PATH:
        return
    texts = [file.text for file in files]
    for schema in schemas:
        create = rf'(?i)create\s+schema\s+(if\s+not\s+exists\s+)?"?{re.escape(schema)}\b'
        if not any(re.search(create, text) for text in texts):
            made.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema)))
    # Never as part of a statement: an owner of a database may store any text as its search_path.
    made.execute("select pg_catalog.set_config('search_path', %s, false)", [path])
    database = sql.Identifier(made.info.dbname)
    made.execute(sql.SQL("alter database {} set search_path from current").format(database))


def concerns(error: SqlError) -> bool:
    """Whether another server may have what an error names; a misspelt type is in none."""
    if error.sqlstate == "42704":
        return any(p.search(error.message) for p in (_ROLE, _PUBLICATION, _COLLATION))
    return error.sqlstate == "58P01" or (  # a file of an extension
        error.sqlstate == "0A000" and bool(_BUILD.search(error.message))
    )


def supply(error: SqlError, admin: Connection, like: Connection, data_dir: Path | None) -> bool:
    """Make the role, publication, extension or collation that a file lacks, if `like` has it.

    `admin`: connected to the template of databases. `data_dir`: of the scratch server, or None for
    a server that is not ours. A publication, as Supabase's `supabase_realtime`, is made empty. A
    predefined collation of ICU gets its name only, and sorts as C.
    """
    if (role := _ROLE.search(error.message)) and _has(like, "pg_roles", "rolname", role[1]):
        admin.execute(sql.SQL("create role {}").format(sql.Identifier(role[1])))
        return True
    found = _PUBLICATION.search(error.message)
    if found and data_dir and _has(like, "pg_publication", "pubname", found[1]):
        admin.execute(sql.SQL("create publication {}").format(sql.Identifier(found[1])))
        return True
    found = _COLLATION.search(error.message)
    if found and data_dir and _has(like, "pg_collation", "collname", found[1]):
        name = sql.Identifier("pg_catalog", found[1])
        admin.execute("set allow_system_table_mods = on")
        admin.execute(sql.SQL("create collation {} (provider = libc, locale = 'C')").format(name))
        return True
    found = _EXTENSION.search(error.message)
    if not found or data_dir is None or admin.info.server_version // 10000 < FOLDER_SETTING:
        return False
    version = _has(like, "pg_extension", "extname", found[1], "extversion")
    folder = data_dir / "stubs" / "extension"
    if not version or (folder / f"{found[1]}.control").exists():
        return False
    with like.transaction():
        like.execute(snapshot.PIN.encode())
        rows = like.execute(query("preflight/extension_stub"), {"name": found[1]}).fetchall()
    folder.mkdir(parents=True, exist_ok=True)
    control = f"default_version = '{version}'\nrelocatable = true\n"
    (folder / f"{found[1]}.control").write_text(control, encoding="utf-8")
    text = "".join(f"{statement};\n" for (statement,) in rows)
    (folder / f"{found[1]}--{version}.sql").write_text(text, encoding="utf-8")
    path = sql.Literal(f"{folder.parent}:$system")
    admin.execute(sql.SQL("alter system set extension_control_path = {}").format(path))
    admin.execute("select pg_reload_conf()")
    return True


def _has(like: Connection, catalog: str, key: str, name: str, value: str = "true") -> str | None:
    """Return a value of the row of a catalog, None without such a row."""
    row = like.execute(
        sql.SQL("select {}::text from pg_catalog.{} where {} = %s").format(
            sql.SQL(value), sql.Identifier(catalog), sql.Identifier(key)
        ),
        [name],
    ).fetchone()
    return str(row[0]) if row else None
