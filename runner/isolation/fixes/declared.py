"""The declared rights, which no fix revokes, and what a breach offers to be declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runner.isolation import toml_file
from runner.isolation.fixes.declare import (
    COMMANDS,
    REVOKE,
    Rights,
    covers,
    declared_in,
    listed_in,
    of_revokes,
    section_of,
)
from runner.isolation.verdict import Breach
from runner.preflight.order import parts


class Declared:
    """The rights of the file, which no fix may revoke."""

    def __init__(self, by_role: Mapping[str, list[str]], sql_dir: Path) -> None:
        file = sql_dir / toml_file.NAME
        self._by_role, self._rights, self._file = by_role, declared_in(file), file
        self._note = f"-- {file} declares what this would revoke: write it into a new migration"

    def kept(self, fix: str, *, note: bool = False) -> str:
        """Return a fix without the statements that revoke what is declared, '' if none is left.

        `note`: say so, because the files lack the privilege.
        """
        statements, notes = parts(fix)
        left = [statement for statement in statements if not self._revokes(statement)]
        notes += [self._note] if note else []
        return fix if len(left) == len(statements) else "\n".join((*left, *notes))

    def _revokes(self, statement: str) -> bool:
        match = REVOKE.match(statement)
        if not match:
            return False
        columns = listed_in(match[2]) if match[2] else None
        return any(
            covers(self.of(match[3]), command, self._by_role.get(role, ()), columns)
            for role in listed_in(match[4])
            for command in (COMMANDS if match[1] == "all" else [match[1]])
        )

    def columns(self, table: str, command: str, role: str) -> list[str]:
        """Return the columns that the actors with a role have a right to, if not to the table."""
        actors = set(self._by_role.get(role.strip('"'), ()))
        rights = [r for r in self.of(table).get(command, ()) if actors & set(r.actors)]
        if any(right.columns is None for right in rights):
            return []
        return [*dict.fromkeys(column for right in rights for column in right.columns or ())]

    def offered(self, breaches: Sequence[tuple[Breach, bool]]) -> Iterator[Breach]:
        """Yield the breaches with the lines that declare what their fixes revoke.

        The lines are all of a table, because each command is one line. Of a table that is undecided
        each fix revokes all. `breaches`: each, and whether it is a leak, which no right ends.
        """
        undecided = {
            b.subject: b
            for b, _ in breaches
            if b.proof == f"undecided.{b.subject}" and b.fix.startswith("revoke all on ")
        }
        of_table: dict[str, dict[str, None]] = {}
        for statement in (s for b, leaks in breaches if not leaks for s in parts(b.fix)[0]):
            match = REVOKE.match(statement)
            if match and {*listed_in(match[4])} & self._by_role.keys():  # of an actor
                of_table.setdefault(match[3], {})[statement] = None
        of_actors = {statement for its in of_table.values() for statement in its}
        for breach, leaking in breaches:
            own = parts(breach.fix)[0]
            if leaking or not own or not {*own} <= of_actors:
                yield breach
                continue
            matches = map(REVOKE.match, own)
            tables = list(dict.fromkeys(match[3] for match in matches if match))
            fix, meant = breach.fix, ""
            if of := undecided.get(tables[0]) if len(tables) == 1 else None:
                fix, meant = of.fix, of.intended
            else:
                every = "\n".join(statement for table in tables for statement in of_table[table])
                meant = of_revokes(every, self._by_role, self._file)
            text = dict.fromkeys((*meant.splitlines(), *breach.intended.splitlines()))
            yield replace(breach, fix=fix, intended="\n".join(text))

    def of(self, table: str) -> Rights:
        """Return the rights of a table, named as in SQL."""
        return section_of(self._rights, table) or {}
