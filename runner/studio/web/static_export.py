"""The studio's pages as HTML files that open from disk, without a server or a database."""

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
from runner.studio.actions import Actions, isolation_page
from runner.studio.data import diagram, history, paging, people, records, run_log, views
from runner.studio.data.paging import PageRequest
from runner.studio.data.viewer import CannotViewAs, Person, Source, session_as
from runner.studio.web import render
from runner.studio.web.render import Frame
from runner.studio.web.urls import Address, StaticLinks, static_file

MARKER = "report.json"  # identifies a directory as a report, which may be replaced
_START_PAGE = "as/owner/comparison.html"
_MAX_ATTACHMENT = 1_000_000  # characters


@dataclass(frozen=True)
class Written:
    """What a report contains."""

    files: int
    people: tuple[str, ...]
    tables: tuple[str, ...]
    proven: bool


@dataclass(frozen=True)
class ReportPage:
    """One page to write."""

    person: Person
    address: Address
    template: str
    content: dict[str, Any]


def write(
    source: Source,
    target: Target,
    actions: Actions,
    folder: Path,
    *,
    attached: Sequence[Path] = (),
    report: Report = silent,
) -> Written:
    """Write a report into a directory that is new, empty, or a report, which is then replaced.

    Runs all actions first. People the connecting role cannot view the database as are left out,
    and a Note is reported for each. `attached` are text files to show on the page of runs.

    Raises UsageError if the directory cannot be written, psycopg.Error if reading fails.
    """
    _check(folder)
    texts = [(path.name, _text(path)) for path in attached]
    for name, action in (
        ("the proof of isolation", actions.prove),
        ("the comparison with the files", actions.compare),
        ("the rehearsal of pending migrations", actions.rehearse),
    ):
        report(Working(name))
        action()
    writer = _Writer(source, target, actions, texts, report)
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
            f"{folder} cannot be written: {error.strerror}",
            hint="Choose another directory: --out DIR",
        ) from None
    return written


class _Writer:
    def __init__(
        self,
        source: Source,
        target: Target,
        actions: Actions,
        attached: list[tuple[str, str]],
        report: Report,
    ) -> None:
        self._source = source
        self._target = target
        self._actions = actions
        self._attached = attached
        self._report = report
        self._identities = people.identities(source)
        candidates = self._identities.some(views.MAX_COMPARED)
        self._people = [person for person in candidates if self._can_view_as(person)]
        self._tables = views.names(source)

    def _can_view_as(self, person: Person) -> bool:
        try:
            with session_as(self._source, person):
                return True
        except CannotViewAs as error:
            advice = f"{error.advice}: {error.command}"
            self._report(Note(f"{person.name} is left out: {error.message}. {advice}"))
            return False

    def write(self, folder: Path) -> Written:
        """Write all files into an empty directory."""
        pages = [(static_file(page.person, page.address), page) for page in self._pages()]
        pictures = {}
        for schema in diagram.schemas(self._tables) if diagram.drawable() else ():
            with suppress(RunnerError):  # nothing to draw
                picture = static_file(people.CONNECTED, Address("diagram", schema))
                pictures[picture] = diagram.svg(self._source, schema)
        for name, text in pictures.items():
            _put(folder / name, text.encode())
        files = frozenset(name for name, _ in pages) | frozenset(pictures)
        for name, page in pages:
            self._report(Working(name))
            frame = Frame(
                person=page.person,
                identities=self._identities,
                tables=self._tables,
                database=self._target.name,
                user=self._target.parameters.get("user", ""),
                links=StaticLinks(name, files),
                login_statement=self._source.login_statement,
                here=page.address,
                live=False,
            )
            _put(folder / name, render.page(page.template, frame, **page.content).encode())
        for name in render.assets():
            _put(folder / "static" / name, render.asset(name) or b"")
        _put(folder / "index.html", render.standalone("report.html", first=_START_PAGE).encode())
        proof = self._actions.proof
        written = Written(
            files=len(pages),
            people=tuple(person.name for person in self._people),
            tables=tuple(table.name for table in self._tables),
            proven=bool(proof and proof.value and proof.value.proven),
        )
        _put(folder / MARKER, json.dumps(vars(written), ensure_ascii=False, indent=2).encode())
        return written

    def _pages(self) -> Iterator[ReportPage]:
        for person in self._people:
            self._report(Working(f"as {person.name}"))
            yield from self._pages_as(person)
        yield from self._database_pages(people.CONNECTED)

    def _pages_as(self, person: Person) -> Iterator[ReportPage]:
        every = max(1, len(self._tables))
        listed = views.overview(self._source, person, size=every, patience=records.FULL)
        content: dict[str, Any] = {"view": listed, "like": ""}
        yield ReportPage(person, Address("overview"), "overview.html", content)
        for table in self._tables:
            view = views.table(self._source, person, table.name, PageRequest())
            if view:
                content = {
                    "view": view,
                    "operators": paging.OPERATORS,
                    "sorting": [],
                    "filters": [],
                }
                yield ReportPage(person, Address("table", table.name), "table.html", content)

    def _database_pages(self, owner: Person) -> Iterator[ReportPage]:
        """Yield the pages about the database itself, which are the same for all people."""
        comparison = views.comparison(self._source, self._people, patience=records.FULL)
        content = {"comparison": comparison, "people": "", "like": ""}
        yield ReportPage(owner, Address("comparison"), "comparison.html", content)
        drawn = diagram.schemas(self._tables) if diagram.drawable() else None
        sizes = views.sizes(self._source, self._tables)
        content = {"tables": self._tables, "pictures": drawn, "sizes": sizes}
        yield ReportPage(owner, Address("schema"), "schema.html", content)
        for table in self._tables:
            address = Address("schema", table.name)
            view = {"view": views.schema(self._source, owner, table.name)}
            yield ReportPage(owner, address, "schema_table.html", view)
        isolation = isolation_page(self._actions)
        yield ReportPage(owner, Address("isolation"), "isolation.html", isolation)
        settings = self._actions.settings
        past = history.history(self._source, owner, settings.sql_dir)
        content = {"view": past, "actions": self._actions}
        yield ReportPage(owner, Address("history"), "history.html", content)
        for entry in past.plan.entries:
            file = history.file(self._source, owner, settings.sql_dir, entry.id)
            content = {"view": file, "actions": self._actions}
            yield ReportPage(owner, Address("history", entry.id), "migration.html", content)
        content = {
            "lines": run_log.read(settings.log),
            "log": settings.log,
            "attached": self._attached,
        }
        yield ReportPage(owner, Address("runs"), "runs.html", content)


def _check(folder: Path) -> None:
    """Raise UsageError if the directory contains anything other than a report."""
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / MARKER).is_file()):
        raise UsageError(
            f"{folder} already exists and is not a report",
            hint="A report replaces its directory. Choose a new one: --out DIR",
        )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:_MAX_ATTACHMENT]
    except OSError as error:
        raise UsageError(f"{path} cannot be attached: {error.strerror}") from None


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
