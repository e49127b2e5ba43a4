"""What decides about rows: the conditions of policies, and the functions that they call."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from runner.isolation.tenancy.objects import Function, Relation, TenantMap
from runner.postgres.connection import Connection
from runner.queries import query

_SETTING = re.compile(r"current_setting\(\s*(?:E)?'([\w.]+\.[\w.-]+)'", re.IGNORECASE)
_KEY = re.compile(r"->>\s*'([\w-]+)'")
_COMPARED = re.compile(
    r"\"?(\w+)\"?\)?(?:::\w+)?\s*(?:=|\bin\b)\s*(?=(.{0,160}))", re.IGNORECASE | re.DOTALL
)
_VARIABLE = re.compile(r"^\s*(\w+)\s+[\w.\[\]]+\s*:=\s*([^;]+);", re.MULTILINE)
_END = re.compile(r"\b(?:and|or|where|from)\b|;", re.IGNORECASE)


@dataclass(frozen=True)
class Policy:
    """One policy."""

    table: int
    roles: list[str]
    command: str  # pg_policy.polcmd
    permissive: bool
    condition: str


@dataclass(frozen=True)
class Reading:
    """A setting that a request makes, or one key of it where it is JSON."""

    setting: str
    key: str = ""

    @property
    def is_subject(self) -> bool:
        """Whether it is the subject of a token, in either spelling of PostgREST."""
        return (self.setting, self.key) in (
            ("request.jwt.claims", "sub"),
            ("request.jwt.claim.sub", ""),
        )

    def __str__(self) -> str:
        return f"{self.setting} ->> '{self.key}'" if self.key else self.setting


@dataclass
class Sources:
    """The conditions and functions, and which settings they read."""

    tenants: TenantMap
    policies: list[Policy]
    functions: list[Function] = field(default_factory=list)  # that the conditions lead to
    readers: dict[Reading, list[Function]] = field(default_factory=dict)  # and return what is read

    def texts(self) -> Iterator[tuple[str, int]]:
        """Yield each condition with its table, and the source of each function with 0."""
        for policy in self.policies:
            yield policy.condition, policy.table
        for function in self.functions:
            yield _inlined(function.source), 0

    def compared(self, reading: Reading) -> Iterator[tuple[str, str, int]]:
        """Yield each column that is compared with it, the text, and the table of a policy."""
        for text, table in self.texts():
            for match in _COMPARED.finditer(text):
                column, rest = match[1], _END.split(_unselected(match[2]), maxsplit=1)[0]
                if self._reads(rest, reading):
                    yield column, text, table

    def is_tenant(self, reading: Reading, column: str, tenant: Relation | None) -> bool:
        """Whether it is compared with the column of the tenant, or the key of the tenant table."""
        return any(
            name == column or (tenant and tenant.oid == table and name in tenant.key)
            for name, _, table in self.compared(reading)
        )

    def _reads(self, text: str, reading: Reading) -> bool:
        if any(_calls(text, reader) for reader in self.readers[reading]):
            return True
        if reading.key:
            return f"'{reading.key}'" in text and "->>" in text
        return f"'{reading.setting}'" in text and "->>" not in text

    def called(self, text: str) -> list[Function]:
        """Return the functions that a text leads to."""
        found: dict[int, Function] = {}
        waiting = [text]
        while waiting:
            current = waiting.pop()
            for function in self.tenants.functions:
                if function.oid not in found and _calls(current, function):
                    found[function.oid] = function
                    waiting.append(function.source)
        return list(found.values())

    def binding(self, relation: Relation, role: str) -> list[Policy]:
        """Return the policies of a table that bind a role."""
        return [
            p for p in self.policies if p.table == relation.oid and {role, "public"} & {*p.roles}
        ]


def read(connection: Connection, tenants: TenantMap) -> Sources:
    """Read the policies, and follow the functions that they call."""
    policies = [Policy(*row) for row in connection.execute(query("isolation/draft/policies"))]
    found = Sources(tenants, policies)
    found.functions = found.called(" ".join(p.condition for p in policies))
    for text, _ in found.texts():
        reached = " ".join([text, *(f.source for f in found.called(text))])
        keys = dict.fromkeys(_KEY.findall(text))
        for setting in dict.fromkeys(_SETTING.findall(reached)):
            direct = setting in text
            if keys and (_is_json(text, setting) or _leads_to_json(found, text, setting)):
                for key in keys:
                    found.readers.setdefault(Reading(setting, key), [])
            elif direct and not _is_json(text, setting):
                found.readers.setdefault(Reading(setting), [])
    for reading, readers in found.readers.items():
        for function in found.functions:
            own = f"'{reading.key or reading.setting}'" in function.source
            if own and not re.search(r"\b(from|join)\s+\w+\.\w+", function.source):
                readers.append(function)
    return found


def _is_json(text: str, setting: str) -> bool:
    """Whether a text reads a setting as JSON, and not another one."""
    read = re.escape(setting) + r"'(?:(?!current_setting).)*\bjsonb?\b"
    alone = len(set(_SETTING.findall(text))) == 1
    return (alone and "json" in text and setting in text) or bool(re.search(read, text, re.DOTALL))


def _inlined(source: str) -> str:
    """Return a source with the variables of its DECLARE replaced by what they are set to."""
    for name, value in _VARIABLE.findall(source):
        escaped = value.replace("\\", r"\\")
        source = re.sub(rf"\b{name}\b(?!\s*\()", escaped, source)
    return source


def _leads_to_json(found: Sources, text: str, setting: str) -> bool:
    """Whether a text calls a function that returns a setting as JSON."""
    return any(
        setting in f.source and "json" in f.returns and _calls(text, f) for f in found.called(text)
    )


def _calls(text: str, function: Function) -> bool:
    return re.search(rf"\b{re.escape(function.name)}\s*\(", text) is not None


def _unselected(text: str) -> str:
    """Return a text without the SELECT that a policy puts around a helper."""
    return re.sub(r"^[\s(]*select\b", "", text, flags=re.IGNORECASE)
