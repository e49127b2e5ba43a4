"""One SQL file: hash, header directives, text, statements. No database access."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BufferedReader
from itertools import islice
from math import ceil, inf
from pathlib import Path
from typing import Any, NamedTuple

from runner.errors import FileError, Place
from runner.files import other_tools, statements

_DURATION = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>us|ms|s|min|h|d)?")
_IN_MS = {"us": 0.001, "ms": 1, None: 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST = 2**31 - 1  # milliseconds: what PostgreSQL takes

_DIRECTIVE = re.compile(r"--\s*(?P<word>[a-z][a-z _-]*?)\s*:\s*(?P<value>.*)\Z")
_HEADER = re.compile(r"(?:[ \t]*+(?:--[^\r\n]*+)?[\r\n])*+(?:[ \t]*+--[^\r\n]*+\Z)?")
_BOM = b"\xef\xbb\xbf"
_BLOCK = 2**16  # bytes hashed at a time
_LARGEST = 2**30 - 2  # bytes: the longest message of PostgreSQL's protocol


class Header(NamedTuple):
    """The directives in the leading `--` lines of a file."""

    depends: tuple[str, ...] = ()
    transactional: bool = True
    independent: bool = False
    irreversible: str = ""  # why there is no rollback file
    lock_timeout: int | None = None  # milliseconds, 0: no limit, None: not given
    statement_timeout: int | None = None
    idle_in_transaction_session_timeout: int | None = None


DIRECTIVES = tuple(sorted(Header._fields))
# What a reader would take for a directive, in any case, with : or =.
_LIKE_ONE = re.compile(rf"(?i)(?:--|/\*)[ \t]*(?P<word>{'|'.join(DIRECTIVES)})[ \t]*[:=]")


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
        depends: list[str] = []
        values: dict[str, Any] = {}
        lines = enumerate(self._first_read[1], start=1)
        for number, line in ((n, text) for n, text in lines if ":" in text or "=" in text):
            here = Place(str(self), number, 1, line)
            match = _DIRECTIVE.match(line.strip())
            if not match and (like := _LIKE_ONE.match(line.strip())):
                raise FileError(
                    f"{self} has a misspelled directive",
                    place=here,
                    hint=f"Write `-- {like['word'].lower()}: …`, in lower case and with a colon. "
                    "If it is prose, reword it.",
                )
            if not match or not (match["word"] in DIRECTIVES or _nearly_one(match["word"])):
                continue
            word, value = match["word"], match["value"].strip()
            if word in values:
                raise FileError(f"{self} has {word} twice", place=here, hint="Keep one.")
            if word not in DIRECTIVES:
                raise FileError(
                    f"{self} has an unknown directive: {word}",
                    place=here,
                    hint=f"Known: {', '.join(DIRECTIVES)}. "
                    "If it is prose, begin it with a capital.",
                )
            if word == "depends":
                depends += value.split()
            elif word == "irreversible":
                if not value:
                    raise FileError(f"{self}: irreversible needs a reason", place=here)
                values[word] = value
            elif word.endswith("_timeout"):
                values[word] = _milliseconds(value)
                if values[word] is None:
                    raise FileError(
                        f"{self}: {word} is a time, not {value!r}",
                        place=here,
                        hint="Write 500ms, 5s, 10min or 2h, at most 24d, or off for no limit.",
                    )
            elif value.lower() not in ("true", "false"):
                raise FileError(f"{self}: {word} is true or false, not {value!r}", place=here)
            else:
                values[word] = value.lower() == "true"
        return Header(tuple(depends), **values)

    def find_in_header(self, word: str) -> Place | None:
        for number, line in enumerate(self._first_read[1], start=1):
            if match := re.search(rf"(?<!\S){re.escape(word)}(?!\S)", line):
                return Place(str(self), number, match.start() + 1, line)
        return None

    @cached_property
    def text(self) -> str:
        """The text as sent to PostgreSQL. Raises FileError when it is not UTF-8."""
        try:
            data = self.path.read_bytes().removeprefix(_BOM)
            text = data.decode("utf-8")
        except OSError as error:
            raise _unreadable(self.path, error) from None
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
        header = _HEADER.match(self.text)
        like = list(_LIKE_ONE.finditer(self.text, header.end() if header else 0))
        like += other_tools.MARK.finditer(self.text)
        comments = statements.parts(self.text, statements.COMMENTS) if like else ()
        starts = {start for start, _ in comments}
        for match in like:
            place = statements.place(self.text, match.start(), str(self))
            before = re.split(r"[\r\n]", self.text[: match.start()])[-1]
            if match.start() not in starts or before.strip():
                continue
            if match.re is other_tools.MARK:
                tool, hint = other_tools.of_mark(match, self.path)
                what = f"is a file of {tool}: what undoes it would run, too"
            else:
                what = "has a directive below its header, where it has no effect"
                hint = "Directives belong in the `--` lines at the top of the file."
            raise FileError(f"{self} {what}", place=place, hint=hint)
        return found

    @cached_property
    def _first_read(self) -> tuple[str, tuple[str, ...]]:
        """Hash and header lines in one pass that never keeps a whole large file in memory."""
        digest = hashlib.sha256()
        header: list[str] = []
        find_in_header = True
        blank_lines = 0
        try:
            for lines in self._blocks():
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

    def _blocks(self) -> Iterator[bytes]:
        """Yield blocks of lines without BOM and trailing space, with Unix line endings."""
        with self.path.open("rb", buffering=0) as raw:
            block = raw.read(_BLOCK)
            file = BufferedReader(raw) if len(block) == _BLOCK else None  # most files are one block
            if file and os.fstat(raw.fileno()).st_size > _LARGEST:
                raise FileError(
                    f"{self} is larger than 1 GB, the most that PostgreSQL accepts at once",
                    hint="Split it into several files.",
                )
            block = block.removeprefix(_BOM)
            while block:
                block += file.readline() if file else b""
                if b"\r" in block:
                    block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
                if b" \n" in block or b"\t\n" in block or block.endswith((b" ", b"\t")):
                    block = b"\n".join(line.rstrip(b" \t") for line in block.split(b"\n"))
                yield block
                block = file.read(_BLOCK) if file else b""


def _nearly_one(word: str) -> bool:
    """Return whether a word of a header was probably meant as a directive."""
    import difflib  # noqa: PLC0415 - only for such a word

    known = (*DIRECTIVES, "dependencies", "timeout")
    return bool(difflib.get_close_matches(re.sub("[ -]", "_", word), known, 1, 0.8))


def _milliseconds(value: str) -> int | None:
    """Return a duration in PostgreSQL's notation in milliseconds, or None for anything else."""
    match = _DURATION.fullmatch("0" if value.lower() == "off" else value)
    exact = float(match["number"]) * _IN_MS[match["unit"]] if match else inf
    if exact > _LONGEST:
        return None
    return round(exact) or ceil(exact)  # not 0 for less than one: it means no limit


def _unreadable(path: Path, error: OSError) -> FileError:
    return FileError(f"{path} cannot be read: {error.strerror}")
