"""Files outside a transaction that failed: how far they came, and what they left."""

from __future__ import annotations

from pathlib import Path

from checkout import Checkout
from conftest import Database, one_server


@one_server
def test_status_says_how_far_a_failed_file_came_and_what_it_left(
    tmp_path: Path, empty_database: Database
) -> None:
    checkout = Checkout(tmp_path, empty_database)
    checkout.write(
        _0001_shops="create table public.shops (id int); insert into public.shops values (1), (1);",
        _0002_out="-- transactional: false\n"
        "comment on table public.shops is 'x';\n"
        "create unique index concurrently if not exists one on public.shops (id);\n"
        "analyze public.shops;",
        _0003_out="-- transactional: false\nanalyze public.shops;",
    )
    result = checkout.runner("apply")
    assert result.code == 1
    left = "Its first statement is done. It left the index public.one, which is not valid."
    assert left in result.err
    result = checkout.runner("status")
    assert result.code == 2
    assert (
        "0002_out: interrupted. Its first statement is done. Invalid, so it costs writes and "
        "serves no reads: index public.one. apply continues there"
    ) in result.out
    assert "0003_out: " not in result.out
    checkout.do("truncate public.shops")
    assert checkout.runner("apply").code == 0
    found = checkout.runner("status", "--json").document
    assert (found["clean"], [m["interrupted"] for m in found["migrations"]]) == (True, [None] * 3)
