"""Call every function as every caller, with values of the other tenant."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg import sql

from runner.isolation.probes import helpers, interference
from runner.isolation.probes.arguments import Arguments, Value
from runner.isolation.probes.effects import Effects
from runner.isolation.probes.execute import Attempt, Outcome
from runner.isolation.probes.identities import Caller
from runner.isolation.probes.reads import Probe
from runner.isolation.rows.identity import B
from runner.isolation.tenancy.objects import Function
from runner.preflight import broken

INJECTED = "isolation.injected"
_MOST = 200  # rows of a result
_ARGUMENTS = "no call had valid arguments"


@dataclass(frozen=True)
class _Call:
    caller: Caller
    function: Function
    values: Sequence[Value]
    kind: str  # "other", "absent", "text"
    pair: int  # calls that differ only in whether the values exist
    attempt: Attempt


def try_all(probe: Probe) -> None:
    """Call the functions, and record a cell for each function and caller."""
    caller_of = [
        c
        for c in probe.callers
        if not c.everywhere and (c.regular or c.forged or c.name.endswith("identity"))
    ]
    maker = _Caller(probe)
    calls = [
        call
        for function in probe.fixture.tenants.functions
        if function.kind in ("f", "p") and not function.is_trigger
        for caller in caller_of
        if caller.role in function.callers
        and (not caller.forged or function.signature in caller.suspect)
        for call in maker.calls(caller, function)
    ]
    outcomes = probe.run([call.attempt for call in calls])
    grouped: dict[tuple[str, str], list[tuple[_Call, Outcome]]] = {}
    for call, outcome in zip(calls, outcomes, strict=True):
        key = (call.function.signature, call.caller.name)
        grouped.setdefault(key, []).append((call, outcome))
    for of_function in grouped.values():
        maker.judge(of_function)
    helpers.try_all(probe)
    interference.try_all(probe)


class _Caller:
    """Build and judge the calls."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._effects = Effects(probe.snapshot, probe.fixture.tenants)
        self._arguments = Arguments(probe.fixture, probe.snapshot)
        self._settings = list(probe.fixture.config.settings)

    def calls(self, caller: Caller, function: Function) -> Iterator[_Call]:
        """Yield the calls of one function by one caller."""
        told: dict[int, Sequence[Value]] = {}
        for pair, given in self._arguments.of_other(function):
            yield self._call(caller, function, given, "other", pair)
            told[pair] = given
        for pair, values in told.items():
            if any(value.kind for value in values):
                for _ in range(2):
                    absent = self._arguments.fresh(values)
                    yield self._call(caller, function, absent, "absent", pair)
        for values in self._arguments.texts(function, INJECTED):
            yield self._call(caller, function, values, "text", -1)

    def _call(
        self, caller: Caller, function: Function, values: Sequence[Value], kind: str, pair: int
    ) -> _Call:
        given = ", ".join(value.sql for value in values)
        name = f'"{function.schema}"."{function.name}"({given})'
        text = f"call {name}" if function.kind == "p" else f"select * from {name} limit {_MOST}"  # noqa: S608
        seen = [sql.Literal(name).as_string(None) for name in (*self._settings, INJECTED)]
        after = (
            "select jsonb_build_array("
            + ", ".join(f"current_setting({name}, true)" for name in seen)
            + ")::text"
        )
        watch = function.definer or function.volatile
        attempt = Attempt(caller.identity, text, watch=watch, after=after)
        return _Call(caller, function, values, kind, pair, attempt)

    # --- judgement ---------------------------------------------------------------------------

    def judge(self, calls: Sequence[tuple[_Call, Outcome]]) -> None:
        """Record one cell: the first call that reaches the other tenant, or the first call."""
        for call, outcome in calls:
            before = self._before(call.caller)  # forged callers of one name have other settings
            if problem := self._problem(call, outcome, before):
                self._record(call, outcome, *problem)
                return
        for call, outcome, told in self._telling(calls):
            self._record(call, outcome, told, "")
            return
        reached = (each for each in calls if not _malformed(each[1]))
        failed = (each for each in calls if broken.function(each[1].message))
        call, outcome = next(reached, next(failed, calls[0]))
        untried = ""
        if _malformed(outcome) and not call.caller.forged:
            why = "it is broken" if broken.function(outcome.message) else _ARGUMENTS
            untried = f"could not be tried on {call.function.signature}: {why}"
        self._record(call, outcome, untried, "")

    def _problem(
        self, call: _Call, outcome: Outcome, before: Sequence[str]
    ) -> tuple[str, str] | None:
        known = [value.text for value in call.values if value.text]
        known += call.caller.identity.settings.values() if call.caller.forged else ()
        name = call.function.signature
        for row in outcome.data:
            if self._probe.snapshot.owner_of(row, known) == B:
                shown = ", ".join(value for value in row if value)[:200]
                return f"gets values of another tenant from {name}", shown
        if found := self._probe.snapshot.named(outcome.message, B, known):
            return f"learns {found} of another tenant from an error of {name}", outcome.message
        effect = self._effects.of(outcome)
        if touched := effect.touched(B):
            return f"changes rows of another tenant in {', '.join(touched)} by {name}", ""
        if touched := effect.touched("S"):
            return f"changes rows that all tenants share in {', '.join(touched)} by {name}", ""
        if outcome.after:
            return self._of_settings(call, outcome.after, before)
        return None

    def _of_settings(
        self, call: _Call, after: str, before: Sequence[str]
    ) -> tuple[str, str] | None:
        *settings, injected = json.loads(after)
        if injected == "1" and call.function.definer:
            return (
                f"runs SQL of its own with the rights of {call.function.owner}, as an argument "
                f"of {call.function.signature}",
                "",
            )
        for name, was, now in zip(self._settings, before, settings, strict=True):
            if (now or "") != was:
                return f"changes its own identity, {name}, by {call.function.signature}", now or ""
        return None

    def _before(self, caller: Caller) -> list[str]:
        return [caller.identity.settings.get(name, "") for name in self._settings]

    def _telling(
        self, calls: Sequence[tuple[_Call, Outcome]]
    ) -> Iterator[tuple[_Call, Outcome, str]]:
        """Yield calls whose answer differs between another tenant's values and absent ones."""
        for call, outcome in calls:
            absent = [o for c, o in calls if c.pair == call.pair and c.kind == "absent"]
            if call.kind != "other" or len(absent) < 2:
                continue
            same = _answer(absent[0]) == _answer(absent[1])
            seen = _answer if same else _shape
            if seen(absent[0]) == seen(absent[1]) != seen(outcome):
                told = f"is told by {call.function.signature} what exists in another tenant"
                yield call, outcome, told

    def _record(self, call: _Call, outcome: Outcome, problem: str, exposed: str) -> None:
        self._probe.findings.cell(
            call.function, "execute", call.caller, outcome, what="call", where="other",
            statement=call.attempt.sql, allowed=False, problem=problem, exposed=exposed,
        )  # fmt: skip


def _malformed(outcome: Outcome) -> bool:
    """Whether a call failed before the function could do anything."""
    return outcome.sqlstate[:2] in ("42", "22", "0A") and outcome.sqlstate != "42501"


def _answer(outcome: Outcome) -> tuple[object, ...]:
    return (outcome.sqlstate, outcome.data)


def _shape(outcome: Outcome) -> tuple[object, ...]:
    nulls = tuple(tuple(value is None for value in row) for row in outcome.data)
    return (outcome.sqlstate, outcome.rows, nulls)
