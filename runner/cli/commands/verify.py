"""Prove on the database itself that no tenant reaches another; changes nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from runner.cli.context import Context, plural
from runner.errors import DONE, PROOF_FAILED, UsageError

EXAMPLE = "verify --html proof.html"
EXIT_CODES = "3 a lock was held, 4 a proof failed, "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", metavar="NAME", help="one table, right, rule or attack")
    parser.add_argument(
        "--init",
        action="store_true",
        help="write isolation.toml from the live database, by trying what works in one tenant",
    )
    parser.add_argument(
        "--accept",
        action="store_true",
        help="write the security surface to sql/isolation.lock, as reviewed; nothing is proven",
    )
    parser.add_argument(
        "--surface", action="store_true", help="print the surface; nothing is proven"
    )
    parser.add_argument(
        "--schema", metavar="NAME", action="append", help="exposed by the API (public); repeatable"
    )
    parser.add_argument("--html", metavar="FILE", help="write a page for an auditor")
    parser.add_argument("--junit", metavar="FILE", help="write JUnit XML")
    parser.add_argument("--sarif", metavar="FILE", help="write SARIF, for code scanning")
    parser.add_argument(
        "--self-test",
        action="store_true",
        help="weaken a scratch copy in many ways and require that verify fails each time",
    )


def run(context: Context) -> int:
    from runner.events import Note
    from runner.isolation.report import export, places, sarif, text
    from runner.isolation.verify import verify

    options, console = context.options, context.console
    for name, other in _ALONE.items():
        if getattr(options, name):
            _refuse_others(options, name)
            return other(context)
    sql_dir, schemas = context.settings.sql_dir, options.schema or ()
    environ = context.settings.environ
    with context.migrator(create=False, log=False) as migrator:
        verdict = verify(
            migrator, sql_dir, only=options.only, schemas=schemas, report=context.report
        )
        if options.only:
            said = f"Only {options.only} was tried. Everything: python -m runner verify"
            context.report(Note(said))
        context.say(*text.verdict_lines(verdict, console.paint, verbose=console.verbose))
        for name, page in ((options.html, export.html), (options.junit, export.junit)):
            if name:
                _write(name, page(verdict))
        found = places.Places(sql_dir, environ.get("GITHUB_WORKSPACE", "."))
        if options.sarif:
            _write(options.sarif, sarif.sarif(verdict, found))
        for name in filter(None, (options.html, options.junit, options.sarif)):
            context.say(f"written: {name}")
        if environ.get("GITHUB_ACTIONS") == "true":
            context.say(*sarif.workflow_commands(verdict, found))
        context.say(console.paint(verdict.summary, "green" if verdict.proven else "red"))
        return context.document(DONE if verdict.proven else PROOF_FAILED, **text.document(verdict))


def _write(name: str, text: str) -> None:
    try:
        Path(name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{name} cannot be written: {error.strerror}", state="The proof ran; nothing remains."
        ) from None


def _refuse_others(options: argparse.Namespace, name: str) -> None:
    modes = ("init", "accept", "surface", "self_test")
    for other in (*modes, "only", "schema", "html", "junit", "sarif"):
        if other != name and getattr(options, other):
            flag, with_ = (f"--{word.replace('_', '-')}" for word in (name, other))
            raise UsageError(f"{flag} takes no {with_}: it proves nothing on this database")


def _init(context: Context) -> int:
    from runner.isolation import draft

    with context.migrator(create=False, log=False) as migrator:
        written = draft.write(migrator.connection, context.settings.sql_dir, context.report)
        for question in written.undecided:
            context.console.note(f"decide: {question}")
        context.say(*(f"leak: {leak.summary}" for leak in written.leaks))
        count = f"{len(written.undecided)} to decide, {plural(len(written.leaks), 'leak')}"
        context.say(f"written: {written.path} ({count}). Review it, then: python -m runner verify")
        return context.document(
            PROOF_FAILED if written.leaks else DONE,
            file=str(written.path),
            undecided=written.undecided,
            breaches=written.leaks,
        )


def _accept(context: Context) -> int:
    from runner.isolation.report import text
    from runner.isolation.surface import review

    with context.migrator(create=False, log=False) as migrator:
        path = review.path_of(migrator, context.settings.sql_dir)
        accepted = review.accept(migrator, context.settings.sql_dir)
        context.say(*text.accepted_lines(accepted, path, context.console.paint))
        return context.document(file=str(path), **text.accepted_document(accepted))


def _surface(context: Context) -> int:
    from runner.isolation.surface import lock_file, review

    with context.migrator(create=False, log=False) as migrator:
        surface = review.current(migrator.connection)
        context.console.text(lock_file.text(surface))
        return context.document(facts=[lock_file.line(fact) for fact in surface])


def _self_test(context: Context) -> int:
    from runner.isolation.report import text
    from runner.isolation.self_test import mutation
    from runner.isolation.surface import lock_file, review

    settings, console = context.settings, context.console
    version = settings.embedded_version
    score = mutation.self_test(
        settings.sql_dir, version=version, report=context.report, like=context.other
    )
    context.say(f"{score.server}, a scratch server, as {score.owner}\n")
    console.table(
        ("weakened", "killed", "of"),
        [(kind, killed, of) for kind, (killed, of) in score.by_kind.items()],
        colalign=("left", "right", "right"),
    )
    context.say("", *text.score_lines(score, console.paint, verbose=console.verbose))
    if score.survivors and not (settings.sql_dir / lock_file.FILE).exists():
        console.note(f"Many of them change the surface, which is not reviewed yet: {review.ACCEPT}")
    return context.document(DONE if score.passed else PROOF_FAILED, **text.score_document(score))


_ALONE = {"init": _init, "accept": _accept, "surface": _surface, "self_test": _self_test}
