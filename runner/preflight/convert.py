"""Rewrite a folder of another migration tool as migrations and rollback files.

The content stays as it is, byte for byte, without the tool's own marks. What cannot be converted is
refused by name before anything is written: migrations in a programming language, and variables.
"""

from __future__ import annotations

import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from runner.errors import NO_CHANGES, FileError, PlanError, RunnerError, UsageError
from runner.events import Report
from runner.files import loader, statements
from runner.files.loader import Migration
from runner.migrate.migrator import Migrator
from runner.preflight import foreign, other_marks
from runner.preflight.baseline import baseline

_CODE = re.compile(r"(?:[0-9].*|[VUR][0-9._]*__.*)\.(?:go|java|js|ts|mjs|cjs|kt|py|rb|cs|exs?)")
# A folder for each migration: Prisma, Drizzle, Diesel, Hasura.
_OF_FOLDERS = re.compile(
    r"(?P<version>[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]+(?:-[0-9a-f]{4})?|[0-9]+)"
    r"(?:[_-](?P<words>[^/]+))?"
    r"/(?P<kind>migration|up|down)\.sql"
)
_FLYWAY = re.compile(r"(?P<kind>[VUR])(?P<version>[0-9][0-9._]*)?__(?P<words>.+)\.sql")
_GOLANG_MIGRATE = re.compile(  # and sqlx
    r"(?P<version>[0-9]+)(?:[_-](?P<words>.+))?\.(?P<kind>up|down)\.sql"
)
_POSTGRATOR = re.compile(r"(?P<version>[0-9]+)\.(?P<kind>do|undo)(?:\.(?P<words>.+))?\.sql")
_OTHERS = re.compile(r"(?P<version>[0-9]+)[_.-](?P<words>.+?)(?P<kind>)\.sql")
_NAMES = (_OF_FOLDERS, _FLYWAY, _GOLANG_MIGRATE, _POSTGRATOR, _OTHERS)
_ALONE = re.compile(
    r"(?is)(?:create|drop|reindex)\b.*\bconcurrently\b|(?:vacuum|alter\s+system)\b"
    r"|(?:create|drop)\s+(?:database|tablespace)\b"
)
_TEMPLATE = re.compile(r"\{\{.*?\}\}")
_PLACEHOLDER = re.compile(r"\$\{[\w:.-]+\}")
_DIRECTIVE = "-- transactional: false"
NEXT = (
    "Review them, then: python -m runner check\n"
    "That `re-run`, `data` and `rollback` fail is normal here: files of another tool have no "
    "guards such as `if not exists`, and often no rollback file. To check only what you write from "
    "now on: python -m runner check --after {last}\n"
    "To make these pass: add guards, and write a rollback file, or `-- irreversible: REASON` on "
    "top of the migration. Where it is recorded, then: python -m runner apply --accept-edit ID"
)
_BOM = "\ufeff"


@dataclass
class Imported:
    """A migration of another tool: its files, and the text for ours."""

    version: tuple[int, ...]  # empty: a repeatable one of Flyway, which comes last
    words: str
    sources: list[Path] = field(default_factory=list)
    up: str = ""
    down: str = ""
    id: str = ""  # ours

    @property
    def files(self) -> dict[str, str]:
        """The texts of its files, by name."""
        down = {f"{self.id}.rollback.sql": self.down} if self.down.strip() else {}
        return {f"{self.id}.sql": self.up, **down}


def read(folder: Path) -> list[Imported]:
    """Return the migrations of a folder of another tool, in its order, with ids of ours.

    Raises UsageError for a folder without any, FileError for a file that cannot be converted.
    """
    if not folder.is_dir():
        raise UsageError(f"The folder {folder} does not exist", hint="Name the tool's folder.")
    found: dict[tuple[tuple[int, ...], str], Imported] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or path.name.startswith("."):
            continue
        if _CODE.fullmatch(path.name):
            raise _refused(path, "is not SQL", "Write what it does as SQL, in its place.")
        if path.suffix.lower() == ".sql":
            _add(found, path)
    ordered = sorted(found.values(), key=lambda each: (not each.version, each.version, each.words))
    if not ordered:
        raise UsageError(f"{folder} contains no migration of a tool that is known")
    without = next((each for each in ordered if not each.up.strip()), None)
    if without:
        raise _refused(without.sources[0], "has no statements to apply", "Add or remove it.")
    _number(ordered)
    check(ordered)
    return ordered


def write(migrations: Sequence[Imported], folder: Path) -> list[Path]:
    """Write the files into a folder, which has none; return them. Raises FileError, UsageError."""
    if folder.is_dir() and (there := sorted(folder.glob("*.sql"))):
        raise UsageError(
            f"{folder} has files already: {there[0].name}",
            hint="Name an empty or a new folder: --sql-dir DIR",
        )
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for migration in migrations:
            for name, text in migration.files.items():
                with (folder / name).open("x", encoding="utf-8", newline="") as file:
                    file.write(text)
                written.append(folder / name)
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be written: {error.strerror}",
            state=f"{len(written)} files were written.",
        ) from None
    return written


def check(migrations: Sequence[Imported]) -> None:
    """Raise FileError for what would not run here, with the file that it comes from."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for migration in migrations:
            for file_name, text in migration.files.items():
                (folder / file_name).write_bytes(text.encode("utf-8"))
        by_id = {migration.id: migration for migration in migrations}
        sources = [path for migration in migrations for path in migration.sources]
        try:
            for file in loader.read(folder):
                sources = by_id[file.id].sources
                _ = file.header, file.statements
                if by_id[file.id].down.strip():
                    _ = file.rollback.header, file.rollback.statements
        except FileError as error:
            why = error.message.replace(f"{folder}/", "")
            of = [p for p in sources if any(m.id in why and p in m.sources for m in migrations)]
            named = ", ".join(map(str, of or sources))
            raise _refused(named, f"would not run here: {why}", error.hint) from None


def record(
    migrator: Migrator, migrations: Sequence[Imported], files: Sequence[Migration], report: Report
) -> str | None:
    """Record what the tool has applied, as its records say; return the last id, None for nothing.

    The caller holds the lock. Raises PlanError unless the database is what these files make, and
    where the tool has left out a file: it would be recorded without having run.
    """
    old = [_as_the_tool_names_it(migration) for migration in migrations]
    places: set[int] = set()
    tools = []
    for table in foreign.tables(migrator.connection):
        found = table.of(old, by_number=True) if table.applied else []
        places |= {old.index(each) for each in found}
        tools += [table.tool] if found else []
    versioned = [place for place in places if migrations[place].version]
    if gap := sorted({*range(max(versioned, default=0))} - places):
        names = ", ".join(_named(migrations[place].sources[0]) for place in gap)
        tool, last = " and ".join(tools), files[max(versioned)].id
        raise PlanError(
            f"{tool} has not applied {names}, and has applied what comes after",
            hint=f"Apply with {tool}, delete the files here and import again. If the database has "
            f"what they do: python -m runner baseline --to {last}",
        )
    # A repeatable one comes after what the tool has not applied yet.
    done = next(place for place in count() if place not in places)
    if not done:
        return None
    baseline(migrator, files, files[done - 1], report=report)
    return files[done - 1].id


def _as_the_tool_names_it(migration: Imported) -> Migration:
    path = migration.sources[0]
    folder, _, name = _named(path).rpartition("/")
    stem = folder or re.sub(r"\.(?:up|down)?\.?sql\Z", "", name)
    if "-" in (version := stem.partition("_")[0]):  # Diesel records the digits alone
        stem = version.replace("-", "")
    number = migration.version[0] if len(migration.version) == 1 else sys.maxsize
    return Migration(path, stem, loader.number_of(str(number)))


def _add(found: dict[tuple[tuple[int, ...], str], Imported], path: Path) -> None:
    match = next((m for name in _NAMES if (m := name.fullmatch(_named(path)))), None)
    if not match or (match["kind"] in ("V", "U") and not match["version"]):
        hint = "Move what is no migration out of the folder. A name ends with .sql in lower case."
        raise _refused(path, "does not have the name of a migration of a known tool", hint)
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(path, f"cannot be read: {error}", "Save it as UTF-8.") from None
    number = match["version"] or ""
    if match.re is _OF_FOLDERS and "-" in number:  # Diesel's, maybe with a hexadecimal part
        number = f"{number[:17].replace('-', '')}.{int(number[18:] or '0', 16)}"
    version = tuple(int(n) for n in re.findall("[0-9]+", number))
    while version and len(version) > 1 and version[-1] == 0:
        version = version[:-1]  # 1.0 is 1
    words = match["words"] or "migration"
    key = (version, "" if version else words)
    each = found.setdefault(key, Imported(version, words))
    is_down = match["kind"] in ("U", "down", "undo")
    if each.down if is_down else each.up:
        of = _named(each.sources[0])
        raise _refused(path, f"has the number of {of}", "Rename one of them.")
    up, down = _parts(path, text, match)
    if down.strip() and each.down.strip():
        raise _refused(path, f"has what undoes it, as {_named(each.sources[0])}", "Remove one.")
    if is_down:
        each.sources.append(path)
        each.down = up
        return
    each.sources.insert(0, path)
    each.words, each.up = words, up
    each.down = down if down.strip() else each.down


def _parts(path: Path, text: str, name: re.Match[str]) -> tuple[str, str]:
    """Return what applies and what undoes it, each with our directive where it needs one."""
    bom = _BOM if text.startswith(_BOM) else ""
    text = text.removeprefix(_BOM)
    if name.re in (_GOLANG_MIGRATE, _POSTGRATOR, _OF_FOLDERS):  # often says begin and commit
        text = other_marks.without_transaction(text)
    if not name["kind"]:
        parts = other_marks.parts(text)
    else:  # its name says what it does, and whatever looks like a mark is a comment
        is_sqlx = name.re is _GOLANG_MIGRATE
        parts = other_marks.of_sqlx(text) if is_sqlx else other_marks.Parts(text)
        parts = replace(parts, up=other_marks.without_marks(parts.up))
    problem = parts.problem
    if parts.tool == "tern" and (variable := _TEMPLATE.search(text)):
        problem = f"has a template of tern: {variable.group()}"
    if name.re is _FLYWAY and (variable := _PLACEHOLDER.search(text)):
        problem = f"has a placeholder of Flyway: {variable.group()}"
    if problem:
        hint = "Write the value in its place."
        raise _refused(path, problem, "Add it." if "StatementEnd" in problem else hint)
    outside = {"up", "down"} if _conf(path) or _metadata(path) else parts.outside
    up = _with_directive(parts.up, "up" in outside)
    return f"{bom}{up}" if up.strip() else up, _with_directive(parts.down, "down" in outside)


def _conf(path: Path) -> bool:
    """Whether Flyway's settings of a file say that it runs outside a transaction."""
    conf = path.with_name(f"{path.name}.conf")
    if not conf.is_file():
        return False
    lines = [line.strip() for line in conf.read_text(encoding="utf-8").splitlines()]
    other = [e for e in lines if e and not re.match(r"#|executeInTransaction\s*=", e)]
    if other:
        raise _refused(conf, f"has a setting that is unknown here: {other[0]}", "Remove it.")
    return any(re.fullmatch(r"executeInTransaction\s*=\s*false", line) for line in lines)


def _metadata(path: Path) -> bool:
    """Whether Diesel's settings of a migration say that it runs outside a transaction."""
    file = path.with_name("metadata.toml")
    try:
        return tomllib.loads(file.read_text("utf-8")).get("run_in_transaction") is False
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise _refused(file, f"cannot be read: {error}", "Correct it.") from None


def _with_directive(text: str, outside: bool) -> str:
    """Return a text with our directive, if it runs outside a transaction, or can only there."""
    if not (outside or _only_outside(text)) or not text.strip():
        return text
    end = "\r\n" if "\r\n" in text else "\n"
    return f"{_DIRECTIVE}{end}{text}"


def _only_outside(text: str) -> bool:
    """Whether a text has a statement that PostgreSQL refuses in a transaction."""
    try:
        return any(_ALONE.match(statement.text) for statement in statements.split(text))
    except FileError:
        return False  # `check` says why


def _number(migrations: Sequence[Imported]) -> None:
    """Give each an id: its own number where all have one of a kind, else the next."""
    numbers = [str(m.version[0]) for m in migrations if len(m.version) == 1]
    dates = [loader.DATE.match(number) is not None for number in numbers]
    widths = {len(number) for number in numbers}
    own = len(numbers) == sum(1 for m in migrations if m.version)
    if not own or (any(dates) and not (all(dates) and len(widths) == 1)):
        numbers = []
    following = count(int(numbers[-1]) + 1 if numbers else 1)
    width = max(4, *map(len, numbers)) if numbers else 4
    for position, migration in enumerate(migrations):
        has_own = position < len(numbers)
        number = numbers[position] if has_own else str(next(following))
        words = re.sub(r"[^\w.-]+", "_", migration.words)
        migration.id = f"{number.zfill(width)}_{words}"


def _named(path: Path) -> str:
    """Return a file's name, with its folder where that has the name of the migration."""
    name = f"{path.parent.name}/{path.name}"
    return name if _OF_FOLDERS.fullmatch(name) else path.name


def _refused(path: Path | str, what: str, hint: str) -> RunnerError:
    return FileError(f"{path} cannot be converted: it {what}", hint=hint, state=NO_CHANGES)


def listed(migrations: Sequence[Imported]) -> Iterator[tuple[str, str]]:
    """Yield what each file becomes."""
    for migration in migrations:
        names = map(_named, migration.sources)
        yield " + ".join(names), " + ".join(migration.files)
