"""What status says of single migrations."""

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
    file = tmp_path / "sql/0002_out.sql"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("comment on table public.shops is 'x';", ""), encoding="utf-8")
    assert checkout.runner("apply", "--to", "1").code == 0
    assert checkout.runner("apply").code == 1
    assert "changed outside migrations" not in checkout.runner("status").out
    file.write_text(text, encoding="utf-8")
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
    # A file that builds another index now leaves the invalid one behind.
    file.write_text(text.replace(" one on ", " two on "), encoding="utf-8")
    assert "index public.one is not valid, and no pending" in checkout.runner("status").err
    file.write_text(text, encoding="utf-8")
    checkout.do("truncate public.shops")
    assert checkout.runner("apply").code == 0
    found = checkout.runner("status", "--json").document
    assert (found["clean"], [m["note"] for m in found["migrations"]]) == (True, [None] * 3)


@one_server
def test_renumbered_file_is_recorded_and_not_run_again(
    tmp_path: Path, empty_database: Database
) -> None:
    checkout = Checkout(tmp_path, empty_database)
    checkout.write(
        _0001_a="create table a ();",
        _0001_a__rollback="drop table a;",
        _0002_b="-- 0002_b\ncreate table b ();",
    )
    checkout.apply()
    checkout.file("sql/0002_b.sql", "create table other ();").rename(tmp_path / "sql/0002_c.sql")
    checkout.write(_0003_b="-- 0003_b\ncreate table b ();", _0003_b__rollback="drop table b;")
    for command in ("apply", "plan"):
        result = checkout.runner(command)
        assert result.code == 1
        assert "another number now, with the same code: 0002_b is 0003_b now" in result.err
        assert "python -m runner apply --renumbered" in result.err
    assert "0002_b: is 0003_b now, with the same code" in checkout.runner("status").out
    result = checkout.runner("apply", "--renumbered", "--out-of-order")
    assert result.code == 0, result.err
    assert checkout.applied() == ["0001_a", "0002_c", "0003_b"]
    # A missing one does not block the rollback of others.
    (tmp_path / "sql/0003_b.sql").unlink()
    (tmp_path / "sql/0003_b.rollback.sql").unlink()
    checkout.write(_0002_c__rollback="drop table other;")
    result = checkout.runner("rollback")
    assert result.code == 0, result.err
    assert "0003_b stays applied: its file is not here" in result.err
    assert checkout.applied() == ["0001_a", "0003_b"]


@one_server
def test_a_locked_table_is_named_and_not_waited_for(
    tmp_path: Path, empty_database: Database
) -> None:
    checkout = Checkout(tmp_path, empty_database)
    checkout.write(
        _0001_shops="create table public.shops (id int check (id > 0), at date default now());",
    )
    checkout.apply()
    checkout.write(_0002_more="alter table public.shops add column more int;")
    with empty_database.connect() as other:
        other.execute("lock table public.shops in access exclusive mode")
        pid = other.info.backend_pid
        for on in ("target", "scratch"):  # which read the sizes of the tables
            result = checkout.runner("plan", "--on", on)
            assert (result.code, f"locked by pid {pid}" in result.err) == (3, True), result.err
        checkout.do("create table by_hand ()")  # so that the catalog has to be read
        status = checkout.runner("status")
        assert status.code == 2
        said = f"looked for. The catalog cannot be read: shops is locked by pid {pid} ("
        assert said in status.err.replace("public.", "")
        assert "pending  0002_more" in status.out
        results = {
            words: checkout.runner(*words.split())
            for words in ("plan", "types", "apply --busy-wait 1")
        }
    assert {words: result.code for words, result in results.items()} == {
        "plan": 3,
        "types": 1,
        "apply --busy-wait 1": 1,
    }
    assert f"locked by pid {pid}" in results["plan"].err
    assert "another session holds a lock" in results["types"].err.lower()
    assert f"held by pid {pid}" in results["apply --busy-wait 1"].err
    assert not [result for result in results.values() if "lost" in result.err]
