"""Export a verdict: an HTML page for an auditor, and JUnit XML for a CI job."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as Xml

import jinja2

from runner.isolation.report import summary
from runner.isolation.verdict import SINGLE, Breach, Verdict

_FIELDS = ("actor", "sql", "exposed", "cause", "intended", "fix")
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def html(verdict: Verdict) -> str:
    """Return a self-contained page: no scripts, images or external fonts."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("runner.isolation", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    commands, grids = summary.grids(verdict.cells)
    return environment.get_template("verdict.html").render(
        verdict=verdict,
        fields=_fields,
        grids=grids,
        legend=summary.LEGEND,
        single=SINGLE,
        commands=commands,
    )


def junit(verdict: Verdict) -> str:
    """Return the verdict as JUnit XML, with a suite per table and per kind of check."""
    root = Xml.Element("testsuites", name="verify", time=f"{verdict.seconds:.3f}")
    unreported: dict[str, list[Breach]] = {}
    for breach in verdict.breaches:
        unreported.setdefault(breach.proof, []).append(breach)
    suites: dict[str, list[tuple[str, str, str | None]]] = {}
    skipped = {check.name: check.outcome for check in verdict.checks if check.passed is None}
    for cell in verdict.cells:
        found = [] if cell.passed else unreported.pop(cell.title, [])
        failure = None if cell.passed else _plain(found) or cell.outcome
        suites.setdefault(f"matrix.{cell.table}", []).append((cell.title, cell.sql, failure))
    for check in verdict.checks:
        found = unreported.pop(check.name, []) if check.passed is False else []
        failure = _plain(found) or check.outcome if check.passed is False else None
        kinds = check.kind if check.kind in SINGLE else f"{check.kind}s"
        suites.setdefault(kinds, []).append((check.name, check.title, failure))
    for proof, found in unreported.items():
        suites.setdefault("other breaches", []).append((proof, found[0].sql, _plain(found)))
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
            elif title in skipped:
                Xml.SubElement(case, "skipped", message=_clean(skipped[title]))
            elif about:
                Xml.SubElement(case, "system-out").text = _clean(about)
    root.set("tests", str(sum(len(cases) for cases in suites.values())))
    root.set("failures", str(len(root.findall("./testsuite/testcase/failure"))))
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _fields(breach: Breach) -> list[tuple[str, str]]:
    return [(name, value) for name in _FIELDS if (value := getattr(breach, name))]


def _plain(breaches: Iterable[Breach]) -> str:
    return "\n\n".join(
        "\n".join((breach.summary, *(f"{name}: {value}" for name, value in _fields(breach))))
        for breach in breaches
    )


def _clean(text: str) -> str:
    """Return the text with characters that XML does not allow replaced by U+FFFD."""
    return _NOT_XML.sub("\ufffd", text)
