"""The command that proves: verify."""

from __future__ import annotations

import textwrap
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from runner.cli.commands.common import Options, document, show_target
from runner.cli.console import Console
from runner.errors import DONE, PROOF_FAILED, ServerError, UsageError
from runner.files import loader
from runner.isolation import drift
from runner.isolation import proof as isolation
from runner.isolation.matrix.permissions import COMMANDS
from runner.isolation.report import export
from runner.isolation.report import summary as grid
from runner.isolation.verdict import Breach, Verdict
from runner.migrate.migrator import Migrator
from runner.migrate.session import migrator_for
from runner.schema import snapshot
from runner.settings import Settings

_WIDTHS = (28, 8, 11, 13, 9, 9)  # who, then each command; 80 columns with what a breach adds
_NAMED = 5  # breaches of one fault that are named beside the one in full


def verify(where: Settings, options: Options, console: Console) -> int:
    """Prove on the database itself that no tenant reaches another. Leaves nothing behind."""
    if options.self_test:
        return _self_test(where, options, console)
    with migrator_for(where, console.report, create=False, log=False) as migrator:
        show_target(migrator, console)
        verdict = _verdict(migrator, where, options, console)
        if migrator.target:
            verdict = replace(verdict, facts={**verdict.facts, "target": migrator.target.url()})
        for name, page in ((options.html, export.html), (options.junit, export.junit)):
            if name:
                _write(Path(name), page(verdict))
        if options.save:
            _write(Path(options.save), snapshot.take(migrator.connection).text)
        code = DONE if verdict.proven else PROOF_FAILED
        _show(verdict, options, console)
        document(
            console,
            options,
            migrator,
            ok=verdict.proven,
            exit_code=code,
            facts=verdict.facts,
            counts=verdict.counts,
            ms=round(verdict.seconds * 1000),
            cells=verdict.cells,
            checks=verdict.checks,
            breaches=verdict.breaches,
            warnings=verdict.warnings,
        )
    return code


def _verdict(migrator: Migrator, where: Settings, options: Options, console: Console) -> Verdict:
    """Prove that the database is what its files say, then that it keeps its tenants apart."""
    verdict = Verdict()
    if options.only in (None, drift.NAME):
        verdict = _drift(migrator, where, console)
    if options.only == drift.NAME:
        return verdict
    isolated = isolation.prove(
        migrator.connection,
        only=options.only,
        schemas=options.schema or ("public",),
        report=console.report,
    )
    return verdict.with_more(isolated)


def _drift(migrator: Migrator, where: Settings, console: Console) -> Verdict:
    started = time.monotonic()
    try:
        audit = drift.audit(migrator, loader.read(where.sql_dir), report=console.report)
    except (UsageError, ServerError) as error:  # no files here, or nothing to make them on
        return Verdict(warnings=(f"The files were not compared: {error.message}",))
    return Verdict(
        checks=tuple(audit.checks()),
        breaches=tuple(audit.breaches()),
        warnings=tuple(audit.warnings()),
        seconds=time.monotonic() - started,
    )


def _show(verdict: Verdict, options: Options, console: Console) -> None:
    _show_matrix(verdict, console)
    _show_checks(verdict, console)
    for warning in verdict.warnings:
        word = "" if warning.startswith("note:") else "warning: "
        console.say(console.paint(_wrapped(f"{word}{warning}", "  "), "yellow"))
    if verdict.warnings:
        console.say()
    _show_breaches(verdict.breaches, console)
    for name in filter(None, (options.html, options.junit, options.save)):
        console.say(f"written: {name}")
    console.say(console.paint(verdict.summary, "green" if verdict.proven else "red"))


def _show_matrix(verdict: Verdict, console: Console) -> None:
    for table, lines in grid.grids(verdict.cells).items():
        console.say(console.paint(_row([table, *(c.upper() for c in COMMANDS)]), "bold"))
        for line in lines:
            text = _row([f"  {line.who}", *(str(square or "") for square in line.squares)])
            console.say(console.paint(text, "green" if line.passed else "red"))
    if verdict.cells:
        console.say()
        console.say(_wrapped(" · ".join(f"{part}" for part in grid.LEGEND), ""))
        console.say()


def _row(words: Iterable[str]) -> str:
    padded = (f"{word:<{width}}" for word, width in zip(words, _WIDTHS, strict=True))
    return "".join(padded).rstrip()


def _show_checks(verdict: Verdict, console: Console) -> None:
    for kind, count in Counter(check.kind for check in verdict.checks).items():
        checks = [check for check in verdict.checks if check.kind == kind]
        failed = sum(not check.passed for check in checks)
        sign = console.paint("✗", "red") if failed else console.paint("✓", "green")
        words = f"{failed} of {count} failed" if failed else f"all {count} hold"
        console.say(f"{sign} {kind + 's':<11} {words}")
        for check in checks:
            if console.verbose or not check.passed:
                mark = console.paint("✓", "green") if check.passed else console.paint("✗", "red")
                outcome = f": {check.outcome}" if not check.passed and check.outcome else ""
                console.say(f"  {mark} {check.name}\n      {check.title}{outcome}")
    if verdict.checks:
        console.say()


def _show_breaches(breaches: Iterable[Breach], console: Console) -> None:
    """Print one breach of each fault in full, and name the others."""
    by_fault: dict[tuple[str, str, str], list[Breach]] = {}
    for breach in breaches:
        by_fault.setdefault((breach.subject, breach.fault, breach.fix), []).append(breach)
    for number, same in enumerate(by_fault.values(), start=1):
        first, *others = same
        title = f"breach {number}: {first.proof}"
        console.say(console.paint(title, "red"))
        for name in ("what", "who", "sql", "reached", "fault", "fix"):
            if value := getattr(first, name):
                console.say(_field(name, value))
        times = Counter(breach.proof for breach in others)
        more = [f"{proof}{f' ({n} times)' if n > 1 else ''}" for proof, n in times.items()]
        if not console.verbose and len(more) > _NAMED:
            more[_NAMED:] = [f"and {len(more) - _NAMED} more, which -v or --json name"]
        if more:
            console.say(_field("so too", "\n".join(more)))
        console.say()


def _field(name: str, value: str) -> str:
    """Return a breach's line; statements stay as they are, to be pasted."""
    verbatim = name in ("sql", "fix", "so too")
    lines = value.splitlines() if verbatim else textwrap.wrap(value, 68, break_long_words=False)
    return "\n".join(f"  {name if not n else '':<8} {line}" for n, line in enumerate(lines))


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(text, 79, subsequent_indent=indent, break_long_words=False)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", hint="The proof was made all the same."
        ) from None


def _self_test(where: Settings, options: Options, console: Console) -> int:
    """Weaken a copy in each way, and demand that verify sees it."""
    from runner.isolation.self_test import mutation  # noqa: PLC0415 - starts processes, needs the embedded server

    for name in ("only", "schema", "html", "junit", "save"):
        if getattr(options, name):
            raise UsageError(
                f"--self-test takes no --{name}", hint="It makes a scratch server of its own."
            )
    score = mutation.self_test(where.sql_dir, version=where.embedded_version, report=console.report)
    code = DONE if score.passed else PROOF_FAILED
    console.say(f"{score.server}, a scratch server\n")
    console.table(
        ("weakened", "killed", "of"),
        [(kind, killed, of) for kind, (killed, of) in score.by_kind.items()],
        colalign=("left", "right", "right"),
    )
    console.say()
    for check in score.races:
        mark = console.paint("✓", "green") if check.passed else console.paint("✗", "red")
        console.say(f"{mark} {check.title}: {check.outcome}")
    if console.verbose:
        for trial in score.equivalents:
            console.say(f"equivalent: {trial.mutant.name}\n  {trial.note}")
    for trial in score.survivors:
        line = f"{trial.verdict}: {trial.mutant.name} ({trial.mutant.object})\n  {trial.note}"
        console.say(console.paint(line, "red"))
    if score.breaches:
        console.say("The sound schema itself does not pass, so nothing was weakened:\n")
        _show_breaches(score.breaches, console)
    summary = (
        f"{score.killed} / {score.all} killed, {len(score.equivalents)} change nothing (-v says "
        f"why), {len(score.survivors)} survived, in {score.seconds:.0f} s"
    )
    console.say(console.paint(summary, "green" if score.passed else "red"))
    console.document(
        options.command,
        ok=score.passed,
        exit_code=code,
        server=score.server,
        killed=score.killed,
        all=score.all,
        races=score.races,
        trials=score.trials,
        breaches=score.breaches,
        ms=round(score.seconds * 1000),
    )
    return code
