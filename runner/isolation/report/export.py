"""A verdict on paper: a page for an auditor, and JUnit XML for a CI job."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from string import Template
from xml.etree import ElementTree as Xml

from runner.isolation.report import summary
from runner.isolation.matrix.permissions import COMMANDS
from runner.isolation.verdict import Breach, Cell, Check, Verdict

_FIELDS = ("who", "sql", "reached", "fault", "fix")
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def html(verdict: Verdict) -> str:
    """Return one page that needs nothing else: no script, no picture, no font from elsewhere."""
    template = Template((files("runner.isolation.report") / "verdict.html").read_text(encoding="utf-8"))
    state = "Proven" if verdict.proven else "Not proven"
    return template.substitute(
        title=f"Isolation of tenants: {_text(verdict.facts.get('database', ''))}",
        outcome_class="good" if verdict.proven else "bad",
        outcome=f"{state}: {_text(verdict.summary)}",
        facts=_definitions(verdict.facts.items()),
        breaches="".join(map(_breach, verdict.breaches)) or "<p>None.</p>",
        warnings=_warnings(verdict.warnings),
        legend=_text(" · ".join(summary.LEGEND)),
        matrix=_matrix(verdict.cells),
        checks="".join(
            _checks(kind, [check for check in verdict.checks if check.kind == kind])
            for kind in dict.fromkeys(check.kind for check in verdict.checks)
        ),
    )


def junit(verdict: Verdict) -> str:
    """Return the verdict as JUnit XML: a suite per table and per kind of check."""
    root = Xml.Element("testsuites", name="verify", time=f"{verdict.seconds:.3f}")
    unnamed = {breach.proof: breach for breach in reversed(verdict.breaches)}
    suites: dict[str, list[tuple[str, str, str | None]]] = {}
    for cell in verdict.cells:
        found = None if cell.passed else unnamed.pop(cell.title, None)
        failure = None if cell.passed else _plain(found) or cell.outcome
        suites.setdefault(f"matrix.{cell.table}", []).append((cell.title, cell.sql, failure))
    for check in verdict.checks:
        found = None if check.passed else unnamed.pop(check.name, None)
        failure = None if check.passed else _plain(found) or check.outcome
        suites.setdefault(f"{check.kind}s", []).append((check.name, check.title, failure))
    for proof, breach in unnamed.items():
        suites.setdefault("other breaches", []).append((proof, breach.sql, _plain(breach)))
    for name, cases in suites.items():
        failed = sum(failure is not None for _, _, failure in cases)
        suite = Xml.SubElement(
            root, "testsuite", name=_clean(name), tests=str(len(cases)), failures=str(failed)
        )
        for title, about, failure in cases:
            case = Xml.SubElement(suite, "testcase", classname=_clean(name), name=_clean(title))
            if failure is not None:
                first = _clean(failure).partition("\n")[0]
                Xml.SubElement(case, "failure", message=first).text = _clean(failure)
            elif about:
                Xml.SubElement(case, "system-out").text = _clean(about)
    root.set("tests", str(sum(len(cases) for cases in suites.values())))
    root.set("failures", str(len(root.findall("./testsuite/testcase/failure"))))
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _matrix(cells: Iterable[Cell]) -> str:
    by_table: dict[str, list[Cell]] = {}
    for cell in cells:
        by_table.setdefault(cell.table, []).append(cell)
    pieces = []
    for table, lines in summary.grids(cells).items():
        head = "".join(f"<th>{word}</th>" for word in (_text(table), *map(str.upper, COMMANDS)))
        body = "".join(_line(line) for line in lines)
        pieces.append(f'<table class="grid"><tr>{head}</tr>{body}</table>')
        pieces.append(_every_cell(by_table[table]))
    return "".join(pieces)


def _line(line: summary.Line) -> str:
    squares = "".join(
        f'<td class="{"bad" if square and square.failed else "good"}">{square or ""}</td>'
        for square in line.squares
    )
    return f"<tr><th>{_text(line.who)}</th>{squares}</tr>"


def _every_cell(cells: list[Cell]) -> str:
    rows = "".join(
        f"<tr><td>{_mark(cell.passed)}</td><td>{_text(cell.who)}</td><td>{_text(cell.where)}</td>"
        f"<td>{_text(cell.what)}</td><td>{'may' if cell.allowed else 'may not'}</td>"
        f"<td>{_text(cell.outcome)}</td><td><code>{_text(cell.sql)}</code></td></tr>"
        for cell in cells
    )
    head = "<th></th><th>Who</th><th>Org</th><th>What</th><th>Promised</th><th>Came of it</th>"
    return (
        f"<details><summary>All {len(cells)} cells</summary>"
        f"<table><tr>{head}<th>Statement</th></tr>{rows}</table></details>"
    )


def _checks(kind: str, checks: list[Check]) -> str:
    rows = "".join(
        f"<tr><td>{_mark(check.passed)}</td><td>{_text(check.name)}</td><td>{_text(check.title)}"
        f"</td><td>{_text(check.outcome)}</td><td>{_text(check.source)}</td></tr>"
        for check in checks
    )
    head = "".join(f"<th>{word}</th>" for word in ("", "Name", "What", "Came of it", "Source"))
    return f"<h3>{_text(kind.capitalize())}s</h3><table><tr>{head}</tr>{rows}</table>"


def _breach(breach: Breach) -> str:
    given = [(name, value) for name in _FIELDS if (value := getattr(breach, name))]
    return (
        f'<section class="breach"><h3>{_text(breach.proof)}</h3><p>{_text(breach.what)}</p>'
        f"{_definitions(given)}</section>"
    )


def _warnings(warnings: Iterable[str]) -> str:
    lines = "".join(f'<p class="warn">{_text(warning)}</p>' for warning in warnings)
    return f"<h2>Warnings</h2>{lines}" if lines else ""


def _definitions(pairs: Iterable[tuple[str, str]]) -> str:
    items = "".join(
        f"<dt>{_text(name)}</dt><dd>"
        + (f"<pre>{_text(value)}</pre>" if name in ("sql", "fix") else _text(value))
        + "</dd>"
        for name, value in pairs
    )
    return f"<dl>{items}</dl>"


def _mark(passed: bool) -> str:
    return '<span class="good">✓</span>' if passed else '<span class="bad">✗</span>'


def _text(value: str) -> str:
    return escape(value, quote=True)


def _plain(breach: Breach | None) -> str:
    if breach is None:
        return ""
    given = (f"{name}: {value}" for name in _FIELDS if (value := getattr(breach, name)))
    return "\n".join((breach.what, *given))


def _clean(text: str) -> str:
    """Return a text without what XML has no way to write."""
    return _NOT_XML.sub("\ufffd", text)
