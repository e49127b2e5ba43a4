"""Delete every row of one tenant in one transaction that is proven to touch no other row."""

from __future__ import annotations

import json
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from runner.errors import NO_CHANGES, ConfirmationRequired, RunnerError, UsageError
from runner.events import Note, Report, Working
from runner.isolation.tenancy.objects import TENANT, Relation
from runner.migrate import recorder
from runner.postgres.connection import Connection
from runner.queries import query
from runner.schema import snapshot
from runner.tenant import export, rows
from runner.tenant.rows import Tenant

HOOK = "erase.sql"  # of isolation/: what a schema needs before the rows are deleted
_PERMIT = f"isolation/{HOOK} beside isolation.toml runs first and can permit it: docs/tenant.md."
_ELSEWHERE = ("08", "40", "42501", "53", "55", "57")  # reported for the whole transaction
_PASSES = 3  # triggers may write rows of the tenant while others are deleted


@dataclass(frozen=True)
class Receipt:
    """What was erased; without names, values, or anything else of a row."""

    tenant: str
    at: str  # UTC
    by: str  # role of the database, user and host of the operating system
    server: str
    database: str
    fingerprint: str  # of the schema
    erased: dict[str, int]  # rows by table
    compared: int  # tables in which all other rows are as they were
    others: int  # rows in them


def erase(
    connection: Connection,
    sql_dir: Path,
    name: str,
    *,
    typed_name: str | None,
    receipt: Path,
    report: Report,
) -> Receipt:
    """Delete a tenant's rows, write the receipt, and return it. Raises RunnerError.

    Args:
        name: the id of the tenant.
        typed_name: what was typed to confirm; it must be the name by which people know the tenant.
        receipt: a file that does not exist yet.
    """
    with _reserved(receipt) as file, rows.transaction(connection, ""):
        tenant = rows.read(connection, sql_dir, name)
        export.require(connection, tenant)
        counts = tenant.counts(connection)
        label = tenant.label(connection)
        if typed_name != label:
            _refuse(tenant, label, counts, typed_name)
        found = _erase(connection, tenant, counts, report)
        file.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")
    for relation in tenant.tenants.relations.values():
        if relation.kind == "m" and relation.tenancy == TENANT:
            report(Note(f"{relation.qualified} may hold copies: refresh materialized view"))
    with rows.transaction(connection, ", read only", f"The tenant is erased: {receipt}"):
        if left := tenant.counts(connection):
            names = ", ".join(left)
            report(Note(f"Another session has written rows of it meanwhile, in {names}: repeat"))
    return found


def _refuse(tenant: Tenant, label: str, counts: dict[str, int], typed_name: str | None) -> None:
    listed = "\n".join(f"{count:>9,}  {table}" for table, count in counts.items())
    wrong = f"{typed_name!r} is not its name. " if typed_name else ""
    raise ConfirmationRequired(
        f"{wrong}This would erase {label!r}: {sum(counts.values()):,} rows in {len(counts)} tables",
        hint=f"{listed}\nExport it first: python -m runner tenant export {shlex.quote(tenant.id)}"
        f" --out DIR\nTo confirm, type its name: --yes-erase {shlex.quote(label)}",
    )


@contextmanager
def _reserved(path: Path) -> Iterator[Path]:
    """Make the file before anything is deleted, and remove it if that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(exist_ok=False)
    except OSError as error:
        raise UsageError(
            f"The receipt {path} cannot be written: {error.strerror}",
            hint="Name a file that does not exist: --out FILE",
        ) from None
    try:
        yield path
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _erase(
    connection: Connection, tenant: Tenant, counts: dict[str, int], report: Report
) -> Receipt:
    with rows.deferred(connection, tenant.tables):
        _prepare(connection, tenant)
        report(Working("reading the rows of others"))
        before = tenant.digest(connection)
        order = _order(connection, tenant)
        for number in range(_PASSES):
            done = [_delete(connection, tenant, relation, report) for relation in order]
            refused = next((error for _, error in done if error), None)
            if refused and number == _PASSES - 1:
                raise refused
            if not refused and not sum(count for count, _ in done):
                break
        _run(connection, "set constraints all immediate", "The tenant's rows")
    if left := tenant.counts(connection):
        raise RunnerError(
            f"Rows of the tenant remain in {', '.join(left)}",
            hint=f"A trigger or rule keeps them, or writes them again. {_PERMIT}",
            state=NO_CHANGES,
        )
    report(Working("reading the rows of others again"))
    after = tenant.digest(connection)
    if touched := [name for name in before if before[name] != after.get(name)]:
        raise RunnerError(
            f"This would change rows that are not the tenant's, in {', '.join(touched)}",
            hint=f"A reference with an action or a trigger does that. {_PERMIT}",
            state=NO_CHANGES,
        )
    info = connection.info
    user = f"{recorder.operating_system_user()}@{socket.gethostname()}"
    return Receipt(
        tenant=tenant.id,
        at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        by=f"{info.user} ({user})",
        server=info.parameter_status("server_version") or "?",
        database=info.dbname,
        fingerprint=snapshot.fingerprint(connection),
        erased=counts,
        compared=len(after),
        others=sum(count for count, *_ in after.values()),
    )


def _prepare(connection: Connection, tenant: Tenant) -> None:
    """Run isolation/erase.sql, if there is one. What it changes is not compared."""
    path = Path(tenant.config.path).with_suffix("") / HOOK
    connection.execute("set constraints all deferred")
    if path.is_file():
        text = path.read_text(encoding="utf-8").replace(":'tenant'", rows.literal(tenant.id))
        _run(connection, text, str(path))


def _order(connection: Connection, tenant: Tenant) -> list[Relation]:
    """Return the tables in the order of deletes: those that refer before those referred to.

    The tenant itself comes first where that is possible: triggers of its rows then see that it is
    gone.
    """
    order, first = list(reversed(tenant.tables)), tenant.tenants.tenant
    if first and not tenant.decides(first):
        row = connection.execute(query("tenant/deferrable"), {"table": first.oid}).fetchone()
        if row and row[0]:
            order.remove(first)
            order.insert(0, first)
    return order


def _delete(
    connection: Connection, tenant: Tenant, relation: Relation, report: Report
) -> tuple[int, RunnerError | None]:
    """Return the row count, or the error if rows that a trigger wrote still refer to these."""
    report(Working(f"erasing {relation.qualified}"))
    text = f"delete from {rows.source(relation)} as t where {tenant.condition(relation)}"
    try:
        with connection.transaction():
            return connection.execute(text.encode()).rowcount, None
    except psycopg.errors.ForeignKeyViolation as error:
        return 0, _refused(error, relation.qualified)
    except psycopg.Error as error:
        if error.sqlstate is None or error.sqlstate.startswith(_ELSEWHERE):
            raise
        raise _refused(error, relation.qualified) from None


def _run(connection: Connection, text: str, what: str) -> None:
    """Run statements. Raises RunnerError, naming `what`."""
    try:
        connection.execute(text.encode())
    except psycopg.Error as error:
        if error.sqlstate is None or error.sqlstate.startswith(_ELSEWHERE):
            raise
        raise _refused(error, what) from None


def _refused(error: psycopg.Error, what: str) -> RunnerError:
    detail = f"{error.diag.message_detail}\n" if error.diag.message_detail else ""
    return RunnerError(
        f"{what}: {error.diag.message_primary}", hint=detail + _PERMIT, state=NO_CHANGES
    )
