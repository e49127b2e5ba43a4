"""A project's isolation data: isolation.toml and isolation/ of its folder, as one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from runner.errors import UsageError
from runner.isolation import toml_file
from runner.isolation.rows.identity import names_tenant
from runner.isolation.sql_cases import case_file
from runner.isolation.sql_cases.case_file import CaseFile
from runner.isolation.tenancy import config
from runner.isolation.tenancy.config import Actor, Config
from runner.isolation.tenancy.variables import names

FOLDER = "isolation"
_SCENARIO_FOLDERS = ("attacks", "invariants")
_DEFINITIONS = "definitions.sql"


@dataclass(frozen=True, eq=False)
class Project:
    """What one schema promises: its file, and the attacks, invariants and rules for it."""

    config: Config
    scenarios: tuple[CaseFile, ...]  # attacks, then invariants
    races: tuple[CaseFile, ...]  # for --self-test, because they commit
    rules: tuple[CaseFile, ...]
    definitions: str  # common table expressions of the rules
    mutants: tuple[str, ...]  # queries for --self-test
    has_overlay: bool  # which may make a finding impossible that the file accepts
    equivalents: tuple[tuple[str, str], ...]  # a pattern of mutants' names, the layer that holds

    @property
    def actors(self) -> Mapping[str, Actor]:
        """The actors by name."""
        return self.config.actors

    @cached_property
    def members(self) -> tuple[str, ...]:
        """The actors whose rights end in one tenant."""
        return self._named(lambda a: bool(a.member) or self._by_setting(a))

    @cached_property
    def platform(self) -> tuple[str, ...]:
        """The actors whose rights cross tenants."""
        return self._named(lambda a: a.everywhere)

    @cached_property
    def strangers(self) -> tuple[str, ...]:
        """The actors that are signed in and in no tenant."""
        return self._named(lambda a: bool(a.user))

    @cached_property
    def anonymous(self) -> tuple[str, ...]:
        """The actors that are not signed in."""
        return self._named(
            lambda a: not (a.user or a.member or a.everywhere or self._by_setting(a))
        )

    def _by_setting(self, actor: Actor) -> bool:
        """Whether an actor is in a tenant by a setting alone, in a project without members."""
        alone = not any(each.member for each in self.actors.values())
        return alone and names_tenant(self.config) and not (actor.user or actor.everywhere)

    def _named(self, condition: Callable[[Actor], bool]) -> tuple[str, ...]:
        return tuple(name for name, actor in self.actors.items() if condition(actor))

    def roles(self, actors: Iterable[str] | None = None) -> list[str]:
        """Return the database roles of these actors, of all by default, sorted."""
        return sorted({self.actors[name].role for name in actors or self.actors})

    @cached_property
    def names(self) -> frozenset[str]:
        """The variables of statements."""
        return names(self.config.fixture or "", self.actors.values())

    @cached_property
    def quoted_roles(self) -> tuple[str, str]:
        """The members' roles, and all roles, as lists in SQL."""
        member, every = (
            ", ".join('"' + role.replace('"', '""') + '"' for role in roles)
            for roles in (self.roles(self.members), self.roles())
        )
        return member, every


def load(sql_dir: Path, overlay: Path | None = None) -> Project:
    """Return the isolation data of a project's folder, with those of an overlay's.

    Raises UsageError, naming file and line, for a missing or invalid file.
    """
    folder = sql_dir / FOLDER
    read = config.read(sql_dir / toml_file.NAME, overlay and overlay / toml_file.NAME)
    return replace(
        of(read, folder, overlay and overlay / FOLDER),
        mutants=tuple(_text(path) for path in sorted((folder / "mutants").glob("*.sql"))),
        equivalents=_equivalents(folder / "mutants" / "equivalent.toml"),
    )


def of(read: Config, folder: Path = Path("isolation"), overlay: Path | None = None) -> Project:
    """Return the project of a file that was read, with the SQL in a folder, and in an overlay's."""
    fields = ("source", "why")
    rules = case_file.read_all("rules", folder / "rules", fields, ("level",))
    if overlay:
        more = case_file.read_folder("rules", overlay / "rules", fields, ("level",))
        rules = case_file.replaced(rules, more)
    conventions = read.file is not None and "conventions" in read.file.content
    return Project(
        config=read,
        scenarios=_scenarios(folder, overlay, read.settings),
        races=case_file.read_all("races", folder / "races", ("safe", "source")),
        rules=rules if conventions else (),
        definitions=_definitions(folder / "rules" / _DEFINITIONS),
        mutants=(),
        has_overlay=overlay is not None,
        equivalents=(),
    )


def _scenarios(
    folder: Path, overlay: Path | None, settings: Mapping[str, str]
) -> tuple[CaseFile, ...]:
    """Return the attacks and invariants, without those about a setting that no request has here."""
    found = []
    fields, optional = ("safe", "source"), ("each", "platform", "setting")
    for name in _SCENARIO_FOLDERS:
        place = folder / name
        cases = case_file.read_all(name, place, fields, optional)
        if overlay:
            more = case_file.read_folder(name, overlay / name, fields, optional)
            cases = case_file.replaced(cases, more)
        for case in cases:
            setting = case.fields.get("setting", "")
            if setting in ("", *settings):
                found.append(case)
            elif case.where.startswith(str(place)):
                hint = toml_file.nearest(setting, settings)
                raise UsageError(f"{case.where}: no request has the setting {setting}", hint=hint)
    return tuple(found)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None


def _definitions(path: Path) -> str:
    """Return the common table expressions of the rules; a project's own come last."""
    packaged = files("runner.isolation.sql_cases") / "rules" / _DEFINITIONS
    text = packaged.read_text(encoding="utf-8").rstrip()
    return f"{text},\n{_text(path)}" if path.is_file() else text


def _equivalents(path: Path) -> tuple[tuple[str, str], ...]:
    """Return the entries of equivalent.toml: a pattern of mutants' names, the layer that holds."""
    if not path.is_file():
        return ()
    file = toml_file.read(path)
    found = []
    for entry in file.content.get("equivalent", []):
        file.check(("equivalent",), entry, {"name": str, "layer": str})
        found.append((entry.get("name", ""), entry.get("layer", "")))
    return tuple(found)
