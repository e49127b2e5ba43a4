"""Where tenants and people come from: the tables or the select of isolation.toml, as SQL."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from runner.errors import UsageError
from runner.isolation import untrusted
from runner.isolation.tenancy import people
from runner.isolation.tenancy.config import Config
from runner.postgres.connection import Connection
from runner.queries import query
from runner.studio.data.tables import identifier

_NULL = sql.SQL("null::text")
_NO_UUID = "00000000-0000-0000-0000-000000000000"
_NO_USER = {2950: _NO_UUID, **dict.fromkeys((20, 21, 23, 1700), "0")}  # by the oid of the type


@dataclass(frozen=True)
class PeopleSource:
    """Two tables in parentheses: `tenants` (id, name, at), `people` (tenant, user, name …)."""

    tenants: sql.Composable
    people: sql.Composable
    no_user: str = ""  # an id that no user has
    limited: str = (
        ""  # the table of which row-level security may hide rows from the connecting role
    )

    def statement(self, name: str) -> bytes:
        """Return one of the queries beside this module, on these tables."""
        parts = {"tenants": self.tenants, "people": self.people}
        return sql.SQL(query(f"studio/data/{name}")).format(**parts).as_bytes(None)


@dataclass(frozen=True)
class _Table:
    """A table of tenants or people, and its columns for a purpose; empty where there is none."""

    referred: bool
    schema: str
    name: str
    key: str
    label: str | None
    email: str | None
    created: str | None
    limited: bool


def read(connection: Connection, config: Config) -> PeopleSource:
    """Return where a project's tenants and people are.

    Raises UsageError where the file names what the database does not have, or what a superuser must
    not read.
    """
    table = config.people.table if config.people else None
    named = " ".join(filter(None, (config.people_sql, config.tenant_table, table)))
    for one in untrusted.read(connection, config):
        short = one.name.partition("(")[0].rpartition(".")[2].strip('"')
        if short in named:
            raise UsageError(
                f"{config.path}: {one.name} is not used as a superuser, because {one.owner} "
                "decides what it does",
                hint="Connect as a login that is no superuser: docs/studio.md",
            )
    listed, limited = _people(connection, config)
    tenants = _tenants(connection, config, listed)
    if listed is None:
        no_user = sql.SQL(
            '(select id as tenant, null::text as "user", null::text as name, null::text as email,'
            " null::text as roles, null::text as at from {} as own where false)"
        )
        return PeopleSource(tenants, no_user.format(tenants))
    text = sql.SQL('select "user" from {} as listed limit 0').format(listed).as_bytes(None)
    columns = connection.execute(text, ()).description
    type_ = columns[0].type_code if columns else 0
    return PeopleSource(tenants, listed, _NO_USER.get(type_, "no_user"), limited)


def _people(connection: Connection, config: Config) -> tuple[sql.Composable | None, str]:
    if config.people_sql is not None:
        columns = people.check(connection, config)
        optional: dict[str, sql.Composable] = dict.fromkeys(people.OPTIONAL, _NULL)
        optional |= {name: sql.Identifier(name) for name in columns if name in optional}
        return sql.SQL(
            '(select tenant, "user", {name}::text as name, {email}::text as email,'
            " {roles} as roles, null::text as at from {listing} as listed)"
        ).format(listing=people.listing(config.people_sql), **optional), ""
    if config.people is None:
        return None, ""
    of = config.people
    tables = _tables(connection, config, of.table, column=of.user, role=of.role)
    own, other = tables[0], next((t for t in tables if t.referred), None)
    names = [_column("own", own.label), *([_column("other", other.label)] if other else [])]
    emails = [_column("own", own.email), *([_column("other", other.email)] if other else [])]
    select = sql.SQL(
        '(select own.{tenant} as tenant, own.{user} as "user", coalesce({names}) as name,'
        " coalesce({emails}) as email, {roles} as roles, {at} as at from {table} as own"
    ).format(
        tenant=identifier(of.tenant),
        user=identifier(of.user),
        names=sql.SQL(", ").join(names),
        emails=sql.SQL(", ").join(emails),
        roles=identifier("own", of.role) if of.role else _NULL,
        at=identifier("own", own.created) if own.created else _NULL,
        table=identifier(own.schema, own.name),
    )
    if other:
        select += sql.SQL(" left join {} as other on {} = {}").format(
            identifier(other.schema, other.name),
            identifier("other", other.key),
            identifier("own", of.user),
        )
    return select + sql.SQL(")"), f"{own.schema}.{own.name}" if own.limited else ""


def _tenants(
    connection: Connection, config: Config, listed: sql.Composable | None
) -> sql.Composable:
    if config.tenant_table:
        table = _tables(connection, config, config.tenant_table)[0]
        return sql.SQL(
            "(select {id} as id, {name} as name, {at} as at from {table} as own)"
        ).format(
            id=identifier("own", table.key),
            name=_column("own", table.label),
            at=identifier("own", table.created) if table.created else _NULL,
            table=identifier(table.schema, table.name),
        )
    if listed:
        return sql.SQL(
            "(select distinct tenant as id, null::text as name, null::text as at from {} as own)"
        ).format(listed)
    found = connection.execute(
        query("studio/data/tenant_columns"), {"column": config.tenant_column}
    ).fetchall()
    if not found:
        raise UsageError(
            f"{config.path}: no table has a column {config.tenant_column}",
            hint="[tenant] column is the one that says whose a row is.",
        )
    indexed = [row for row in found if row[2]] or found[:1]
    each = sql.SQL(" union ").join(_distinct(row[0], row[1], config) for row in indexed)
    return sql.SQL("(select id, null::text as name, null::text as at from ({}) as own)").format(
        each
    )


def _distinct(schema: str, table: str, config: Config) -> sql.Composable:
    """Return the select of the first tenants of a table, each by one look into an index."""
    return sql.SQL(
        "(with recursive found (id) as ((select {column} from {table} where {column} is not null"
        " order by {column} limit 1) union all select (select {column} from {table}"
        " where {column} > found.id order by {column} limit 1) from found where id is not null)"
        " select id::text from found where id is not null limit 50)"
    ).format(column=identifier(config.tenant_column), table=identifier(schema, table))


def _tables(
    connection: Connection,
    config: Config,
    name: str,
    *,
    column: str | None = None,
    role: str | None = None,
) -> list[_Table]:
    """Return a table, and those that a column of it refers to; the best one first."""
    given = {
        "table": name,
        "column": column or "",
        "role": role or "",
        "tenant_column": config.tenant_column,
    }
    rows = connection.execute(query("studio/data/named_table"), given).fetchall()
    tables = [_Table(*row) for row in rows]
    if len([table for table in tables if not table.referred]) != 1:
        many = "more than one table is named" if tables else "there is no table"
        raise UsageError(f"{config.path}: {many} {name}", hint="Name it with its schema.")
    return tables


def _column(table: str, name: str | None) -> sql.Composable:
    return sql.SQL("{}::text").format(identifier(table, name)) if name else _NULL
