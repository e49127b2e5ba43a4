"""The studio's pages as HTML files that open from disk, without a server or a database."""

from __future__ import annotations

import json
import os
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

MARKER = "report.json"  # what a report contains; identifies its directory by the content
_MADE_BY = "python -m runner report"
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
    """Write a report into a directory that is new, empty, or a report, whose files are replaced.

    Runs all actions first. People the connecting role cannot view the database as are left out,
    and a Note is reported for each. `attached` are text files to show on the page of runs.

    Raises UsageError if the directory is no report or cannot be written, psycopg.Error if reading
    fails.
    """
    _earlier(folder)
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
        root = folder.resolve()
        root.parent.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=root.parent, prefix=".report-") as draft,
            tempfile.TemporaryDirectory(dir=root.parent, prefix=".report-") as kept,
        ):
            written = writer.write(Path(draft))
            _replace(folder, Path(draft), Path(kept))
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
        names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
        content = {**vars(written), "made_by": _MADE_BY, "written": names}
        _put(folder / MARKER, json.dumps(content, ensure_ascii=False, indent=2).encode())
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


def _earlier(folder: Path) -> list[Path]:
    """Return the files of the report in a directory, relative to it; none if it is new or empty.

    Raises UsageError if it contains anything, and no report that this command has made.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return []
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        if marker["made_by"] == _MADE_BY:
            names = [*marker["written"], MARKER]
            if "\0" not in "".join(names):
                return [Path(os.fsdecode(name.encode())) for name in names]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    raise UsageError(
        f"{folder} already exists and is not a report",
        hint="A report replaces an earlier one only. Choose a new directory: --out DIR",
    )


def _replace(folder: Path, draft: Path, kept: Path) -> None:
    """Move a draft to its place: the files of an earlier report go to `kept`, all others stay.

    Raises UsageError if one of the others is in the way, OSError if a file cannot be moved; all
    are where they were then.
    """
    earlier, root = _earlier(folder), folder.resolve()
    written = [path.relative_to(draft) for path in draft.rglob("*") if path.is_file()]
    for path in (*earlier, *written):
        if not _is_free(root, path, earlier):
            raise UsageError(
                f"{folder / path} is not of the report that is in {folder}",
                hint="Move it away, or choose another directory: --out DIR",
            )
    moves = [(root / path, kept / path) for path in earlier]
    moves += [(draft / path, root / path) for path in written]
    moved = []
    try:
        for source, to in moves:
            if os.path.lexists(source):
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(source, to)
                moved.append((source, to))
    except BaseException:
        for source, to in reversed(moved):
            shutil.move(to, source)
        raise
    for parent in sorted({p for path in earlier for p in path.parents if p.name}, reverse=True):
        with suppress(OSError):  # it contains other files
            (root / parent).rmdir()


def _is_free(root: Path, path: Path, earlier: Sequence[Path]) -> bool:
    """Return whether a file of a report can be in this place, or has been."""
    place = root / path
    if ".." in path.parts or not place.is_relative_to(root) or place.is_dir():
        return False
    if path not in earlier and os.path.lexists(place):
        return False
    return place.parent.resolve() == place.parent and all(
        parent in earlier or (root / parent).is_dir() or not os.path.lexists(root / parent)
        for parent in path.parents
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:_MAX_ATTACHMENT]
    except OSError as error:
        raise UsageError(f"{path} cannot be attached: {error.strerror}") from None


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
