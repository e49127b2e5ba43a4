"""Prove on the database itself that no tenant reaches another; changes nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from runner.cli.context import Context
from runner.errors import DONE, PROOF_FAILED, UsageError

EXAMPLE = "verify --html proof.html"
EXIT_CODES = "4 a proof failed, "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", metavar="NAME", help="one table, right, rule or attack")
    parser.add_argument(
        "--schema", metavar="NAME", action="append", help="exposed by the API (public); repeatable"
    )
    parser.add_argument("--html", metavar="FILE", help="write a page for an auditor")
    parser.add_argument("--junit", metavar="FILE", help="write JUnit XML")
    parser.add_argument(
        "--self-test",
        action="store_true",
        help="weaken a scratch copy in many ways and require that verify fails each time",
    )


def run(context: Context) -> int:
    """Compare the database with its files, then try every right and attack."""
    from runner.isolation.report import export, text
    from runner.isolation.verify import verify

    options, console = context.options, context.console
    if options.self_test:
        return _self_test(context)
    sql_dir, schemas = context.settings.sql_dir, options.schema or ()
    with context.migrator(create=False, log=False) as migrator:
        verdict = verify(
            migrator, sql_dir, only=options.only, schemas=schemas, report=context.report
        )
        context.say(*text.verdict_lines(verdict, console.paint, verbose=console.verbose))
        for name, page in ((options.html, export.html), (options.junit, export.junit)):
            if name:
                _write(name, page(verdict))
        for name in filter(None, (options.html, options.junit)):
            context.say(f"written: {name}")
        context.say(console.paint(verdict.summary, "green" if verdict.proven else "red"))
        return context.document(
            DONE if verdict.proven else PROOF_FAILED,
            facts=verdict.facts,
            counts=verdict.counts,
            ms=round(verdict.seconds * 1000),
            cells=verdict.cells,
            checks=verdict.checks,
            breaches=verdict.breaches,
            warnings=verdict.warnings,
        )


def _write(name: str, text: str) -> None:
    try:
        Path(name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{name} cannot be written: {error.strerror}", state="The proof ran; nothing remains."
        ) from None


def _self_test(context: Context) -> int:
    from runner.isolation.report import text
    from runner.isolation.self_test import mutation

    settings, console = context.settings, context.console
    for name in ("only", "schema", "html", "junit"):
        if getattr(context.options, name):
            raise UsageError(f"--self-test takes no --{name}: it uses a scratch server of its own")
    version = settings.embedded_version
    score = mutation.self_test(settings.sql_dir, version=version, report=context.report)
    context.say(f"{score.server}, a scratch server\n")
    console.table(
        ("weakened", "killed", "of"),
        [(kind, killed, of) for kind, (killed, of) in score.by_kind.items()],
        colalign=("left", "right", "right"),
    )
    context.say("", *text.score_lines(score, console.paint, verbose=console.verbose))
    return context.document(
        DONE if score.passed else PROOF_FAILED,
        server=score.server,
        killed=score.killed,
        all=score.all,
        races=score.races,
        trials=score.trials,
        breaches=score.breaches,
        ms=round(score.seconds * 1000),
    )
