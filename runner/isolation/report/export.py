"""Export a verdict: an HTML page for an auditor, and JUnit XML for a CI job."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as Xml

import jinja2

from runner.isolation.report import summary
from runner.isolation.verdict import SINGLE, Breach, Verdict

_FIELDS = ("actor", "sql", "exposed", "cause", "intended", "fix")
_TAGS = {True: "", False: "failure", None: "skipped"}  # by `passed`
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
    suites: dict[str, list[tuple[str, str, str, str]]] = {}  # title, about, tag, text
    for cell in verdict.cells:
        found = unreported.pop(cell.title, []) if cell.passed is False else []
        found = found or (unreported.get(cell.title, []) if cell.passed is None else [])
        tag = _TAGS[cell.passed]
        entry = (cell.title, cell.sql, tag, _plain(found) or cell.outcome)
        suites.setdefault(f"matrix.{cell.table}", []).append(entry)
    for check in verdict.checks:
        found = [] if check.passed else unreported.pop(check.name, [])
        tag = _TAGS[check.passed]
        kinds = check.kind if check.kind in SINGLE else f"{check.kind}s"
        entry = (check.name, check.title, tag, _plain(found) or check.outcome)
        suites.setdefault(kinds, []).append(entry)
    for proof, found in unreported.items():
        entry = (proof, found[0].sql, "failure", _plain(found))
        suites.setdefault("other breaches", []).append(entry)
    for name, cases in suites.items():
        suite = Xml.SubElement(root, "testsuite", name=_clean(name))
        for title, about, tag, text in cases:
            case = Xml.SubElement(suite, "testcase", classname=_clean(name), name=_clean(title))
            if tag:
                first = _clean(text).partition("\n")[0]
                Xml.SubElement(case, tag, message=first).text = _clean(text)
            elif about:
                Xml.SubElement(case, "system-out").text = _clean(about)
    for counted in (root, *root):
        counted.set("tests", str(len([*counted.iter("testcase")])))
        counted.set("failures", str(len([*counted.iter("failure")])))
        counted.set("skipped", str(len([*counted.iter("skipped")])))
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
