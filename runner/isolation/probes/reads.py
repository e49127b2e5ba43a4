"""Read every relation as every caller: whose rows come back, and which columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from runner.isolation.probes.enclosure import Enclosure
from runner.isolation.probes.execute import Attempt, Outcome
from runner.isolation.probes.findings import LACKS_OTHER, LACKS_OWN, OF_OTHER, UNTRIED, Findings
from runner.isolation.probes.identities import Caller
from runner.isolation.probes.rights import Rights
from runner.isolation.rows.fixture import SHARED_ROWS, Fixture
from runner.isolation.rows.identity import OTHER, B
from runner.isolation.rows.snapshot import Row, Snapshot
from runner.isolation.tenancy.objects import PERSON, SHARED, TENANT, UNDECIDED, Relation
from runner.isolation.tenancy.variables import literal, quoted
from runner.postgres.connection import Connection

_LIMIT = 1_000  # rows that a caller may get back
_FOREIGN = "?"  # the owner of a row that the fixture does not have
_SHOWN = 3


@dataclass(frozen=True)
class Probe:
    """Everything the probes need."""

    fixture: Fixture
    snapshot: Snapshot
    rights: Rights
    callers: Sequence[Caller]
    relations: Sequence[Relation]
    findings: Findings
    enclosure: Enclosure = field(default_factory=Enclosure)
    execute: Callable[[Connection, Sequence[Attempt]], Iterable[Outcome]] | None = None

    def run(self, tried: Sequence[Attempt]) -> Iterable[Outcome]:
        """Execute each attempt, and undo it."""
        return (self.execute or self.enclosure.run)(self.findings.connection, tried)


@dataclass(frozen=True)
class _Read:
    caller: Caller
    relation: Relation
    columns: list[str]
    attempt: Attempt


def try_all(probe: Probe) -> None:
    """Read each relation within reach as each caller, and record the cells."""
    reads = [
        read
        for caller in probe.callers
        for relation in probe.relations
        if relation.kind != "S" and (read := _read(probe, caller, relation))
    ]
    outcomes = probe.run([read.attempt for read in reads])
    for read, outcome in zip(reads, outcomes, strict=True):
        _judge(probe, read, outcome)


def _read(probe: Probe, caller: Caller, relation: Relation) -> _Read | None:
    if relation.kind == "f":
        return None  # it would connect to another server
    columns = relation.usable(caller.role, "select")
    if not columns and not caller.regular:
        return None  # the privilege is the role's, and a regular caller with it is tried
    listed = ", ".join(quoted(name) for name in columns) or "*"
    text = f"select {listed} from {relation.qualified}"  # noqa: S608
    if where := _where(probe, relation, columns):
        text += f" where {where}"
    return _Read(caller, relation, columns, Attempt(caller.identity, f"{text} limit {_LIMIT}"))


def _where(probe: Probe, relation: Relation, columns: Sequence[str]) -> str:
    """Return a condition that selects the fixture's rows, where the caller may name a column."""
    ids = list(probe.fixture.ids.values())
    column = relation.tenant_column
    if column in columns and column:
        listed = ", ".join(map(literal, ids))
        return f"({quoted(column)} in ({listed}) or {quoted(column)} is null)"
    key = relation.key[0] if len(relation.key) == 1 else None
    if relation.is_table and relation.tenancy in (TENANT, PERSON) and key in columns and key:
        values = {row.values[key] for row in probe.snapshot.rows.get(relation.oid, [])}
        values |= {p.user for p in probe.fixture.people if relation.oid in _persons(probe)}
        listed = ", ".join(literal(value) for value in sorted(filter(None, values)))
        return f"{quoted(key)} in ({listed})" if listed else ""
    return ""


def _persons(probe: Probe) -> Iterable[int]:
    return probe.fixture.tenants.person_columns


def _judge(probe: Probe, read: _Read, outcome: Outcome) -> None:
    """Record the cells of one read: own rows, the other tenant's, shared ones."""
    caller, relation = read.caller, read.relation
    seen = list(_recognized(probe, relation, read.columns, outcome))
    statement = read.attempt.sql
    other = OTHER[caller.own]
    foreign = [row for row in seen if row.owner in (other, _FOREIGN)]
    allowed = probe.rights.rows(relation, "select", caller)
    allowed_places = {id(row) for row in allowed}
    leaked = [row for row in foreign if id(row) not in allowed_places]
    judged = probe.rights.judged(caller)
    crosses = caller.everywhere and probe.rights.may(relation, "select", caller, other)
    crossing = crosses or (caller.everywhere and not judged) or len(leaked) < len(foreign)
    record = probe.findings.cell
    if relation.tenancy != SHARED:
        there = probe.snapshot.of(relation, other)
        problem = ""
        if caller.in_both and not probe.rights.declared(relation):
            pass
        elif leaked and not caller.everywhere:
            problem = f"reads rows of another tenant in {relation.qualified}: {len(leaked)}"
        elif not there and not leaked and caller.regular and _must_have_rows(probe, relation):
            problem = f"{UNTRIED} on {relation.qualified}: {LACKS_OTHER}"
        elif (
            crosses
            and not foreign
            and any(row.owner == other for row in allowed)
            and len(outcome.data) < _LIMIT
        ):
            problem = f"may read the other tenant's rows of {relation.qualified}, but got {outcome}"
        record(
            relation, "select", caller, outcome, what="rows", where="other", statement=statement,
            allowed=crossing, problem=problem, exposed=_sample(leaked, relation, OF_OTHER),
            shown="" if outcome.sqlstate else f"{len(foreign)} of the other's rows",
        )  # fmt: skip
    if relation.tenancy == SHARED:
        _judge_shared(probe, read, outcome, seen)
    elif probe.rights.declared(relation):
        _judge_own(probe, read, outcome, seen, allowed)


def _must_have_rows(probe: Probe, relation: Relation) -> bool:
    """Whether the other tenant has rows in what this relation shows."""
    if relation.is_table:
        return relation.tenancy != UNDECIDED
    return relation.kind == "v" and relation.tenant_column is not None and relation.invoker


def _judge_shared(probe: Probe, read: _Read, outcome: Outcome, seen: Sequence[Row]) -> None:
    """Judge the rows that all tenants share; no tenant's values may be in them."""
    caller, relation = read.caller, read.relation
    names = {name for right in _rights(probe, relation) for name in right}
    may = bool(names & {n for group in caller.rights.values() for n in group})
    may = may or caller.everywhere or probe.rights.any(relation, "select", caller.role)
    problem = ""
    leaked = [row for row in seen if row.owner == B]
    if leaked:
        problem = f"reads values of another tenant in {relation.qualified}"
    elif seen and not may and probe.rights.declared(relation):
        problem = f"reads {relation.qualified}, which no right allows"
    elif (
        may
        and caller.regular
        and not seen
        and caller.name in names
        and not _refreshed(read, outcome)
    ):
        problem = f"may read {relation.qualified}, but got {outcome}"
    probe.findings.cell(
        relation, "select", caller, outcome, what="rows", where="own",
        statement=read.attempt.sql, allowed=may, problem=problem,
        exposed=_sample(leaked, relation, OF_OTHER),
    )  # fmt: skip


def _refreshed(read: _Read, outcome: Outcome) -> bool:
    """Whether it was read, and only a refresh could have put rows into it."""
    return read.relation.kind == "m" and not outcome.sqlstate


def _rights(probe: Probe, relation: Relation) -> Iterator[tuple[str, ...]]:
    for name, commands in probe.fixture.config.rights.items():
        if probe.fixture.tenants.named(name) is relation:
            for right in commands.get("select", ()):
                yield right.actors


def _judge_own(
    probe: Probe, read: _Read, outcome: Outcome, seen: Sequence[Row], allowed: Sequence[Row]
) -> None:
    """Judge the own rows: those that no right allows, columns, and what must work."""
    caller, relation = read.caller, read.relation
    own = [row for row in seen if row.owner == caller.own]
    places = {id(row) for row in allowed}
    beyond = [row for row in own if id(row) not in places]
    reached = [row for row in own if id(row) in places]
    extra = set(read.columns) - probe.rights.columns(relation, "select", caller, caller.own)
    lacking = probe.rights.named(relation, "select", caller) - set(read.columns)
    wanted = [row for row in allowed if row.owner == caller.own]
    may = probe.rights.may(relation, "select", caller, caller.own)
    problem = ""
    if caller.everywhere and not probe.rights.judged(caller):
        pass
    elif beyond:
        problem = f"reads own rows of {relation.qualified} that no right allows: {len(beyond)}"
    elif caller.regular and lacking:
        problem = f"may read {', '.join(sorted(lacking))} of {relation.qualified}, but cannot"
    elif reached and extra:
        problem = f"reads {', '.join(sorted(extra))} of {relation.qualified}, which no right allows"
    elif caller.regular and not reached and may:
        if wanted or outcome.sqlstate:
            problem = f"may read own rows of {relation.qualified}, but got {outcome}"
        elif probe.snapshot.rows.get(relation.oid) or relation.is_table:
            problem = f"{UNTRIED} on {relation.qualified}: {LACKS_OWN}"
    probe.findings.cell(
        relation, "select", caller, outcome, what="rows", where="own",
        statement=read.attempt.sql, allowed=may, problem=problem,
        exposed=_sample(beyond, relation, ""),
    )  # fmt: skip


def _recognized(
    probe: Probe, relation: Relation, columns: Sequence[str], outcome: Outcome
) -> Iterator[Row]:
    """Yield the rows of a result with their owners; unknown ones as foreign or without one."""
    if not outcome.data:
        return
    by_values: dict[tuple[str | None, ...], list[Row]] = {}
    for row in probe.snapshot.rows.get(relation.oid, []):
        by_values.setdefault(row.shown(columns), []).append(row)
    for values in outcome.data:
        known = by_values.get(values, [])
        owners = {row.owner for row in known}
        if len(owners) == 1 or (known and B not in owners):
            yield known.pop() if len(known) > 1 else known[0]
            continue
        named = dict(zip(columns, values, strict=True))
        owner = probe.snapshot.owner_of(values)
        unknown = relation.is_table and relation.tenancy == TENANT and not known
        if not owner and unknown:
            column = named.get(relation.tenant_column or "")
            owner = SHARED_ROWS if relation.tenant_column in named and column is None else _FOREIGN
        yield Row(owner, "", named)


def _sample(rows: Sequence[Row], relation: Relation, whose: str) -> str:
    """Describe rows; those of the live database without their values, which may be personal."""
    shown = "; ".join(
        "a row that is not of this proof"
        if row.owner == _FOREIGN
        else ", ".join(f"{name}={value}" for name, value in row.values.items() if value)[:120]
        for row in rows[:_SHOWN]
    )
    count = f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
    return f"{count} of {relation.qualified}{whose}: {shown}" if rows else ""
