"""Functions that say who calls: their answer without an identity, and what they leave behind."""

from __future__ import annotations

import re

import psycopg

from runner.isolation.probes.reads import Probe
from runner.isolation.rows.identity import A, B
from runner.isolation.tenancy.objects import Function
from runner.postgres.connection import Connection

_LASTING = re.compile(r"set_config\(\s*'([^']+)'[^;]*?,\s*false\s*\)", re.IGNORECASE)
_READS = re.compile(r"current_setting\s*\(", re.IGNORECASE)


def try_all(probe: Probe) -> None:
    """Record helpers that return something without an identity, and settings that stay."""
    for function in probe.fixture.tenants.functions:
        if function.decides and not function.arguments and _says_who(probe, function):
            _without_identity(probe, function)
    _left_behind(probe)


def _says_who(probe: Probe, function: Function) -> bool:
    """Whether it returns a tenant, a user or a flag, and reads a setting, itself or indirectly."""
    config, tenants = probe.fixture.config, probe.fixture.tenants
    if function.returns == "boolean":
        return _reads_setting(probe, function)
    kinds = {
        column.type
        for relation, name in (
            (tenants.tenant, tenants.tenant.tenant_column if tenants.tenant else None),
            (tenants.people, config.people.user if config.people else None),
            (tenants.people, config.people.tenant if config.people else None),
        )
        if relation and name and (column := relation.column(name))
    }
    return function.returns in kinds and _reads_setting(probe, function)


def _reads_setting(probe: Probe, function: Function) -> bool:
    seen: set[str] = set()
    waiting = [function]
    while waiting:
        each = waiting.pop()
        if _READS.search(each.source):
            return True
        for other in probe.fixture.tenants.functions:
            called = re.search(rf"\b{re.escape(other.name)}\s*\(", each.source)
            if called and other.signature not in seen:
                seen.add(other.signature)
                waiting.append(other)
    return False


def _without_identity(probe: Probe, function: Function) -> None:
    connection, settings = probe.findings.connection, probe.fixture.config.settings
    for empty in ("", "{}"):
        given = {name: empty if '"' in text else "" for name, text in settings.items()}
        value = _call(connection, function, given)
        if value:
            shown = "; ".join(f"{name} = {text!r}" for name, text in given.items())
            probe.findings.breach(
                f"{function.signature} without identity",
                function.signature,
                f"{function.signature} returns {value} for a session without identity ({shown})",
                cause=f"policies or defaults trust {function.signature}",
                fix="-- return null where the setting is absent or empty",
            )
            return


def _call(connection: Connection, function: Function, settings: dict[str, str]) -> str:
    text = f'select f::text from "{function.schema}"."{function.name}"() as f limit 1'  # noqa: S608
    try:
        with connection.transaction(force_rollback=True):
            for name, value in settings.items():
                connection.execute("select set_config(%s, %s, true)", [name, value])
            row = connection.execute(text.encode()).fetchone()
    except psycopg.Error:
        if connection.closed:
            raise
        return ""
    value = str(row[0]) if row and row[0] is not None else ""
    return "" if value == "false" else value


def _left_behind(probe: Probe) -> None:
    """Record settings of the session that contain values of a tenant after its writes."""
    for function in probe.fixture.tenants.functions:
        for name in _LASTING.findall(function.source):
            row = probe.findings.connection.execute(
                "select current_setting(%s, true)", [name]
            ).fetchone()
            left = row[0] if row and row[0] else ""
            named = left and any(probe.snapshot.named(left, owner) for owner in (A, B))
            if named:
                probe.findings.breach(
                    f"{function.signature} leaves {name}",
                    function.signature,
                    f"{function.signature} leaves a tenant's value in the session: {name}",
                    cause=f"set_config('{name}', …, false) outlives the transaction",
                    fix="-- set_config(…, true), or no setting",
                )
