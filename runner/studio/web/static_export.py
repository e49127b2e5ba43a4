"""The studio's pages as files: they open from disk, and need no server and no database any more."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import RunnerError, UsageError
from runner.events import Note, Report, Working, silent
from runner.postgres.target import Target
from runner.studio.actions import Demands, proof
from runner.studio.data import diagram, history, paging, people, runs, views
from runner.studio.data.paging import Wanted
from runner.studio.data.viewer import CannotLook, Person, Pool, through
from runner.studio.data.views import WORLDS
from runner.studio.web import render
from runner.studio.web.render import Frame
from runner.studio.web.urls import Address, Static, static_file

MARK = "report.json"  # tells a report from a folder of somebody's own
_FIRST = "as/owner/index.html"
_ATTACHED = 1_000_000  # characters of a file that is attached


@dataclass(frozen=True)
class Written:
    """What a report holds."""

    files: int
    people: tuple[str, ...]
    tables: tuple[str, ...]
    proven: bool


@dataclass(frozen=True)
class Sheet:
    """One page to be written."""

    person: Person
    address: Address
    template: str
    content: dict[str, Any]


def write(
    connections: Pool,
    target: Target,
    demands: Demands,
    folder: Path,
    *,
    attached: Sequence[Path] = (),
    report: Report = silent,
) -> Written:
    """Write a report into a folder that is new, empty, or holds a report; replaced as a whole.

    Whom the connecting role may not become is left out, and that is reported. Raises UsageError
    where it cannot be written, psycopg.Error where it cannot be read.
    """
    _check(folder)
    texts = [(path.name, _text(path)) for path in attached]
    for name, work in (
        ("the proof of isolation", demands.prove),
        ("the comparison with the files", demands.compare),
        ("the rehearsal of what is pending", demands.rehearse),
    ):
        report(Working(name))
        work()
    writer = _Writer(connections, target, demands, texts, report)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".report-") as draft:
            written = writer.write(Path(draft))
            Path(draft).chmod(0o755)
            if folder.exists():
                shutil.rmtree(folder)
            shutil.copytree(draft, folder)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written: {error.strerror}", hint="Name another: --out DIR"
        ) from None
    return written


class _Writer:
    def __init__(
        self,
        connections: Pool,
        target: Target,
        demands: Demands,
        attached: list[tuple[str, str]],
        report: Report,
    ) -> None:
        self._connections = connections
        self._target = target
        self._demands = demands
        self._attached = attached
        self._report = report
        self._crowd = people.crowd(connections)
        self._people = [p for p in self._crowd.everybody()[:WORLDS] if self._can_look(p)]
        self._tables = views.names(connections)

    def _can_look(self, person: Person) -> bool:
        try:
            with through(self._connections, person):
                return True
        except CannotLook as error:
            self._report(Note(f"{person.name} is left out: {error.message}. {error.hint}"))
            return False

    def write(self, folder: Path) -> Written:
        """Write all of it into an empty folder."""
        sheets = list(self._sheets())
        pages = [(static_file(sheet.person, sheet.address), sheet) for sheet in sheets]
        picture = static_file(people.OWNER, Address("diagram"))
        files = frozenset(name for name, _ in pages) | {picture}
        with suppress(RunnerError):  # nothing to draw, or to draw with: the page says so
            _put(folder / picture, diagram.svg(self._connections).encode())
        for name, sheet in pages:
            self._report(Working(name))
            frame = Frame(
                person=sheet.person,
                crowd=self._crowd,
                tables=self._tables,
                database=self._target.name,
                user=self._target.parameters.get("user", ""),
                links=Static(name, files),
                here=sheet.address,
                live=False,
            )
            _put(folder / name, render.page(sheet.template, frame, **sheet.content).encode())
        for name in render.assets():
            _put(folder / "static" / name, render.asset(name) or b"")
        _put(folder / "index.html", render.bare("report.html", first=_FIRST).encode())
        written = Written(
            files=len(pages),
            people=tuple(person.name for person in self._people),
            tables=tuple(table.name for table in self._tables),
            proven=bool(
                self._demands.proof
                and self._demands.proof.found
                and self._demands.proof.found.proven
            ),
        )
        _put(folder / MARK, json.dumps(vars(written), ensure_ascii=False, indent=2).encode())
        return written

    def _sheets(self) -> Iterator[Sheet]:
        for person in self._people:
            self._report(Working(f"as {person.name}"))
            yield from self._of_person(person)
        yield from self._of_all(people.OWNER)

    def _of_person(self, person: Person) -> Iterator[Sheet]:
        summaries = views.overview(self._connections, person)
        yield Sheet(person, Address("overview"), "overview.html", {"summaries": summaries})
        for table in self._tables:
            view = views.table(self._connections, person, table.name, Wanted())
            if view:
                content = {
                    "view": view,
                    "operators": paging.OPERATORS,
                    "kept": [],
                    "filters": [],
                }
                yield Sheet(person, Address("table", table.name), "table.html", content)

    def _of_all(self, owner: Person) -> Iterator[Sheet]:
        """Yield the pages about the database itself, which are the same for everybody."""
        worlds = views.worlds(self._connections, self._people)
        yield Sheet(owner, Address("worlds"), "worlds.html", {"worlds": worlds})
        content = {"tables": self._tables, "drawable": diagram.drawable()}
        yield Sheet(owner, Address("schema"), "schema.html", content)
        for table in self._tables:
            view = views.schema(self._connections, owner, table.name)
            yield Sheet(owner, Address("schema", table.name), "schema_table.html", {"view": view})
        yield Sheet(owner, Address("isolation"), "isolation.html", proof(self._demands))
        settings = self._demands.settings
        past = history.history(self._connections, owner, settings.sql_dir)
        content = {"view": past, "demands": self._demands}
        yield Sheet(owner, Address("history"), "history.html", content)
        for entry in past.plan.entries:
            file = history.file(self._connections, owner, settings.sql_dir, entry.id)
            content = {"view": file, "demands": self._demands}
            yield Sheet(owner, Address("history", entry.id), "migration.html", content)
        content = {
            "runs": runs.read(settings.log),
            "log": settings.log,
            "attached": self._attached,
        }
        yield Sheet(owner, Address("runs"), "runs.html", content)


def _check(folder: Path) -> None:
    """Raise UsageError for a folder that holds something else than a report."""
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / MARK).is_file()):
        raise UsageError(
            f"{folder} is there, and is no report",
            hint="A report replaces its folder. Name a new one: --out DIR. Nothing was written.",
        )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:_ATTACHED]
    except OSError as error:
        raise UsageError(
            f"{path} cannot be attached: {error.strerror}", hint="Nothing was written."
        ) from None


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
