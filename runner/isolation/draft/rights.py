"""Rights in the own tenant: what privileges allow, narrowed to what works when it is tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from runner.events import Report, Working
from runner.isolation.draft.schema import Draft
from runner.isolation.probes import generic
from runner.isolation.probes.findings import Findings
from runner.isolation.probes.reads import Probe
from runner.isolation.rows.identity import A, names_tenant
from runner.isolation.tenancy.config import Config, Right
from runner.isolation.tenancy.objects import SHARED, UNDECIDED, Relation
from runner.isolation.verdict import Breach, Cell
from runner.postgres.connection import Connection

_ASKED = ("undecided.role ", "undecided.setting ")  # what the draft asks about, too
_ROUNDS = 6  # a right that is removed changes who has the most, and so what is tried

Held = dict[str, dict[str, dict[str, list[str] | None]]]  # relation → command → actor → columns


@dataclass
class Tried:
    """The rights that worked, and what else was found."""

    config: Config
    leaks: list[Breach] = field(default_factory=list)
    open: list[str] = field(default_factory=list)  # what a person has to decide


def by_trying(connection: Connection, draft: Draft, report: Report) -> Tried:
    """Return the rights that work; nothing across tenants is one.

    Raises what `generic.prove_generic` raises.
    """
    held = _privileged(draft)
    for number in range(1, _ROUNDS + 1):
        config = replace(draft.config, rights=_rights(held))
        report(Working(f"rights, round {number}"))
        probe = generic.tried(connection, config, report=report)
        if not _narrow(draft, held, probe.findings):
            break
    result = Tried(config)
    cells = {cell.title: cell for cell in probe.findings.cells}
    asked = " ".join(question for _, question in draft.undecided)
    leaks: dict[str, Breach] = {}  # by what is said of each
    for breach in probe.findings.breaches:
        if breach.proof.startswith(_ASKED) and breach.subject.partition(" ")[2] in asked:
            continue
        if _within(draft, breach, cells.get(breach.proof)):
            cause = f" ({breach.cause})" if breach.cause else ""
            result.open.append(f"{breach.summary}{cause}")
        else:
            leaks.setdefault(breach.summary, breach)
    result.leaks += leaks.values()
    result.open += _partial(draft, probe)
    return result


def _within(draft: Draft, breach: Breach, cell: Cell | None) -> bool:
    """Whether a breach is an actor's in the own tenant, or about what was not tried or declared."""
    if breach.proof.startswith(("undecided.", "rows.", "untried.")):
        return True
    own = cell is not None and cell.where == "own" and cell.actor in draft.config.actors
    return own or "could not be tried" in breach.summary


def _name(draft: Draft, relation: Relation) -> str:
    """Return the shortest name that means this relation alone."""
    short = draft.tenants.named(relation.name) is relation
    return relation.name if short else f"{relation.schema}.{relation.name}"


def _declared(draft: Draft) -> Iterator[Relation]:
    for relation in draft.tenants.reachable():
        if relation.kind not in ("S", "f") and relation.tenancy != UNDECIDED:
            yield relation


def _privileged(draft: Draft) -> Held:
    """Return what the privileges allow. Shared rows are only read."""
    held: Held = {}
    for relation in _declared(draft):
        commands = held.setdefault(_name(draft, relation), {})
        for actor in draft.config.actors.values():
            if relation.tenancy != SHARED and not actor.member and not names_tenant(draft.config):
                continue  # such a right would be one in every tenant
            for command in ("select", "insert", "update"):
                if relation.tenancy == SHARED and command != "select":
                    continue
                usable = relation.usable(actor.role, command)
                if command != "select":
                    writable = {c.name for c in relation.columns if not c.generated}
                    usable = [name for name in usable if name in writable]
                    whole = len(usable) == len(writable)
                else:
                    whole = len(usable) == len(relation.columns)
                if usable:
                    commands.setdefault(command, {})[actor.name] = None if whole else usable
            if relation.holds(actor.role, "delete") and relation.tenancy != SHARED:
                commands.setdefault("delete", {})[actor.name] = None
    return held


def _rights(held: Held) -> Mapping[str, Mapping[str, tuple[Right, ...]]]:
    return {
        name: {
            command: tuple(
                Right((actor,), tuple(columns) if columns is not None else None)
                for actor, columns in actors.items()
            )
            for command, actors in commands.items()
        }
        for name, commands in held.items()
    }


def _partial(draft: Draft, probe: Probe) -> Iterator[str]:
    """Yield the rights that worked on some of the own rows only: policies have a condition."""
    relations = {relation.qualified: relation for relation in _declared(draft)}
    reached: dict[tuple[str, str], dict[str, None]] = {}
    for cell in probe.findings.cells:
        relation = relations.get(cell.table)
        actor = draft.config.actors.get(cell.actor)
        rows = int(cell.outcome.split()[0]) if cell.outcome.endswith(("row", "rows")) else None
        if not (relation and actor and cell.passed and cell.allowed and cell.where == "own"):
            continue
        own = len(probe.snapshot.of(relation, A))
        expected = {"select": own, "update": own}.get(cell.command, 0)
        some = (cell.table, cell.command, cell.actor) in probe.findings.partial
        if some or (rows is not None and rows < expected and "WHERE" not in cell.what):
            reached.setdefault((_name(draft, relation), cell.command), {})[cell.actor] = None
    for (name, command), actors in reached.items():
        who = " ".join(actors)
        yield (
            f"which rows? {command} on {name} works for {who} on some own rows only, so the right "
            f'is a condition: {command} = {{ "{who}" = "…" }}'
        )


def _narrow(draft: Draft, held: Held, found: Findings) -> bool:
    """Remove the rights that did not work; return whether there were any."""
    problems = {breach.proof: breach.summary for breach in found.breaches}
    names = {relation.qualified: _name(draft, relation) for relation in _declared(draft)}
    changed = False
    for cell in found.cells:
        problem = problems.get(cell.title, "")
        if cell.passed or cell.where != "own" or f"{cell.actor} may " not in problem:
            continue
        actors = held.get(names.get(cell.table, ""), {}).get(cell.command, {})
        if cell.actor not in actors:
            continue
        changed = True
        columns = actors[cell.actor]
        relation = draft.tenants.named(names[cell.table])
        if cell.command == "update" and relation and relation.column(cell.what):
            role = draft.config.actors[cell.actor].role
            usable = columns if columns is not None else relation.usable(role, "update")
            actors[cell.actor] = [name for name in usable if name != cell.what]
        if cell.command != "update" or not actors[cell.actor] or not relation:
            del actors[cell.actor]
    return changed
