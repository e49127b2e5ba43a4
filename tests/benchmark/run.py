"""Run the benchmark: cost of the runner and the schema, compared with a measured minimum.

    python tests/benchmark/run.py [--section NAME …] [--files N,N] [--orgs N,N]
        [--tables N,N] [--rows N,N] [--rounds N] [--out FILE]

Commands are run in interleaved rounds; figures are medians, and ratios are taken within a round,
because machines are noisy. Every result is checked. The defaults take a few minutes on two cores;
do not run anything else at the same time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import applying
import growth
import helper
import large
import scaling
import second_day
import sharded
import tax
from measure import machine

from runner import embedded


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--section", action="append", choices=SECTIONS, help="may be repeated; default: all"
    )
    parser.add_argument(
        "--files", default="100,1000", help="numbers of migrations, comma-separated"
    )
    parser.add_argument("--orgs", default="1000,10000", help="tax, scale: numbers of organizations")
    parser.add_argument("--tables", default="6,60", help="growth: numbers of tenant tables")
    parser.add_argument("--rows", default="1000,100000", help="growth: total numbers of rows")
    parser.add_argument("--rounds", type=int, default=3, help="how often to repeat")
    parser.add_argument(
        "--projects",
        type=int,
        default=100_000,
        help="tax, helper: total number of projects; citus: ten times",
    )
    parser.add_argument(
        "--postgres", type=int, default=embedded.VERSION, help="tax, helper: 18 or 16"
    )
    parser.add_argument("--out", type=Path, help="also write the Markdown to this file")
    options = parser.parse_args()
    for name in ("files", "orgs", "tables", "rows"):
        setattr(options, name, [int(part) for part in getattr(options, name).split(",")])
    pieces = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine()}, embedded PostgreSQL "
        f"{embedded.VERSION}, by `python tests/benchmark/run.py {' '.join(sys.argv[1:])}`.\n"
    ]
    for name in options.section or SECTIONS:
        title, section = SECTIONS[name]
        pieces.append(f"## {title}\n\n{section(options)}")
    text = "\n".join(pieces)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


Section = Callable[[argparse.Namespace], str]
SECTIONS: dict[str, tuple[str, Section]] = {
    "apply": (
        "Applying files",
        lambda o: applying.apply(o.files, o.rounds, say, applying.DURABLE),
    ),
    "slow": (
        "Applying files when a commit takes 10 ms",
        lambda o: applying.apply([o.files[0]], o.rounds, say, applying.SLOW),
    ),
    "nothing": (
        "Applying with nothing to do",
        lambda o: applying.nothing_to_do(o.files, o.rounds, say),
    ),
    "large": ("Applying one large file", lambda o: large.apply(o.rounds, say)),
    "tax": (
        "Overhead of row-level security, guard triggers and audit triggers",
        lambda o: tax.tax(o.orgs, o.projects, o.rounds, o.postgres, say),
    ),
    "helper": (
        "What each part of a helper costs a point read",
        lambda o: helper.parts(o.projects, o.rounds, o.postgres, say),
    ),
    "scale": ("Creating a large data set", lambda o: scaling.make(o.orgs, o.rounds, say)),
    "day": (
        "What a change costs with many files, and its limits",
        lambda o: second_day.table_of_limits(o.rounds, say),
    ),
    "growth": (
        "Growth with files, tables and rows",
        lambda o: "\n".join(
            [
                growth.with_files([10, *o.files], o.rounds, say),
                growth.with_new_files([10, 20, 40], say),
                growth.with_tables(o.tables, o.rounds, say),
                growth.with_rows(o.rows, o.rounds, say),
            ]
        ),
    ),
    "citus": (
        "Citus, compared with plain PostgreSQL",
        lambda o: sharded.compare(o.orgs[0], o.projects // 10, o.rounds, say),
    ),
    "help": ("`--help`", lambda o: applying.help_(o.rounds)),
    "start": ("First start", lambda o: applying.start(o.rounds, say)),
}

if __name__ == "__main__":
    main()
