"""SQL of a fix: which lines are statements, and an order that PostgreSQL accepts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from runner.files import statements

# First what nothing depends on is removed, then what is missing is made, then the rest is removed.
_LEAVES = ("policy", "trigger", "rule", "event trigger", "publication", "subscription")
_MADE = (
    *("schema", "extension", "type", "domain", "sequence", "table", "function", "procedure"),
    *("aggregate", "operator", "cast", "view", "materialized view", "index", "statistics"),
    *("rule", "trigger", "event trigger", "policy", "publication"),
)
_REMOVED = (
    *("user mapping", "materialized view", "view", "operator", "cast", "index", "statistics"),
    *("foreign table", "table", "sequence", "aggregate", "procedure", "routine", "function"),
    *("domain", "type", "schema", "server", "foreign data wrapper", "extension", "role"),
)
_DROP = re.compile(rf"drop ({'|'.join(sorted((*_LEAVES, *_REMOVED), key=len, reverse=True))})\b")
_MAKE = re.compile(
    r"create (?:or replace |unique |constraint )*"
    rf"({'|'.join(sorted(_MADE, key=len, reverse=True))})\b"
)
_TO_THE_END = re.compile(r";?([ \t]*--[^\n]*)?")
_PARTS = re.compile(
    r"alter table .*?\b(drop constraint|drop column|add constraint .* foreign key|add constraint"
    r"|add column)\b"
)
_PLACES = {"add column": (1, 9), "add constraint": (1, 90), "drop constraint": (2, 0)}
_FORCE = re.compile(
    r"^alter table (?!only )(\S+|.*\".*) (?:no )?force row level security;", re.MULTILINE
)
_BY_OWNER = """\
do $$
begin
    if (select o.rolsuper or o.rolbypassrls from pg_catalog.pg_class as c
        inner join pg_catalog.pg_roles as o on o.oid = c.relowner
        where c.oid = 'LITERAL'::regclass)
    then alter table TABLE force row level security;
    else alter table TABLE no force row level security;
    end if;
end $$;"""


def parts(fix: str) -> tuple[list[str], list[str]]:
    """Return the statements of a fix, each with its semicolon and the comment on its last line.

    And the comments that stand alone.
    """
    found: list[str] = []
    notes: list[str] = []
    position = 0
    for statement in statements.split(fix):
        end = _TO_THE_END.match(fix, statement.end)
        found.append(f"{statement.text};{end[1] if end and end[1] else ''}")
        notes += _comments(fix[position : statement.start])
        position = end.end() if end else statement.end
    return found, notes + _comments(fix[position:])


def _comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def is_sql(fix: str) -> bool:
    """Whether a fix has a statement, not only comments."""
    return bool(parts(fix)[0])


def rank(statement: str) -> tuple[int, int]:
    """Return the place of a statement among others."""
    text = " ".join(
        line for line in statement.lower().splitlines() if not line.lstrip().startswith("--")
    ).strip()
    if dropped := _DROP.match(text):
        kind = dropped[1]
        return (0, _LEAVES.index(kind)) if kind in _LEAVES else (3, _REMOVED.index(kind))
    text = re.sub(r"^(alter table .*?) drop constraint .*?, (add constraint )", r"\1 \2", text)
    if part := _PARTS.match(text):
        return _PLACES.get(part[1], (1, 91) if "foreign" in part[1] else (2, 1))
    if re.match("alter [^;]* owner to ", text):
        return (1, 79)  # what is granted to the role that should not own it
    if text.startswith(("revoke ", "alter role ", "alter database ", "alter system ")):
        return (0, 90)
    if made := _MAKE.match(text):
        return (1, _MADE.index(made[1]))
    return (1, 80)  # alter, grant, do, comment


def rank_of_fix(fix: str) -> tuple[int, int]:
    """Return the place of a fix among others: that of what it makes, else of its last statement."""
    return _place(parts(fix)[0])


def _place(of_fix: Iterable[str]) -> tuple[int, int]:
    ranks = [rank(statement) for statement in of_fix]
    return min((found for found in ranks if found[0] == 1), default=ranks[-1] if ranks else (4, 0))


def joined(fixes: Iterable[str]) -> str:
    """Return several fixes as one: each statement once, in order, then the comments.

    What one fix drops and creates again stays together.
    """
    split = [parts(fix) for fix in dict.fromkeys(fixes)]
    in_order = sorted((found for found, _ in split if found), key=_place)
    notes = (note for _, of_fix in split for note in of_fix)
    return "\n".join(dict.fromkeys((*(s for found in in_order for s in found), *notes)))


def decided_by_owner(fix: str) -> str:
    """Return a fix in which FORCE ROW LEVEL SECURITY is decided by the attributes of the owner.

    Forced under an owner without BYPASSRLS, functions that run as the owner see no rows; not forced
    under a superuser, they see all.
    """
    return _FORCE.sub(lambda match: _force(match[1]), fix)


def _force(table: str) -> str:
    literal = table.replace("'", "''")
    return _BY_OWNER.replace("LITERAL", literal).replace("TABLE", table)
