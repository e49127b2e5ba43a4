"""One SQL file: hash, header directives, text, statements. No database access."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from runner.errors import FileError, Place
from runner.files import statements

_LIMITS = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
DIRECTIVES = tuple(sorted(("depends", "independent", "transactional", *_LIMITS)))
# Common words before a colon in a header that are no directives.
_ANNOTATIONS = (
    "author",
    "date",
    "description",
    "issue",
    "name",
    "note",
    "purpose",
    "see",
    "ticket",
)

_DURATION = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>us|ms|s|min|h|d)?")
_IN_MS = {"us": 0.001, "ms": 1, None: 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST = 2**31 - 1  # milliseconds: what PostgreSQL takes

_DIRECTIVE = re.compile(r"--\s*(?P<word>[a-z][a-z_-]*)\s*:\s*(?P<value>.*)\Z")
_HEADER = re.compile(r"(?:[ \t]*+(?:--[^\r\n]*+)?[\r\n])*+(?:[ \t]*+--[^\r\n]*+\Z)?")
# What a reader would take for a directive, in any case, with : or =.
_LIKE_ONE = re.compile(
    rf"(?:--|/\*)[ \t]*(?P<word>{'|'.join(DIRECTIVES)})[ \t]*[:=]", re.IGNORECASE
)
_BOM = b"\xef\xbb\xbf"
_BLOCK = 2**16  # bytes hashed at a time
_LARGEST = 2**30 - 2  # bytes: the longest message of PostgreSQL's protocol


@dataclass(frozen=True)
class Header:
    """The directives in the leading `--` lines of a file."""

    depends: tuple[str, ...] = ()
    transactional: bool = True
    independent: bool = False
    lock_timeout: int | None = None  # milliseconds, 0: no limit, None: not given
    statement_timeout: int | None = None
    idle_in_transaction_session_timeout: int | None = None


@dataclass(frozen=True)
class SqlFile:
    """A migration, its rollback file, or a seed file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the content without line ending style, trailing space and BOM."""
        return self._first_read[0]

    @cached_property
    def header(self) -> Header:
        """The directives. Raises FileError for an unknown one or an invalid value."""
        return _parse_header(self._first_read[1], self)

    def find_in_header(self, word: str) -> Place | None:
        """Return the place of a word in the header."""
        for number, line in enumerate(self._first_read[1], start=1):
            if match := re.search(rf"(?<!\S){re.escape(word)}(?!\S)", line):
                return Place(str(self), number, match.start() + 1, line)
        return None

    @cached_property
    def text(self) -> str:
        """The text as sent to PostgreSQL. Raises FileError when it is not UTF-8."""
        data = _read(self.path).removeprefix(_BOM)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            before = len(data[: error.start].decode("utf-8"))
            place = statements.place(data.decode("utf-8", "replace"), before, str(self))
            looks = ""
            if data.startswith((b"\xff\xfe", b"\xfe\xff")):
                place = Place(str(self))
                looks = "It looks like UTF-16, as some Windows programs write it. "
            raise FileError(
                f"{self} is not UTF-8: byte 0x{data[error.start]:02x}",
                place=place,
                hint=f"{looks}Save the file as UTF-8.",
            ) from None
        if "\0" in text:
            raise FileError(
                f"{self} contains a NUL character, which PostgreSQL cannot store",
                place=statements.place(text.replace("\0", "\ufffd"), text.index("\0"), str(self)),
            )
        return text

    @cached_property
    def code_sha256(self) -> str:
        """SHA-256 of the code: equal for files that differ in comments and white space only."""
        digest = hashlib.sha256()
        pieces = statements.code(self.text)
        while some := list(islice(pieces, 10_000)):
            digest.update(("\n".join(some) + "\n").encode())
        return digest.hexdigest()

    @cached_property
    def statements(self) -> list[statements.Statement]:
        """The statements. Raises FileError for what only psql can run and misplaced directives."""
        found = statements.checked_statements(
            self.text, str(self), transactional=self.header.transactional
        )
        if (misplaced := self._misplaced_directive()) is not None:
            raise FileError(
                f"{self} has a directive below its header, where it has no effect",
                place=statements.place(self.text, misplaced, str(self)),
                hint="Directives belong in the `--` lines at the top of the file.",
            )
        return found

    def _misplaced_directive(self) -> int | None:
        """Return the offset of a comment line below the header that looks like a directive."""
        header = _HEADER.match(self.text)
        like = list(_LIKE_ONE.finditer(self.text, header.end() if header else 0))
        comments: set[int] = set()
        if like:
            comments = {start for start, _ in statements.parts(self.text, statements.COMMENTS)}
        for match in like:
            start = match.start()
            line = max(self.text.rfind("\n", 0, start), self.text.rfind("\r", 0, start)) + 1
            if start in comments and not self.text[line:start].strip():
                return start
        return None

    @cached_property
    def _first_read(self) -> tuple[str, tuple[str, ...]]:
        """Hash and header lines in one pass that never keeps a whole large file in memory."""
        digest = hashlib.sha256()
        header: list[str] = []
        find_in_header = True
        blank_lines = 0
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size > _LARGEST:
                    raise FileError(
                        f"{self} is larger than 1 GB, the most that PostgreSQL accepts at once",
                        hint="Split it into several files.",
                    )
                for lines in _blocks(file):
                    text = lines.rstrip(b"\n")
                    if text:
                        digest.update(b"\n" * blank_lines + text + b"\n")
                        blank_lines = -1  # accounts for the end of the last line
                    blank_lines += lines.count(b"\n", len(text))
                    for line in lines.splitlines() if find_in_header else ():
                        header.append(line.decode("utf-8", "replace"))
                        find_in_header = not line or line.lstrip().startswith(b"--")
                        if not find_in_header:
                            break
        except OSError as error:
            raise _unreadable(self.path, error) from None
        return digest.hexdigest(), tuple(header)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield blocks of lines without BOM and trailing space, with Unix line endings."""
    block = file.read(_BLOCK).removeprefix(_BOM)
    while block:
        block += file.readline()
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b" \n" in block or b"\t\n" in block or block.endswith((b" ", b"\t")):
            block = b"\n".join(line.rstrip(b" \t") for line in block.split(b"\n"))
        yield block
        block = file.read(_BLOCK)


def _parse_header(lines: tuple[str, ...], script: SqlFile) -> Header:
    depends: list[str] = []
    flags = {"transactional": True, "independent": False}
    limits: dict[str, int | None] = dict.fromkeys(_LIMITS)
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if ":" not in line and "=" not in line:
            continue
        here = Place(str(script), number, 1, line)
        match = _DIRECTIVE.match(line.strip())
        if not match and (like := _LIKE_ONE.match(line.strip())):
            raise FileError(
                f"{script} has a misspelled directive",
                place=here,
                hint=f"Write `-- {like['word'].lower()}: …`, in lower case and with a colon. "
                "If it is prose, reword it.",
            )
        if not match or match["word"] in _ANNOTATIONS:
            continue
        word, value = match["word"], match["value"].strip()
        if word in seen and word != "depends":
            raise FileError(f"{script} has {word} twice", place=here, hint="Keep one.")
        seen.add(word)
        if word == "depends":
            depends += value.split()
        elif word in limits:
            limits[word] = _milliseconds(value)
            if limits[word] is None:
                raise FileError(
                    f"{script}: {word} is a time, not {value!r}",
                    place=here,
                    hint="Write 500ms, 5s, 10min or 2h, at most 24d, or off for no limit.",
                )
        elif word not in flags:
            raise FileError(
                f"{script} has an unknown directive: {word}",
                place=here,
                hint=f"Known: {', '.join(DIRECTIVES)}. If it is prose, begin it with a capital.",
            )
        elif value.lower() not in ("true", "false"):
            raise FileError(
                f"{script}: {word} is true or false, not {value!r}",
                place=here,
            )
        else:
            flags[word] = value.lower() == "true"
    return Header(
        depends=tuple(depends),
        transactional=flags["transactional"],
        independent=flags["independent"],
        lock_timeout=limits["lock_timeout"],
        statement_timeout=limits["statement_timeout"],
        idle_in_transaction_session_timeout=limits["idle_in_transaction_session_timeout"],
    )


def _milliseconds(value: str) -> int | None:
    """Return a duration in PostgreSQL's notation in milliseconds, or None for anything else."""
    if value.lower() == "off":
        return 0
    match = _DURATION.fullmatch(value)
    if not match:
        return None
    exact = float(match["number"]) * _IN_MS[match["unit"]]
    # Below one it would be rounded to 0, which means no limit.
    return max(1, round(exact)) if 0 < exact <= _LONGEST else (0 if exact == 0 else None)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> FileError:
    return FileError(f"{path} cannot be read: {error.strerror}")
