"""Mutation testing of verify: weaken a copy in one way at a time, and check that verify detects it.

The mutants are generated from the catalog by the queries in mutants/*.sql. Each yields rows of
kind, name (what is weakened), object (what a breach must name), sql, and, for changes to the whole
cluster, undo. A project adds its own in isolation/mutants/, where equivalent.toml lists equivalent
mutants with the layer that still holds.

Each mutant is checked by the proof, which ends after the part that names the object, and if none
does by the reviewed surface, if the project has a lock file.
"""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from importlib.resources import files
from itertools import count, repeat, zip_longest
from multiprocessing import get_context
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from runner import embedded
from runner.errors import DatabaseUnreachable, LockTimeout, RunnerError
from runner.events import Report, Working, silent
from runner.isolation import project as isolation
from runner.isolation.project import Project
from runner.isolation.proof import prove
from runner.isolation.self_test import copies, race
from runner.isolation.self_test.copies import Copies, connected
from runner.isolation.self_test.score import Mutant, Score, Trial
from runner.isolation.sql_cases import rule_runner
from runner.isolation.surface import review
from runner.isolation.tenancy.variables import substitute
from runner.isolation.verdict import Breach, Verdict
from runner.migrate.migrator import Migrator
from runner.postgres.connection import Connection
from runner.preflight.scratch import scratch_server


def generate(connection: Connection, project: Project) -> list[Mutant]:
    """Return every mutant of a database's schema. Changes nothing."""
    found: list[Mutant] = []
    packaged = sorted(
        (files("runner.isolation.self_test") / "mutants").iterdir(), key=lambda file: file.name
    )
    by_name = {file.name: file.read_text(encoding="utf-8") for file in packaged}
    definitions = by_name.pop("definitions.sql")
    values = rule_runner.values(project)
    with (
        connection.transaction(force_rollback=True),
        connection.cursor(row_factory=dict_row) as cur,
    ):
        cur.execute("set local search_path = pg_catalog, pg_temp")  # names come schema-qualified
        cur.execute(substitute(definitions, values).encode())
        for text in (*by_name.values(), *project.mutants):
            cur.execute(substitute(text, values).encode())
            found += [Mutant(**row, equivalent=_equivalent(project, row["name"])) for row in cur]
    return found


def sample(mutants: Sequence[Mutant], limit: int | None) -> list[Mutant]:
    """Return at most `limit` mutants, of as many kinds as possible; all of them for None."""
    if limit is None:
        return list(mutants)
    kinds: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in mutants:
        kinds[mutant.kind].append(mutant)
    rounds = zip_longest(*kinds.values())
    found = [mutant for one_of_each in rounds for mutant in one_of_each if mutant]
    apart = max(len(kinds) / limit, 1)  # if not each kind has its turn, those evenly spread
    return [found[int(number * apart)] for number in range(min(limit, len(found)))]


def self_test(
    sql_dir: Path = Path("sql"),
    *,
    version: int = embedded.VERSION,
    report: Report = silent,
    limit: int | None = None,
    like: copies.Like | None = None,
) -> Score:
    """Run verify on a weakened copy of the schema for each mutant, on a scratch server.

    `version`: PostgreSQL's major version. `limit`: the number of mutants, None for all. `like`:
    connects to a database whose role decides as what kind of owner; see `copies.copies`.
    """
    started = time.monotonic()
    project = isolation.load(sql_dir)
    roles = (actor.role for actor in project.config.actors.values())
    report(Working("self-test: creating the schema on a scratch server"))
    with (
        scratch_server(version, other=True) as server,
        copies.copies(server, sql_dir, roles, like) as made,
    ):
        with made.copy("first") as name, connected(made.url(name)) as connection:
            every = generate(connection, project)
            made.refuse(mutant.sql for mutant in every)
            mutants = sample(every, limit)
            breaches = prove(connection, project).breaches
            breaches += _check_surface(connection, project).breaches
        if breaches:
            return Score(made.version, made.kind, breaches, (), (), time.monotonic() - started)
        with made.copy("races") as name:
            races = race.run(made.url(name), project)
        trials: list[Trial] = []
        for trial in _tried(made, project, mutants):
            trials.append(trial)
            state = f"{len(trials)} of {len(mutants)}: {trial.verdict}, {trial.mutant.name}"
            report(Working(f"self-test: {state}"))
    order = {mutant: number for number, mutant in enumerate(mutants)}
    trials.sort(key=lambda trial: order[trial.mutant])
    return Score(made.version, made.kind, (), races, tuple(trials), time.monotonic() - started)


def _tried(made: Copies, project: Project, mutants: Sequence[Mutant]) -> Iterator[Trial]:
    """Run mutants of one database in parallel, then those of the whole cluster one by one."""
    independent = [mutant for mutant in mutants if not mutant.undo]
    workers = min(4, os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(try_out, repeat(made), repeat(project), count(1), independent)
        except BaseException:  # on an interrupt, do not start the remaining ones
            pool.shutdown(cancel_futures=True)
            raise
    for mutant in mutants:
        if mutant.undo:
            yield try_out(made, project, 0, mutant)


def try_out(made: Copies, project: Project, number: int, mutant: Mutant) -> Trial:
    """Weaken a copy and run verify on it."""
    started = time.monotonic()
    with made.copy(str(number)) as name:
        undo = mutant.undo
        try:
            try:
                made.weaken(name, mutant.sql)
            except psycopg.Error:  # it changed nothing, and what it would make may be another's
                undo = ""
                raise
            trial = _judge(project, mutant, made.url(name))
        finally:
            if undo:
                made.undo(undo)
    return replace(trial, seconds=time.monotonic() - started)


def _judge(project: Project, mutant: Mutant, url: str, *, again: bool = True) -> Trial:
    if mutant.kind.endswith(" race"):
        lost = tuple(check.name for check in race.run(url, project) if not check.passed)
        return Trial(mutant, "killed" if lost else "survived", lost)
    breaches: Sequence[Breach] = ()
    is_named = partial(names, object_=mutant.object)
    try:
        with connected(url) as connection:
            for check in (partial(prove, enough=is_named), _check_surface):
                breaches = check(connection, project).breaches
                killed_by = dict.fromkeys(b.proof for b in breaches if is_named(b))
                if killed_by:
                    return Trial(mutant, "killed", tuple(killed_by))
    except (psycopg.Error, RunnerError) as error:
        failed = Trial(mutant, "misattributed", note=f"verify failed: {error}")
        again = again and isinstance(error, (DatabaseUnreachable, LockTimeout))  # a busy machine
        return _judge(project, mutant, url, again=False) if again else failed
    if breaches:
        named = ", ".join(dict.fromkeys(f"{b.proof} ({b.subject})" for b in breaches))
        return Trial(mutant, "misattributed", note=f"attributed to {named}")
    if mutant.equivalent:
        return Trial(mutant, "equivalent", note=mutant.equivalent)
    return Trial(mutant, "survived", note="verify passes")


def _check_surface(connection: Connection, project: Project) -> Verdict:
    """Compare with the reviewed surface; without a lock file there is nothing to compare with."""
    return review.verify(Migrator(connection), Path(project.config.path).parent)


def names(breach: Breach, object_: str) -> bool:
    """Return whether a breach names a table, function, role or schema, with or without its schema.

    A trigger function may be named by its tables instead: alternatives are separated by " or ".
    """
    if " or " in object_:
        return any(names(breach, one) for one in object_.split(" or "))
    text = "\n".join((breach.subject, breach.summary, breach.cause, breach.fix))
    if object_.startswith(("schema ", "role ")):
        return object_ in text or breach.subject == object_.partition(" ")[2]
    bare = object_.partition("(")[0].rpartition(".")[2].strip('"')
    return re.search(rf"(?<!\w){re.escape(bare)}(?!\w)", text) is not None


def _equivalent(project: Project, name: str) -> str:
    layers = (layer for pattern, layer in project.equivalents if re.fullmatch(pattern, name))
    return next(layers, "")
