"""The settings that policies, views and functions read, and what these compare them with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from runner.isolation.rows.fixture import Fixture
from runner.isolation.rows.identity import B
from runner.isolation.tenancy.objects import Function
from runner.postgres.connection import Connection
from runner.queries import query

_SETTING = re.compile(r"current_setting\(\s*(?:E)?'([\w.]+\.[\w.-]+)'", re.IGNORECASE)
_UNNAMED = re.compile(
    r"\bcurrent_setting\s*\((?!\s*E?'[^']*'(?:::\w+)?\s*[,)])\s*([^(),]*)", re.IGNORECASE
)
_SETS = re.compile(r"\bset_config\(\s*E?'([\w.-]+)'", re.IGNORECASE)
# How a text that reads several settings reads this one as JSON: before or after its name.
_AS_JSON = (
    r"jsonb?_\w+\((?:(?!current_setting).){{0,60}}current_setting\(\s*(?:E)?'{0}'"
    r"|current_setting\(\s*(?:E)?'{0}'(?:(?!current_setting).){{0,60}}?"
    r"(?:::|\bas)\s*(?:pg_catalog\.)?json"
)
_KEY = re.compile(
    r"->>?\s*'([\w-]+)'|#>>?\s*'\{([^}]*)\}'|#>>?\s*array\[([^\]]*)\]"
    r"|jsonb?_extract_path(?:_text)?\([^;]*?,\s*((?:'[\w-]+'[,\s]*)+)\)|\['([\w-]+)'\]",
    re.IGNORECASE,
)
_CLAIM = re.compile(r'"([\w-]+)"\s*:')
_SIGNED = {"aud", "exp", "iat", "iss", "jti", "nbf", "app_metadata"}  # the server's, not the user's
_JSON = ("json", "jsonb")
# A constant beside an operator that compares, such as `= ANY (ARRAY['a'::text, 'b'::text])`.
_OPERATOR = (
    r"(?<![-=<>#:@!~])(?:=|<>|!=|<=|>=|<|>|!?~~?\*?|\b(?:i?like|in|is\s+(?:not\s+)?distinct\s+from|"
    r"when)\b)"
)
_CONSTANT = r"(?:E?'(?:[^']|'')*'|(?<![\w.$'])-?\d+(?:\.\d+)?(?![\w.]))(?:::[\w. ]+(?:\[\])?)?"
_COMPARED = re.compile(
    rf"{_OPERATOR}(?:[\s(\[]|\b(?:any|all|some|array)\b)*({_CONSTANT}(?:\s*,\s*{_CONSTANT})*)"
    rf"|({_CONSTANT})\)*\s*{_OPERATOR}",
    re.IGNORECASE,
)
# What no setting is compared with: a trigger's variables, and the fields of an error.
_NOT_COMPARED = re.compile(
    r"\braise\b[^;]*;|\btg_\w+\s*(?:=|<>|!=|in)\s*\(?\s*'[^']*'", re.IGNORECASE
)
_EACH = re.compile(r"'((?:[^']|'')*)'|(-?\d+(?:\.\d+)?)")
_PART = re.compile(r"\b(?:and|or|where|from|then|else|if|return|select)\b|;", re.IGNORECASE)
# What a function returns that says nothing about the value, or is compared with no constant.
_OTHER_VALUE = ("boolean", "event_trigger", "record", "trigger", "uuid", "void")
_ROWS = 4  # values of a column that a setting is compared with


@dataclass
class Setting:
    """One setting that is read, and what it takes to forge it."""

    name: str
    keys: set[str] = field(default_factory=set)  # of its JSON
    readers: list[str] = field(default_factory=list)  # functions, and those that call these
    places: list[str] = field(default_factory=list)  # what reads it, in words
    texts: list[str] = field(default_factory=list)  # where it is compared
    values: list[str] = field(default_factory=list)  # what it is compared with
    columns: list[str] = field(default_factory=list)  # the values of columns for the other tenant

    @property
    def suspect(self) -> str:
        """The functions that read what is forged."""
        return ", ".join(dict.fromkeys(self.readers))


def read(connection: Connection, fixture: Fixture) -> list[Setting]:
    """Return the settings that the database reads and the file does not make for each request."""
    return list(_Reader(connection, fixture).settings())


def undeclared(fixture: Fixture, setting: Setting) -> bool:
    """Whether nothing in the file says who sets it."""
    return setting.name not in (*fixture.config.settings, *fixture.config.forged)


def is_accepted(fixture: Fixture, setting: Setting) -> bool:
    """Whether the file says that no client sets it."""
    return any(a.object == f"setting {setting.name}" for a in fixture.config.accept)


def unnamed(fixture: Fixture) -> list[tuple[Function, str]]:
    """Return the functions that read a setting whose name is not in them, and how they call it."""
    tenants = fixture.tenants
    return [
        (function, match[1].strip())
        for function in tenants.functions
        if not tenants.is_platforms(function) and (match := _UNNAMED.search(function.source))
    ]


class _Reader:
    def __init__(self, connection: Connection, fixture: Fixture) -> None:
        self._fixture, self._config, self._tenants = fixture, fixture.config, fixture.tenants
        self._claims = set(_CLAIM.findall(" ".join(self._config.settings.values())))
        rows = connection.execute(query("isolation/probes/texts")).fetchall()
        self._texts = [
            (title, text)
            for title, schema, owner, text in rows
            if (schema, owner) not in self._tenants.platform
        ]

    def settings(self) -> Iterator[Setting]:
        for setting in self._found().values():
            template = self._config.settings.get(setting.name)
            known = {key for key in setting.keys if template and f'"{key}"' in template} | _SIGNED
            setting.keys -= known | {"user_metadata"}
            if template is None or ('"' in template and setting.keys):
                self._compare(setting)
                yield setting

    def _found(self) -> dict[str, Setting]:
        found: dict[str, Setting] = {}
        by_request = {
            name
            for f in self._tenants.functions
            if self._config.pre_request in (f.name, f"{f.schema}.{f.name}")
            for name in _SETS.findall(f.source)
        }
        for function in self._tenants.functions:
            if self._tenants.is_platforms(function):  # auth.uid(): the platform's API sets it
                continue
            read = set(_SETTING.findall(function.source))
            for name in read - by_request:
                setting = found.setdefault(name, Setting(name))
                if _is_json(name, function.source):
                    setting.keys.update(self._claims, *map(_keys, self._sources(function)))
                elif len(read) == 1:
                    setting.keys.update(*map(_keys, self._sources(function)))
                setting.readers += [f.signature for f in (function, *self._callers_of(function))]
                setting.places.append(f"function {function.signature}")
                setting.texts += self._comparing(function)
        for title, text in self._texts:
            for name in set(_SETTING.findall(text)) - by_request:
                setting = found.setdefault(name, Setting(name))
                setting.keys.update(_keys(text))
                setting.places.append(title)
                setting.texts.append(text)
        return found

    def _compare(self, setting: Setting) -> None:
        """Collect the constants and the columns that it may be compared with."""
        values: dict[str, None] = {}
        columns: dict[str, None] = {}
        names = {setting.name, *self._config.settings}
        calls = [f.partition("(")[0].rpartition(".")[2] for f in setting.readers]
        for text in setting.texts:
            values |= dict.fromkeys(_constants(text))
            if re.search(r"(?:::|\bas)\s*bool", text, re.IGNORECASE):
                values["true"] = None
            for part in _PART.split(text):
                if f"'{setting.name}'" in part or any(f"{call}(" in part for call in calls):
                    columns |= dict.fromkeys(re.findall(r"\w+", part))
        setting.values = [value for value in values if value and value not in names]
        setting.columns = list(self._of_other(columns))[:_ROWS]

    def _of_other(self, columns: dict[str, None]) -> Iterator[str]:
        """Yield the other tenant's values in columns of these names, except that of the tenant."""
        found: dict[str, None] = {}
        for relation in self._tenants.owned():
            for row in self._fixture.of(relation, B)[:1]:
                named = (c for c in columns if c != relation.tenant_column)
                found |= {value: None for c in named if (value := row.get(c))}
        yield from found

    def _comparing(self, function: Function) -> Iterator[str]:
        """Yield a function's source, and where what it returns may be compared with a constant."""
        left, seen = [function], {function.oid}
        while left:
            each = left.pop()
            yield each.source
            if each.returns not in _OTHER_VALUE:
                callers = [f for f in self._callers_of(each) if f.oid not in seen]
                seen |= {f.oid for f in callers}
                left += callers
                yield from (text for _, text in self._texts if _calls(text, each))

    def _sources(self, function: Function) -> Iterator[str]:
        """Yield where keys of what a function returns are read: in it, and in who calls it."""
        left = [function]
        seen: set[int] = set()
        while left:
            each = left.pop()
            seen.add(each.oid)
            yield each.source
            if each.returns in _JSON:
                left += [f for f in self._callers_of(each) if f.oid not in seen]
                yield from (text for _, text in self._texts if _calls(text, each))

    def _callers_of(self, function: Function) -> list[Function]:
        return [f for f in self._tenants.functions if _calls(f.source, function)]


def _constants(text: str) -> Iterator[str]:
    for match in _COMPARED.finditer(_NOT_COMPARED.sub(";", text)):
        pattern, ordered = "~" in match[0] or "like" in match[0].lower(), "<" in match[0]
        ordered = ordered or ">" in match[0]
        for literal, number in _EACH.findall(match[1] or match[2]):
            value = literal.replace("''", "'")
            if number and ordered and "." not in number:
                yield from (number, str(int(number) + 1), str(int(number) - 1))
            elif value.startswith("{"):
                yield from (each.strip(' "') for each in value.strip("{}").split(","))
            else:
                yield number or (re.sub(r"[%^$.*?+()\\]", "", value) if pattern else value)


def _calls(text: str, function: Function) -> bool:
    return re.search(rf"\b{re.escape(function.name)}\s*\(", text) is not None


def _is_json(setting: str, text: str) -> bool:
    """Whether a setting is cast to JSON in a text that reads several."""
    return (
        re.search(_AS_JSON.format(re.escape(setting)), text, re.IGNORECASE | re.DOTALL) is not None
    )


def _keys(text: str) -> Iterator[str]:
    """Yield the keys of JSON values that a text reads."""
    for match in _KEY.finditer(text):
        listed = next(filter(None, match.groups()), "")
        yield from (key.strip(" '\n") for key in listed.split(","))
