"""Insert rows as every caller: own ones, the other tenant's, signed by others, linked across."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from runner.isolation.probes.effects import Effects
from runner.isolation.probes.execute import Attempt, Outcome
from runner.isolation.probes.identities import Caller
from runner.isolation.probes.insert_rows import Insert, InsertRows
from runner.isolation.probes.reads import Probe
from runner.isolation.rows.identity import OTHER
from runner.isolation.tenancy.objects import PERSON, SHARED, TENANT, Key, Relation
from runner.isolation.tenancy.variables import quoted

_UNTRIED = "row, by a trigger"
_NO_KEY = "42P10"  # an upsert cannot name this one, such as that of an exclusion constraint
_TAKEN = ("23505", "23P01")  # checked after policies: the row would have been accepted


def try_all(probe: Probe, effects: Effects) -> None:
    """Insert as each caller, and record the cells."""
    maker = _Inserter(probe, effects)
    tried = [
        insert
        for caller in probe.callers
        for relation in probe.relations
        if relation.kind in ("r", "p", "v")
        and (not caller.in_both or probe.rights.declared(relation))
        for insert in maker.inserts(caller, relation)
    ]
    outcomes = list(probe.run([insert.attempt for insert in tried]))
    worked: dict[tuple[str, int, str], bool] = {}
    for insert, outcome in zip(tried, outcomes, strict=True):
        if insert.allowed:
            worked[_right(insert)] = worked.get(_right(insert), False) or _accepted(outcome)
    for insert, outcome in zip(tried, outcomes, strict=True):
        maker.judge(insert, outcome, worked.get(_right(insert), False))


def _right(insert: Insert) -> tuple[str, int, str]:
    return insert.caller.name, insert.relation.oid, insert.where


def _accepted(outcome: Outcome) -> bool:
    """Whether privileges and policies let the row through."""
    return not outcome.sqlstate or outcome.sqlstate in _TAKEN


class _Inserter:
    """Build and judge the inserts."""

    def __init__(self, probe: Probe, effects: Effects) -> None:
        self._probe, self._effects = probe, effects
        self._rows = InsertRows(probe)

    def inserts(self, caller: Caller, relation: Relation) -> Iterator[Insert]:
        usable = [
            c.name
            for c in relation.columns
            if not c.generated
            and caller.role in c.roles("insert")
            and caller.role in relation.users
        ]
        target = self._effects.target(relation)
        if target is None:
            if usable and caller.regular and relation.updatable & 8:
                yield self._rows.insert(caller, relation, {}, (), what=_UNTRIED)
            return
        declared = self._probe.rights.columns(relation, "insert", caller, caller.own)
        judged = self._probe.rights.judged(caller)
        if not usable:
            if caller.regular:
                text = f"insert into {relation.qualified} default values"
                attempt = Attempt(caller.identity, text)
                allowed = bool(declared) and judged
                yield Insert(caller, relation, "row", "own", allowed, attempt)
            return
        if caller.everywhere:
            if judged and relation.tenancy != SHARED:
                yield from self._own(caller, relation, target, usable, declared)
                no_other = target is self._probe.fixture.tenants.tenant or not declared
                if row := None if no_other else self._rows.template(target, OTHER[caller.own]):
                    columns = self._own_columns(caller, relation, target, usable, declared)
                    yield self._rows.insert(
                        caller, relation, row, columns, where="other", allowed=True
                    )
            return
        if relation.tenancy == SHARED:
            yield from self._shared(caller, relation, target, usable)
            return
        if not caller.forged:
            yield from self._own(caller, relation, target, usable, declared)
        if caller.in_both:
            return
        yield from self._other(caller, relation, target, usable)
        if declared and caller.regular:
            yield from self._links(caller, relation, target, usable, declared)
            yield from self._keys(caller, relation, target, usable, declared)

    def _own(
        self,
        caller: Caller,
        relation: Relation,
        target: Relation,
        usable: list[str],
        declared: set[str],
    ) -> Iterator[Insert]:
        new = caller.everywhere and target is self._probe.fixture.tenants.tenant
        row = self._rows.template(target, caller.own, new=new)
        if row is None:
            return
        named = self._probe.rights.named(relation, "insert", caller)
        columns = (declared & set(usable)) | named if declared else set(usable)
        for user in self._rows.users(caller, target):
            signed = self._rows.signed(row, target, user)
            base = self._rows.chosen(
                target, columns, explicit=self._probe.rights.named(relation, "insert", caller)
            )
            if base:
                yield self._rows.insert(caller, relation, signed, base, allowed=bool(declared))
        if not declared or not caller.regular:
            return
        other = self._rows.colleague(caller)
        for name in sorted(set(usable) - declared):
            signed = self._rows.signed(row, target, self._rows.user_of(caller))
            if self._rows.is_person(target, name):
                if not other:
                    continue
                signed = {**signed, name: self._rows.reference_to(target, name, other)}
            base = self._rows.chosen(target, columns, explicit=columns)
            yield self._rows.insert(
                caller, relation, signed, {*base, name}, what=f"row with {name}"
            )

    def _other(
        self, caller: Caller, relation: Relation, target: Relation, usable: list[str]
    ) -> Iterator[Insert]:
        row = self._rows.template(target, OTHER[caller.own])
        if row is None:
            return
        columns = self._rows.chosen(target, set(usable), explicit=())
        crossing = {target.tenant_column} & columns or {
            name for reference in self._rows.tenant_references(target) for name in reference.columns
        } & columns
        if target.oid in self._rows.persons:
            crossing = columns & {self._probe.fixture.tenants.person_columns.get(target.oid, "")}
        if not crossing:
            return
        may = bool(self._probe.rights.columns(relation, "insert", caller, OTHER[caller.own]))
        users = [self._rows.user_of(caller), ""] if target.oid not in self._rows.persons else [""]
        for user in dict.fromkeys(users):
            signed = self._rows.signed(row, target, user) if user else row
            yield self._rows.insert(caller, relation, signed, columns, where="other", allowed=may)

    def _links(
        self,
        caller: Caller,
        relation: Relation,
        target: Relation,
        usable: list[str],
        declared: set[str],
    ) -> Iterator[Insert]:
        """Yield own rows that refer to a row of the other tenant."""
        row = self._rows.template(target, caller.own)
        if row is None or target is self._probe.fixture.tenants.people:
            return
        columns = self._own_columns(caller, relation, target, usable, declared)
        for reference in self._rows.tenant_references(target):
            own = [name for name in reference.columns if name != target.tenant_column]
            parent = self._probe.fixture.tenants.relations[reference.oid]
            theirs = self._probe.snapshot.of(parent, OTHER[caller.own])
            only = self._probe.snapshot.of(parent, caller.own)
            if not own or not set(own) <= set(usable) or parent.oid in self._rows.persons:
                continue
            places = {n: reference.referred[reference.columns.index(n)] for n in own}
            taken = {tuple(r.values[p] for p in places.values()) for r in only}
            foreign = next(
                (r for r in theirs if tuple(r.values[p] for p in places.values()) not in taken),
                None,
            )
            if foreign is None:
                continue
            linked = self._rows.signed(row, target, self._rows.user_of(caller))
            linked = {**linked, **{name: foreign.values[p] for name, p in places.items()}}
            yield self._rows.insert(
                caller,
                relation,
                linked,
                columns | set(own),
                what=f"row that refers to {parent.name} by {', '.join(own)}",
                where="other",
                implied=reference.implied,
            )

    def _keys(
        self,
        caller: Caller,
        relation: Relation,
        target: Relation,
        usable: list[str],
        declared: set[str],
    ) -> Iterator[Insert]:
        """Yield own rows with a unique value of the other tenant, also to update its row."""
        row = self._rows.template(target, caller.own)
        if row is None or target.tenancy != TENANT or target is self._probe.fixture.tenants.tenant:
            return
        columns = self._own_columns(caller, relation, target, usable, declared)
        changed = next(iter(relation.usable(caller.role, "update")), "")
        own = self._probe.snapshot.of(target, caller.own)
        for key in target.keys:
            if not key.columns or not set(key.columns) <= set(usable):
                continue
            taken = {r.shown(key.columns) for r in own}
            theirs = (
                r
                for r in self._probe.snapshot.of(target, OTHER[caller.own])
                if r.shown(key.columns) not in taken and None not in r.shown(key.columns)
            )
            for other in list(theirs)[:1]:
                signed = self._rows.signed(row, target, self._rows.user_of(caller))
                insert = self._rows.insert(
                    caller,
                    relation,
                    {**signed, **{name: other.values[name] for name in key.columns}},
                    columns | set(key.columns),
                    what=f"row with the {', '.join(key.columns)} of another",
                    where="other",
                    key=key.name,
                )
                if self._tells(target, key):
                    yield insert
                if changed:
                    listed = ", ".join(map(quoted, key.columns))
                    text = (
                        f"{insert.attempt.sql} on conflict ({listed}) do update"
                        f" set {quoted(changed)} = excluded.{quoted(changed)}"
                    )
                    attempt = Attempt(caller.identity, text, watch=True)
                    yield replace(insert, attempt=attempt, command="upsert", key="")

    @staticmethod
    def _tells(target: Relation, key: Key) -> bool:
        """Whether a value that is taken tells of another tenant: no random one, and no own one."""
        kinds = {c.name: c.category for c in target.columns}
        referring = {name for reference in target.references for name in reference.columns}
        inside = {target.tenant_column, *referring} & set(key.columns)
        return not (key.primary or inside or all(kinds[name] == "U" for name in key.columns))

    def _own_columns(
        self, caller: Caller, relation: Relation, target: Relation, usable: list[str],
        declared: set[str],
    ) -> set[str]:  # fmt: skip
        """Return the columns to give in an own row."""
        named = self._probe.rights.named(relation, "insert", caller)
        return self._rows.chosen(target, declared & set(usable), named)

    def _shared(
        self, caller: Caller, relation: Relation, target: Relation, usable: list[str]
    ) -> Iterator[Insert]:
        row = self._rows.template(target, "S")
        if row is not None:
            may = bool(self._probe.rights.columns(relation, "insert", caller, caller.own))
            yield self._rows.insert(caller, relation, row, usable, allowed=may)

    def judge(self, insert: Insert, outcome: Outcome, worked: bool) -> None:
        """Record the cell of one insert."""
        if insert.command == "upsert" and (outcome.unprivileged or outcome.sqlstate == _NO_KEY):
            return  # PostgreSQL has looked at no row
        name = insert.relation.qualified
        touched = self._effects.of(outcome).touched(OTHER[insert.caller.own])
        if insert.what == _UNTRIED:
            problem = f"could not be tried on {name}: it inserts by a trigger"
        elif insert.key:
            told = outcome.sqlstate in _TAKEN and outcome.constraint == insert.key
            what = f"learns from {insert.key} which values of {name} another tenant has"
            problem = what if told else ""
        elif touched and not (insert.where == "other" and insert.allowed):
            problem = f"changes rows of another tenant in {', '.join(touched)}, by a {insert.what}"
            problem += f" in {name}"
        elif insert.command == "upsert":
            problem = ""  # an error of the key is judged for the insert alone
        elif insert.where == "other":
            problem = self._problem_of_other(insert, outcome, worked)
        else:
            problem = self._problem_of_own(insert, outcome, worked)
        self._probe.findings.cell(
            insert.relation, insert.command, insert.caller, outcome, what=insert.what,
            where=insert.where,
            statement=insert.attempt.sql, allowed=insert.allowed, problem=problem,
        )  # fmt: skip

    def _problem_of_other(self, insert: Insert, outcome: Outcome, worked: bool) -> str:
        name = insert.relation.qualified
        if insert.allowed and insert.caller.everywhere and not worked:
            return f"may insert a row of the other tenant into {name}, but got {outcome}"
        if insert.what.startswith("row that refers"):
            reached = not outcome.sqlstate and not insert.implied
            return f"inserts into {name} a {insert.what}, of another tenant" if reached else ""
        reached = _accepted(outcome) and not insert.allowed
        return f"inserts a row of another tenant into {name}" if reached else ""

    def _problem_of_own(self, insert: Insert, outcome: Outcome, worked: bool) -> str:
        name = insert.relation.qualified
        if insert.allowed:
            if worked or not insert.caller.regular:
                return ""
            return f"may insert into {name}, but got {outcome}: {outcome.message}"
        if (_accepted(outcome) or outcome.constraint) and self._judged(insert):
            return f"inserts a {insert.what} into {name}, which no right allows"
        return ""

    def _judged(self, insert: Insert) -> bool:
        """Whether own rows are judged: rights are declared, and it is no row of oneself."""
        relation = insert.relation
        target = self._effects.target(relation)
        own_person = target is not None and target.tenancy == PERSON
        return self._probe.rights.declared(relation) and not own_person
