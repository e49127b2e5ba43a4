"""Export a verdict as SARIF 2.1.0, for code scanning, and as annotations of GitHub Actions."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import runner
from runner.isolation.report import groups
from runner.isolation.report.places import Place, Places
from runner.isolation.verdict import Breach, Cell, Check, Verdict

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_NOTE = "note: "


def sarif(verdict: Verdict, places: Places) -> str:
    """Return one run: a rule per check and failed proof, a result per breach.

    Warnings and what was not tried are notifications of the tool. The exposed rows are left out:
    the file is uploaded.
    """
    rules = _rules(verdict)
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    times: Counter[tuple[str, str]] = Counter()
    results = []
    for breach in verdict.breaches:
        times[breach.proof, breach.subject] += 1
        results.append(
            {
                "ruleId": breach.proof,
                "ruleIndex": index[breach.proof],
                "level": "error",
                "message": {"text": _message(breach)},
                "locations": [
                    {
                        "physicalLocation": _physical(places.of(breach)),
                        "logicalLocations": [{"fullyQualifiedName": breach.subject}],
                    }
                ],
                # The name that GitHub reads. With a hash of the line instead, breaches without a
                # line of their own would be one alert.
                "partialFingerprints": {
                    "primaryLocationLineHash": _fingerprint(
                        breach, times[breach.proof, breach.subject]
                    )
                },
            }
        )
    notifications: list[dict[str, Any]] = [
        {
            "level": "note" if warning.startswith(_NOTE) else "warning",
            "message": {"text": warning.removeprefix(_NOTE)},
        }
        for warning in verdict.warnings
    ]
    for check in verdict.checks:
        if check.passed is None:
            said = {"level": "warning", "message": {"text": f"{check.name} {check.outcome}"}}
            rule = {"id": check.name, "index": index.get(check.name)}
            notifications.append(
                {**said, **({"associatedRule": rule} if check.name in index else {})}
            )
    driver = {"name": "plainsql verify", "version": runner.__version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notifications}],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def workflow_commands(verdict: Verdict, places: Places) -> Iterator[str]:
    """Yield annotations of GitHub Actions: an error per cause, and each warning.

    Per cause, because GitHub shows ten errors of a step.
    """
    for group in groups.of(verdict.breaches):
        first, *others = group.breaches
        place = places.of(first)
        line = {"line": str(place.line)} if place.line else {}
        where = {"file": place.path.as_posix(), **line, "title": first.proof}
        properties = ",".join(f"{name}={_property(value)}" for name, value in where.items())
        more = f"\nAlso affected: {len(others)} more" if others else ""
        yield f"::error {properties}::{_data(_message(first) + more)}"
    for warning in verdict.warnings:
        command = "notice" if warning.startswith(_NOTE) else "warning"
        yield f"::{command} title=verify::{_data(warning.removeprefix(_NOTE))}"


def _rules(verdict: Verdict) -> list[dict[str, Any]]:
    checks = {check.name: check for check in verdict.checks}
    cells = {cell.title: cell for cell in verdict.cells}
    first: dict[str, Breach] = {}
    for breach in verdict.breaches:
        first.setdefault(breach.proof, breach)
    # A migration file is a check, and drift is what fails.
    tried = [check.name for check in verdict.checks if check.kind != "file"]
    rules = []
    for name in dict.fromkeys([*tried, *first]):
        title, about = _described(checks.get(name) or cells.get(name), first.get(name))
        rules.append(
            {
                "id": name,
                "shortDescription": {"text": title or name},
                "help": {"text": about or title or name},
                "defaultConfiguration": {"level": "error"},
                "properties": {"tags": ["security"]},
            }
        )
    return rules


def _described(proof: Check | Cell | None, breach: Breach | None) -> tuple[str, str]:
    """Return the title of a proof, and its source with the reason if any."""
    if isinstance(proof, Check):
        why = breach.exposed if breach and proof.kind == "rule" else ""
        return proof.title, "\n".join(filter(None, (proof.title, why, f"Source: {proof.source}")))
    if isinstance(proof, Cell):
        may = "may" if proof.allowed else "must not"
        title = f"{proof.actor} {may} {proof.command} {proof.what} of {proof.table}"
        return f"{title}, in the {proof.where} tenant.", ""
    return "", ""


def _message(breach: Breach) -> str:
    parts = [breach.summary]
    parts += [f"Cause: {breach.cause}"] if breach.cause else []
    parts += [f"If it is intended:\n{breach.intended}"] if breach.intended else []
    parts += [f"Fix:\n{breach.fix}"] if breach.fix else []
    return "\n".join(parts)


def _physical(place: Place) -> dict[str, Any]:
    uri = place.path.as_uri() if place.path.is_absolute() else quote(place.path.as_posix())
    region = {"region": {"startLine": place.line}} if place.line else {}
    return {"artifactLocation": {"uri": uri}, **region}


def _fingerprint(breach: Breach, number: int) -> str:
    """Return a hash that is the same in each run; `number`: of equal breaches, from 1."""
    text = f"{breach.proof}\0{breach.subject}"
    return f"{hashlib.sha256(text.encode()).hexdigest()[:32]}:{number}"


def _data(text: str) -> str:
    """Escape the message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape a property of a workflow command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
