"""Describe what a dry run finds for each statement, with safer alternatives. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runner.errors import RunnerError
from runner.preflight.diff import Difference

_MANY_ROWS = 10_000
_BYTES_PER_SECOND = 100 * 1024 * 1024  # conservative guess for reading or writing a table

_REWRITTEN = "rewrites every row while reads and writes are blocked"
_SAFER_COLUMN = ". Safer: add a new column, backfill it in batches, then switch to it"
_EMPTIED = "removes every row"
_SCANNED = {
    "ACCESS EXCLUSIVE": "reads every row while reads and writes are blocked. Safer: "
    "`add constraint … not valid`, then `validate constraint` in the next file; for NOT NULL, do "
    "so with a check (… is not null) first",
    "SHARE ROW EXCLUSIVE": "reads every row while writes are blocked. Safer: add the reference as "
    "`not valid`, then `validate constraint` in the next file",
}
_INDEX = (
    "builds the index while {} are blocked. Safer: `create index concurrently` in a file of its "
    "own with `-- transactional: false`"
)
_REINDEX = (
    "builds the index while writes are blocked. Safer: `reindex … concurrently` in a file of its "
    "own with `-- transactional: false`"
)
_HIDDEN = (
    "no row was changed, and row-level security applies to the role of this run: rows that its "
    "policies hide are left as they are. If rows were meant: run the file as a role that bypasses "
    "row-level security, or, as the owner, put `alter table … no force row level security` before "
    "the statement and `force` after it"
)
_HIDDEN_ON_COPY = (
    "row-level security applies to the role of this run, and a copy has no rows: whether policies "
    "hide some is not known. `plan` on the target tries it"
)
_BYPASSES = re.compile(r"(?is)\b(?:alter|create)\s+(?:role|user)\b.*?\b(?:bypassrls|superuser)\b")
_CREATES_INDEX = re.compile(r"(?i)create\s+(?:unique\s+)?index\b")
_REINDEXES = re.compile(r"(?i)reindex\b")
_EMPTIES = re.compile(r"(?i)truncate\b")
_WHOLE_TABLE = re.compile(
    r"(?is)(?:cluster|refresh|vacuum)\b|alter\b.*\bset\s+(?:logged|unlogged|tablespace|access)\b"
)
# In the words of a constraint whose index cannot be made of rows that are not valid.
_OF_INDEX = re.compile(r"(?is)alter\b.*\badd\b.*\b(?:unique|primary\s+key|exclude)\b")
_CONSTRAINT_OF_INDEX = (
    "builds an index while reads and writes are blocked. Safer, for UNIQUE and PRIMARY KEY: "
    "`create unique index concurrently` in a file of its own with `-- transactional: false`, then "
    "`add constraint … using index` in the next file"
)
_CARRIED = (
    "reads every row. An earlier file of this dry run has locked the table more strongly, so what "
    "the statement itself blocks is not known: `plan --on scratch` tells"
)
_BATCHES = "rows stay locked until the file ends. Safer: in batches, outside of migrations"


@dataclass(frozen=True)
class Table:
    """A table that exists before the dry run, with its size on the target."""

    name: str
    rows: int | None  # PostgreSQL's estimate; None if it was never analyzed
    bytes: int


@dataclass(frozen=True)
class TableImpact:
    """What one statement did to an existing table."""

    table: Table
    lock: str = ""  # a new lock, as PostgreSQL's manual writes it; "" if it blocks no other session
    blocks: str = ""  # what the new lock blocks, in words
    under: str = ""  # the strongest lock held, also of earlier statements
    carried: bool = False  # an earlier file holds a lock, which hides that of this statement
    rewritten: bool = False
    scanned: bool = False  # read completely while writes are blocked
    rows_changed: int = 0
    no_rows_seen: bool = False  # no row was changed under row-level security
    held_ms: float = 0.0  # from the start of this statement to the end of its transaction

    @property
    def is_worth_showing(self) -> bool:
        """Whether the statement did anything that concerns others, or nothing by mistake."""
        changed = self.rewritten or self.scanned or self.rows_changed
        return bool(self.lock or changed or self.no_rows_seen)


@dataclass(frozen=True)
class Step:
    """One statement, and what it did.

    While other sessions are blocked, the catalog is not compared after each statement: `effects`
    may include those of statements from line `effects_from`.
    """

    line: int
    text: str
    ms: float
    impacts: tuple[TableImpact, ...] = ()
    effects: tuple[Difference, ...] = ()
    widens: tuple[str, ...] = ()  # of each effect: "widens access", "may widen access", or ""
    effects_from: int = 0


@dataclass(frozen=True)
class Rehearsal:
    """The dry run of one file, the error that ended it, or why there was none."""

    id: str
    transactional: bool
    steps: tuple[Step, ...] = ()
    ms: float = 0.0
    not_run: str = ""
    error: RunnerError | None = None


def warnings(step: Step, *, on_copy: bool = False) -> Iterator[str]:
    """Yield a warning for each non-empty table that is rewritten, scanned, or largely changed."""
    for impact in step.impacts:
        if impact.table.bytes == 0:
            continue
        if impact.no_rows_seen:
            yield f"{impact.table.name}: {_HIDDEN_ON_COPY if on_copy else _HIDDEN}"
        if impact.rewritten and _EMPTIES.match(step.text):
            yield f"{impact.table.name}: {_EMPTIED}"
        elif impact.rewritten:
            safer = "" if _WHOLE_TABLE.match(step.text) else _SAFER_COLUMN
            yield f"{impact.table.name}: {_REWRITTEN}{safer}"
        elif impact.scanned and (advice := _of_scan(step, impact)):
            yield f"{impact.table.name}: {advice}"
        if impact.rows_changed > _MANY_ROWS:
            yield f"{impact.table.name}: {impact.rows_changed:,} {_BATCHES}"
    if _BYPASSES.search(step.text):
        yield "no policy applies to a role with BYPASSRLS or SUPERUSER"


def _of_scan(step: Step, impact: TableImpact) -> str:
    """Return what to say of a statement that reads a table while others wait; "" for nothing."""
    if impact.carried:
        return _CARRIED
    if _OF_INDEX.match(step.text):
        return _CONSTRAINT_OF_INDEX
    if _CREATES_INDEX.match(step.text):
        return _INDEX.format("writes" if impact.under == "SHARE" else "reads and writes")
    if _REINDEXES.match(step.text):
        return _REINDEX
    return _INDEX.format("writes") if impact.under == "SHARE" else _SCANNED.get(impact.under, "")


def describe(impact: TableImpact, *, on_copy: bool) -> str:
    """Return one line about what a statement did to a table, and for how long.

    On a copy, which has no rows, the time is a guess from the size of the target's table.
    """
    words = []
    if impact.lock:
        held = "" if on_copy else f" for {_time(impact.held_ms)}"
        words.append(f"{impact.lock} lock: {impact.blocks}{held}")
    if impact.rewritten:
        words.append(f"rewrites {impact.table.name}")
    elif impact.scanned:
        words.append(f"reads all of {impact.table.name}")
    if impact.no_rows_seen:
        none = "tries to change rows" if on_copy else "changes no row"
        words.append(f"{none} of {impact.table.name}")
    if impact.rows_changed:
        rows = "1 row" if impact.rows_changed == 1 else f"{impact.rows_changed:,} rows"
        words.append(f"changes {rows} of {impact.table.name}")
    guess = impact.table.bytes / _BYTES_PER_SECOND * 1000
    if on_copy and guess > 1 and (impact.rewritten or impact.scanned):
        words.append(f"about {_time(guess)} at 100 MB/s")
    return f"{', '.join(words)} (a table of {size(impact.table)})"


def size(table: Table) -> str:
    """Return the size of a table: its estimated rows, if known, and its bytes."""
    amount = float(table.bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1024 or unit == "GB":
            break
        amount /= 1024
    rows = "" if table.rows is None else f"{table.rows:,} rows, "
    return f"{rows}{amount:,.0f} {unit}"


def _time(ms: float) -> str:
    return f"{ms:,.0f} ms" if ms < 10_000 else f"{ms / 1000:,.0f} s"
