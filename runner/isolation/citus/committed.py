"""The rows of a proof that are committed: how they are removed, also after a kill, and put back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import psycopg

from runner.errors import LockTimeout, ProofError
from runner.isolation.rows.fixture import Fixture, Made
from runner.isolation.rows.identity import A, B
from runner.isolation.rows.snapshot import Snapshot
from runner.isolation.tenancy.objects import PERSON, TENANT, Relation
from runner.isolation.tenancy.variables import literal, quoted
from runner.postgres.connection import Connection
from runner.postgres.retry import Backoff

SCHEMA = "runner_verify"  # on the coordinator alone, while the rows are there
_LOCK = "select pg_try_advisory_lock(hashtext('runner verify'))"
_MARKED = f"select to_regclass('{SCHEMA}.removal') is not null"
_MARK = (
    f"set local citus.enable_ddl_propagation = off; create schema {SCHEMA};"
    f" create table {SCHEMA}.removal (place serial primary key, statement text not null)"
)
_STATEMENTS = f"select statement from {SCHEMA}.removal order by place"  # noqa: S608 - a constant
# Each in a message of its own: Citus sends the whole text of one with SET LOCAL to the workers.
_UNMARK = ("set local citus.enable_ddl_propagation = off", f"drop schema {SCHEMA} cascade")
# On the workers, too: no trigger refuses, records or checks what is removed. One connection each.
_BEGIN = (
    "set local lock_timeout = '20s'",
    "set local citus.multi_shard_modify_mode = 'sequential'",
    "set local citus.propagate_set_commands = 'local'",
    "set local session_replication_role = replica",
)


class CommittedRows:
    """Removes the rows of a proof, and restores them after an attack that has several roles."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._restore: list[str] = []

    def begin(self) -> None:
        """Make sure to be alone, and remove what an earlier proof has left."""
        if self._connection.info.parameter_status("is_superuser") != "on":
            raise ProofError(
                "On Citus, verify needs a superuser",
                hint="It commits rows and removes them, past the triggers of the tables.",
            )
        backoff = Backoff(0.1, 1.0, factor=2.0, limit=8.0)  # the server may not have noticed yet
        while self._connection.execute(_LOCK).fetchone() != (True,):
            if backoff.exhausted:
                raise LockTimeout(
                    "Another verify runs on this database",
                    hint="On Citus, one at a time: its rows are committed. Run verify again when "
                    "it has ended.",
                )
            backoff.sleep()
        self.remove()

    def mark(self, connection: Connection, fixture: Fixture) -> None:
        """Write down how to remove the rows, in the transaction that makes them."""
        connection.execute(_MARK)
        for statement in _deletes(fixture):
            insert = f"insert into {SCHEMA}.removal (statement) values (%s)"  # noqa: S608
            connection.execute(insert.encode(), [statement])

    def remove(self) -> None:
        """Remove the rows that are marked. Raises ProofError, naming them, if that fails."""
        statements: list[str] = []
        try:
            if self._connection.execute(_MARKED).fetchone() != (True,):
                return
            statements = [text for (text,) in self._connection.execute(_STATEMENTS)]
            self._run([*statements, *_UNMARK])
        except psycopg.Error as error:
            raise ProofError(
                "The rows that verify had committed could not be removed: "
                f"{error.diag.message_primary or error}",
                hint="The next verify tries again before it starts. By hand, as a superuser on the "
                "coordinator:\nbegin;\n"
                + "\n".join(f"{text};" for text in (*_BEGIN, *statements, *_UNMARK, "commit")),
                state="The rows of two tenants of verify remain in the database.",
            ) from None

    def remember(self, fixture: Fixture, snapshot: Snapshot) -> None:
        """Remember the rows, to be able to put them back."""
        self._restore = [
            *_deletes(fixture),
            *(
                _insert(relation, [dict(row.values) for row in rows])
                for relation in snapshot.tables
                if relation.tenancy in (TENANT, PERSON)
                if (rows := [row for row in snapshot.rows[relation.oid] if row.owner in (A, B)])
            ),
        ]

    def restore(self) -> None:
        """Put the rows back as they were."""
        self._run(self._restore)

    def _run(self, statements: Iterable[str]) -> None:
        with self._connection.transaction():
            for statement in (*_BEGIN, *statements):
                self._connection.execute(statement.encode())


def _deletes(fixture: Fixture) -> Iterator[str]:
    """Yield statements that delete all rows of the two tenants, and others that were made."""
    unused = {values["new_id"] for values in fixture.named.values() if "new_id" in values}
    tenants = [*fixture.ids.values(), *sorted(unused)]  # an attack may have used one
    persons = [literal(person.user) for person in fixture.people if person.user]
    for relation in fixture.tenants.owned():
        for condition in dict.fromkeys(
            fixture.tenants.belongs(relation, "t", literal(tenant), persons) for tenant in tenants
        ):
            if condition != "false":
                yield f"delete from {relation.qualified} as t where {condition}"  # noqa: S608
    by_name = {(r.schema, r.name): r for r in fixture.tenants.relations.values()}
    made = [
        (by_name[key], row)
        for tables in fixture.person_rows.values()
        for key, rows in tables.items()
        for row in rows
    ]
    for relation, row in (*made, *fixture.added):
        if relation.tenant_column and row.get(relation.tenant_column):
            continue  # deleted above
        names = relation.key or list(row)
        condition = " and ".join(_equals(name, row[name]) for name in names)
        yield f"delete from {relation.qualified} as t where {condition}"  # noqa: S608


def _equals(name: str, value: str | None) -> str:
    return f"t.{quoted(name)} is null" if value is None else f"t.{quoted(name)} = {literal(value)}"


def _insert(relation: Relation, rows: Sequence[Mapping[str, str | None] | Made]) -> str:
    names = [column.name for column in relation.columns if not column.generated]
    values = ", ".join(
        "(" + ", ".join("null" if (v := row[n]) is None else literal(v) for n in names) + ")"
        for row in rows
    )
    listed = ", ".join(map(quoted, names))
    return f"insert into {relation.qualified} ({listed}) overriding system value values {values}"  # noqa: S608
