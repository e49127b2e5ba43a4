"""The proof behind `verify`: is the database what its files say, and are its tenants isolated?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from runner.errors import ProofError, RunnerError, ServerError, UsageError
from runner.events import Report, silent
from runner.files import loader
from runner.isolation import (
    drift,
    fixes,
    overlay,
    preconditions,
    project,
    proof,
    surface,
    untrusted,
)
from runner.isolation.surface import review
from runner.isolation.verdict import Verdict
from runner.migrate.migrator import Migrator
from runner.postgres.connection import Connection


class Prover(Protocol):
    """Proves the isolation of a database's tenants; see `proof.prove` for what is raised."""

    def __call__(
        self,
        connection: Connection,
        *,
        only: str | None = None,
        schemas: Sequence[str] = ("public",),
        report: Report = silent,
    ) -> Verdict: ...


def prover(sql_dir: Path, more: Path | None = None) -> Prover:
    """Return the proof of what the project in this folder promises; `more`: its overlay.

    Raises UsageError, naming file and line, for isolation data that is missing or malformed.
    """
    return partial(proof.prove, project=project.load(sql_dir, more))


def verify(
    migrator: Migrator,
    sql_dir: Path,
    *,
    only: str | None = None,
    schemas: Sequence[str] = (),
    report: Report = silent,
) -> Verdict:
    """Return the verdict on drift, surface and isolation, or on what `only` names. Changes nothing.

    Args:
        sql_dir: the migrations and the reviewed surface that the database is compared with, and the
            isolation data.
        only: "drift", "surface", a table, a right, a rule or an attack.
        schemas: exposed by the API; `public` if empty.

    Raises LockTimeout, ProofError, and UsageError for an unknown `only`, invalid isolation data or
    a malformed lock file; with "drift", also what keeps the files from being compared.
    """
    started = time.monotonic()
    schemas = schemas or ("public",)
    untrusted.limit_search_path(migrator.connection, local=False)
    if only in (drift.NAME, surface.NAME):
        if only == drift.NAME:
            verdict = _of(drift.audit(migrator, loader.read(sql_dir), report=report))
        else:
            verdict = review.verify(migrator, sql_dir)
        verdict = verdict.with_more(
            Verdict(facts=preconditions.facts(migrator.connection, schemas))
        )
    else:
        proof_of = prover(sql_dir, overlay.folder(migrator, sql_dir))
        prove = partial(proof_of, migrator.connection, schemas=schemas, report=report)
        verdict = prove(only=only) if only else _whole(migrator, sql_dir, prove)
    verdict = fixes.complete(verdict, migrator.connection, sql_dir)
    verdict = replace(verdict, seconds=time.monotonic() - started)
    if migrator.target:
        verdict.facts["target"] = migrator.target.url()
    return verdict


def _whole(migrator: Migrator, sql_dir: Path, prove: Callable[[], Verdict]) -> Verdict:
    """Return the verdict on everything; the files are applied elsewhere during the proof."""
    with ExitStack() as stack:
        try:
            audit = stack.enter_context(drift.auditing(migrator, loader.read(sql_dir)))
        except UsageError as error:
            compared = _not_compared(error)
            proven = review.verify(migrator, sql_dir).with_more(prove())
        else:
            proven = review.verify(migrator, sql_dir)
            unproven: ProofError | None = None
            try:
                proven = proven.with_more(prove())
            except ProofError as error:  # drift may be why no rows could be made
                unproven = error
            try:
                compared = _of(audit())
            except ServerError as error:  # no server to run the files on
                compared = _not_compared(error)
            if unproven and not compared.breaches:
                raise unproven
            if unproven:
                facts = Verdict(facts=preconditions.facts(migrator.connection, ("public",)))
                proven = proven.with_more(proof.without_rows(unproven)).with_more(facts)
    return compared.with_more(proven)


def _not_compared(error: RunnerError) -> Verdict:
    return Verdict(warnings=(f"The files were not compared: {error.message}",))


def _of(audit: drift.Audit) -> Verdict:
    return Verdict(
        checks=tuple(audit.checks()),
        breaches=tuple(audit.breaches()),
        warnings=tuple(audit.warnings()),
    )
