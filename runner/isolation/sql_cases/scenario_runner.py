"""What somebody who wants more would try, and what must hold against everybody: one file each.

attacks/ and invariants/ hold the files; steps.py says how they are written. Each is tried in a
savepoint of the open transaction, by the people of world.py, and leaves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
from psycopg import pq, sql

from runner.isolation.fixture import AWAY, Actor
from runner.isolation.matrix.attempt import Outcome
from runner.isolation.matrix.permissions import may
from runner.isolation.matrix.root_cause import PAGES, Faults
from runner.isolation.sql_cases import case_file
from runner.isolation.sql_cases.case_file import Sheet
from runner.isolation.sql_cases.scenario import OWNER, Step, attacks, steps
from runner.isolation.transactions import SEARCH_PATH
from runner.isolation.verdict import Breach, Check
from runner.postgres.connection import Connection

KINDS = {"attacks": "attack", "invariants": "invariant"}

_ID = re.compile(r"c[a-z0-9]{24}")
_KEPT = 3
_UNDECIDED = ("57014", "55P03", "40P01")  # a timeout, a lock
_TABLES = """
    select c.oid::regclass::text, coalesce(a.attname, 'id')::text
    from pg_catalog.pg_class as c
    left join pg_catalog.pg_attribute as a
        on a.attrelid = c.oid and a.attname = 'org_id' and not a.attisdropped
    where c.relnamespace = 'public'::pg_catalog.regnamespace
        and c.relkind in ('r', 'p')
        and (a.attname is not null or c.relname = 'organizations')
        -- A partition is reached through its parent, or by a grant of its own.
        and (
            not c.relispartition
            or exists (
                select
                from unnest(array['anon', 'authenticated', 'service_role']) as role
                where has_table_privilege(
                    role, c.oid, 'select, insert, update, delete, truncate, references, trigger'
                )
                or has_any_column_privilege(role, c.oid, 'select, insert, update, references')
            )
        )
    order by c.relname
"""


def run(connection: Connection, only: str | None = None) -> tuple[list[Check], list[Breach]]:
    """Try every attack and invariant, or the one named, inside the open transaction.

    The world of world.py has to be there. Nothing stays: each is rolled back to its savepoint.
    """
    checks, breaches = [], []
    faults = Faults(connection)
    tables = _tables(connection)
    for attack in case_file.meant(attacks(), only):
        count, failed, words = 0, [], attack.fields["safe"]
        for table, key in tables if "each" in attack.fields else [("", "")]:
            before = None
            for step, statement, outcome in _tried(connection, attack, table, key):
                count += 1
                if outcome and step.actor is None and outcome.sqlstate == "42501":
                    words = f"not tried: who connected may not prepare it ({outcome.message})"
                    break
                if outcome:
                    by = _let_by(attack, step, before, table, faults)
                    failed.append(_breach(attack, step, statement, outcome, table=table, by=by))
                before = step if step.actor else before
        checks.append(
            Check(
                KINDS[attack.folder],
                attack.name,
                attack.title,
                attack.fields["source"],
                f"{len(failed)} of {count} steps got through" if failed else words,
                passed=not failed,
            )
        )
        breaches += failed
    return checks, breaches


def _tables(connection: Connection) -> list[tuple[str, str]]:
    """Return every table of tenants with its key, their names whole."""
    connection.execute("savepoint names; set local search_path = pg_catalog")
    try:
        return connection.execute(_TABLES).fetchall()
    finally:
        connection.execute("rollback to savepoint names; release savepoint names")


def _tried(
    connection: Connection, attack: Sheet, table: str, key: str
) -> Iterator[tuple[Step, str, Outcome | None]]:
    """Try the steps of an attack one after the other; None for an outcome that was expected."""
    connection.execute("savepoint attack; savepoint step")
    try:
        told = ""
        for step in steps(attack):
            statement = step.filled(step.sql, table, key)
            _come_in(connection, step.actor)
            if step.unless and _holds(connection, step.filled(step.unless, table, key)):
                told = ""
                yield step, statement, Outcome(rows=1, message="may do it; it was not run")
                continue
            outcome, own, now = _execute(connection, statement)
            expected = _is_expected(step.expected, outcome, own=own, same=now == told)
            yield step, statement, None if expected else outcome
            told = now
    finally:
        if not connection.closed:
            connection.execute("rollback to savepoint attack; release savepoint attack")


def _come_in(connection: Connection, actor: Actor | None) -> None:
    """Become somebody, as PostgREST does it; the owner is who connected. A new step begins.

    All in one message: there are many steps, and the server may be far.
    """
    role = sql.Identifier(actor.role) if actor else sql.SQL("none")
    connection.execute(
        sql.SQL(
            "release savepoint step; set local role {}; set local search_path = {};"
            " select set_config('request.jwt.claims', {}, true); savepoint step"
        ).format(role, sql.SQL(SEARCH_PATH), sql.Literal(actor.claims if actor else ""))
    )


def _execute(connection: Connection, statement: str) -> tuple[Outcome, bool, str]:
    """Run a step: its outcome, whether only own rows were shown, and everything that was told."""
    try:
        with connection.cursor() as cursor:
            if re.match(r"copy\b.*\bto stdout", statement, re.IGNORECASE | re.DOTALL):
                with cursor.copy(statement.encode()) as copy:
                    rows: list[tuple[object, ...]] = list(copy.rows())
                count = len(rows)
            else:
                cursor.execute(statement.encode())
                while cursor.nextset():
                    pass
                result = cursor.pgresult
                shown = result is not None and result.status == pq.ExecStatus.TUPLES_OK
                rows = cursor.fetchall() if shown else []
                count = max(cursor.rowcount, 0)
    except psycopg.Error as error:
        if connection.closed:
            raise
        connection.execute("rollback to savepoint step")
        told = error.diag
        words = [told.message_primary, told.message_detail, told.message_hint, told.constraint_name]
        outcome = Outcome(sqlstate=error.sqlstate or "?????", message=words[0] or str(error))
        return outcome, False, _ID.sub("…", repr([error.sqlstate, *words]))
    own = bool(rows) and AWAY.id()[:10] not in repr(rows)
    return Outcome(count, sample=tuple(rows[:_KEPT])), own, _ID.sub("…", repr(rows))


def _holds(connection: Connection, condition: str) -> bool:
    outcome, *_ = _execute(connection, f"select 1 where {condition}")
    return outcome.rows > 0


def _is_expected(expected: tuple[str, ...], outcome: Outcome, *, own: bool, same: bool) -> bool:
    words = {"same"} if same else set()
    if outcome.sqlstate:
        words |= {outcome.sqlstate, outcome.sqlstate[:2] + "***"}
    else:
        words |= {"done", "rows" if outcome.rows else "nothing", *(["own"] if own else [])}
    return not words.isdisjoint(expected)


def _breach(
    attack: Sheet,
    step: Step,
    statement: str,
    outcome: Outcome,
    *,
    table: str,
    by: tuple[str, str],
) -> Breach:
    """Say what got through; `by` is what let it, and how to fix that."""
    actor = step.actor
    safe = f"Safe would be: {attack.fields['safe']}"
    if outcome.sqlstate in _UNDECIDED:
        safe, by = "It could not be tried.", (outcome.message, "python -m runner verify  -- again")
    reached = f"{outcome}: {outcome.message}" if outcome.message else str(outcome)
    return Breach(
        proof=attack.name,
        subject=table or _aim(attack, step, statement),
        what=f"{attack.title} {safe}",
        who=f"{actor.name}: role {actor.role}, claims {actor.claims}" if actor else OWNER,
        sql=statement,
        reached=f"{reached}; expected {' or '.join(step.expected)}",
        fault=by[0],
        fix=by[1],
    )


def _aim(attack: Sheet, step: Step, statement: str) -> str:
    """Return what was aimed at: a table, or else a schema, or else the role and what it has."""
    named = re.search(r"\bpublic\.(?!proof_|planted|text\b)\w+", f"{statement} {attack.body}")
    if named:
        return named[0]
    schema = re.search(r"\b(public|app|yoyo)\.", statement)
    if schema:
        return f"schema {schema[1]}"
    return f"role {step.actor.role}" if step.actor else "the database"


def _let_by(
    attack: Sheet, step: Step, before: Step | None, table: str, faults: Faults
) -> tuple[str, str]:
    """Return what let a step through, and how to fix it.

    Where the owner only looks what came of it, the one who did it is asked about: `before`.
    """
    if step.actor is None and "nothing" in step.expected and before:
        step = before
    named = re.search(r"\bpublic\.(?!proof_|planted)(\w+)", f"{step.sql} {attack.body}")
    name = table.removeprefix("public.") or (named[1] if named else "")
    if not name:
        return "a privilege, or a function, that the statement names", PAGES
    if step.actor is None:
        return f"no trigger or constraint of public.{name} refused it", PAGES
    verb = _verb(step.sql)
    if step.unless or "_privilege(" in step.sql:
        return faults.held(name, verb, step.actor.role)
    own = verb != "select" and ":'away." not in step.sql
    guarded = own and may(step.name.removesuffix(" of away"), name, verb)
    return faults.let_through(name, verb, step.actor.role, guarded=guarded)


def _verb(statement: str) -> str:
    if "when not matched" in statement or "from stdin" in statement:
        return "insert"
    found = re.search(r"\b(insert|update|delete|truncate|merge|lock)\b", statement)
    return {"merge": "update", "lock": "update"}.get(found[1], found[1]) if found else "select"
