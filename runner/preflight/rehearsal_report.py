"""What a rehearsal finds of each statement, in words, and the safer way if there is one. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runner.errors import RunnerError
from runner.schema.diff import Difference

_MANY_ROWS = 10_000
_BYTES_A_SECOND = (
    100 * 1024 * 1024
)  # a cautious guess at what is read or written, for a copy's sake

_REWRITTEN = (
    "every row is written anew. Safer: add a new column, fill it in batches, then change over to it"
)
_SCANNED = {
    "ACCESS EXCLUSIVE": "every row is read while nobody else can. Safer: `add constraint … not "
    "valid`, then `validate constraint` in the next file; for NOT NULL, a check (… is not null) in "
    "that way first",
    "SHARE ROW EXCLUSIVE": "every row is read while nobody can write. Safer: the reference as `not "
    "valid`, then `validate constraint` in the next file",
    "SHARE": "the index is built while nobody can write. Safer: `create index concurrently` in a "
    "file of its own with `-- transactional: false`",
}
_BATCHES = "rows stay locked until the file is done. Safer: in batches, outside of migrations"


@dataclass(frozen=True)
class Table:
    """A table that was there before, as large as it is on the target."""

    name: str
    rows: int | None  # PostgreSQL's estimate; None where it was never analyzed
    bytes: int


@dataclass(frozen=True)
class Touch:
    """What one statement did to such a table."""

    table: Table
    lock: str = ""  # the one it took, as the manual writes it; "" for none that anybody notices
    blocks: str = ""  # in words
    under: str = ""  # the lock that is held by then, which an earlier statement may have taken
    rewritten: bool = False
    scanned: bool = False  # read from end to end while writers are kept out
    rows_changed: int = 0
    held_ms: float = 0.0  # from this statement to the end of its file's transaction


@dataclass(frozen=True)
class Step:
    """One statement, and what it did. `effects` may be told together with a later statement's."""

    line: int
    text: str
    ms: float
    touches: tuple[Touch, ...] = ()
    effects: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Rehearsal:
    """One file, rehearsed; or why it was not, or what ended it."""

    id: str
    transactional: bool
    steps: tuple[Step, ...] = ()
    ms: float = 0.0
    not_run: str = ""
    error: RunnerError | None = None


def warnings(step: Step) -> Iterator[str]:
    """Yield a warning for each table that a statement is hard on; an empty one never is."""
    for touch in step.touches:
        if touch.table.bytes == 0:
            continue
        if touch.rewritten:
            yield f"{touch.table.name}: {_REWRITTEN}"
        elif touch.scanned and touch.under in _SCANNED:
            yield f"{touch.table.name}: {_SCANNED[touch.under]}"
        if touch.rows_changed > _MANY_ROWS:
            yield f"{touch.table.name}: {touch.rows_changed:,} {_BATCHES}"


def said(touch: Touch, *, on_copy: bool) -> str:
    """Say in one line what a statement did to a table, and for how long."""
    words = []
    if touch.lock:
        held = "" if on_copy else f" for {_time(touch.held_ms)}"
        words.append(f"{touch.lock} lock: {touch.blocks}{held}")
    if touch.rewritten:
        words.append(f"rewrites {touch.table.name}")
    elif touch.scanned:
        words.append(f"reads all of {touch.table.name}")
    if touch.rows_changed:
        words.append(f"changes {touch.rows_changed:,} rows of {touch.table.name}")
    guess = touch.table.bytes / _BYTES_A_SECOND * 1000
    if on_copy and guess > 1 and (touch.rewritten or touch.scanned):
        words.append(f"about {_time(guess)} at 100 MB/s")
    return f"{', '.join(words)} ({size(touch.table)})"


def size(table: Table) -> str:
    """Say how large a table is."""
    amount = float(table.bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1024 or unit == "GB":
            break
        amount /= 1024
    rows = "" if table.rows is None else f"{table.rows:,} rows, "
    return f"{rows}{amount:,.0f} {unit}"


def _time(ms: float) -> str:
    return f"{ms:,.0f} ms" if ms < 10_000 else f"{ms / 1000:,.0f} s"
