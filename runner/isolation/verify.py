"""The proof behind `verify`: is the database what its files say, and are its tenants isolated?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from runner.errors import ServerError, UsageError
from runner.events import Report, silent
from runner.files import loader
from runner.isolation import drift, preconditions, proof
from runner.isolation.probes.generic import prove_generic
from runner.isolation.tenancy import config
from runner.isolation.verdict import Verdict
from runner.migrate.migrator import Migrator


def verify(
    migrator: Migrator,
    sql_dir: Path,
    *,
    only: str | None = None,
    schemas: Sequence[str] = (),
    report: Report = silent,
) -> Verdict:
    """Return the verdict on drift and isolation, or on what `only` names. Changes nothing.

    Args:
        sql_dir: the migrations that the database is compared with; with an isolation.toml beside
            them, the tenants and rights are those that it declares.
        only: "drift", a table, a right, a rule or an attack.
        schemas: exposed by the API; `public` if empty.

    Raises LockTimeout, ProofError, and UsageError for an unknown `only`; with "drift", also what
    keeps the files from being compared.
    """
    schemas = schemas or ("public",)
    if only == drift.NAME:
        facts = preconditions.facts(migrator.connection, schemas)
        verdict = Verdict(facts=facts).with_more(_drift(migrator, sql_dir, report))
    else:
        verdict = Verdict()
        if only is None:
            try:
                verdict = _drift(migrator, sql_dir, report)
            except (UsageError, ServerError) as error:  # no files, or no server to run them on
                verdict = Verdict(warnings=(f"The files were not compared: {error.message}",))
        file = sql_dir / "isolation.toml"
        if config.is_generic(file):
            facts = preconditions.facts(migrator.connection, schemas)
            found = prove_generic(migrator.connection, config.read(file), report=report)
            verdict = Verdict(facts=facts).with_more(verdict).with_more(found.only(only))
        else:
            verdict = verdict.with_more(
                proof.prove(migrator.connection, only=only, schemas=schemas, report=report)
            )
    if migrator.target:
        verdict.facts["target"] = migrator.target.url()
    return verdict


def _drift(migrator: Migrator, sql_dir: Path, report: Report) -> Verdict:
    started = time.monotonic()
    audit = drift.audit(migrator, loader.read(sql_dir), report=report)
    return Verdict(
        checks=tuple(audit.checks()),
        breaches=tuple(audit.breaches()),
        warnings=tuple(audit.warnings()),
        seconds=time.monotonic() - started,
    )
