"""tenant export, erase and import: one tenant's rows, and no other."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from checkout import Checkout, seeded_checkout
from conftest import Database, Server, one_server

from runner import settings
from runner.errors import NO_CHANGES, TERMINATED, Interrupted, RunnerError, UsageError
from runner.events import Event, Note, Report, Working, silent
from runner.postgres import signals
from runner.tenant import command

HERE = Path(__file__).parent
ODD_LOAF = "coddloaf00000000000000000"


def rows(database: Database) -> set[tuple[str, ...]]:
    """Return every row of every table as text, with its place and the transaction that wrote it."""
    with database.connect() as conn:
        names = conn.execute(
            "select format('%I.%I', n.nspname, c.relname) from pg_class as c"
            " join pg_namespace as n on n.oid = c.relnamespace"
            " where c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema)'"
        ).fetchall()
        return {
            (name, *row)
            for (name,) in names
            for row in conn.execute(
                f"select row(t.*)::text, t.ctid::text, t.xmin::text from {name} as t"
            )
        }


def texts(found: set[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return sorted(row[:2] for row in found)


@pytest.fixture
def ours(tmp_path: Path, database: Database) -> Checkout:
    """The schema of sql/ with its seeds."""
    return seeded_checkout(tmp_path, database)


@pytest.fixture(scope="module")
def _farms(server: Server) -> Iterator[str]:
    with server.database() as made:
        with made.connect(autocommit=True) as conn:
            conn.execute((HERE / "farms.sql").read_bytes())
        yield made.name


@pytest.fixture
def farms(tmp_path: Path, _farms: str, new_database: Callable[..., Database]) -> Checkout:
    """The schema of farms.sql with its rows."""
    checkout = Checkout(tmp_path, new_database(of=_farms))
    checkout.file("sql/isolation.toml", (HERE / "farms.toml").read_text(encoding="utf-8"))
    return checkout


def act(
    checkout: Checkout, action: str, what: str, report: Report = silent, /, **options: str
) -> dict[str, Any]:
    """Run an action in this process and return its document; paths are below the folder."""
    home = str(checkout.folder / ".runner")
    where = settings.load(
        sql_dir=str(checkout.folder / "sql"), environ={**checkout.environ, "RUNNER_HOME": home}
    )
    paths = {"out": str(checkout.folder / options["out"])} if "out" in options else {}
    subject = str(checkout.folder / what) if action == "import" else what
    with checkout.migrator(report) as migrator:
        return command.run(migrator, where, action=action, tenant=subject, **{**options, **paths})[
            1
        ]


def exported(checkout: Checkout, tenant: str) -> Path:
    act(checkout, "export", tenant, out="out")
    return checkout.folder / "out"


def test_round_trip_leaves_every_other_row_as_it_was(ours: Checkout) -> None:
    _round_trip(ours, ODD_LOAF, "Odd Loaf", "coddloaf")


def test_round_trip_on_another_schema_leaves_every_other_row_as_it_was(farms: Checkout) -> None:
    """With circles, people of several tenants, partitions and rows found by references alone."""
    _round_trip(farms, "1", "Low Farm", "")


def _round_trip(checkout: Checkout, tenant: str, name: str, mark: str) -> None:
    """Export, erase, import; every own row has `mark` in its text."""
    assert checkout.database
    before = rows(checkout.database)
    folder = exported(checkout, tenant)
    assert rows(checkout.database) == before
    act(checkout, "erase", tenant, yes_erase=name, out="receipt")
    others = rows(checkout.database)
    assert others < before
    own = before - others
    assert all(mark in text for _, text, *_ in own)
    receipt = json.loads((checkout.folder / "receipt").read_text(encoding="utf-8"))
    assert sum(receipt["erased"].values()) == len(own)
    assert name not in json.dumps(receipt)
    act(checkout, "import", "out")
    after = rows(checkout.database)
    assert texts(after) == texts(before)
    assert others <= after
    act(checkout, "export", tenant, out="again")
    for file in folder.glob("*.jsonl"):
        assert file.read_bytes() == (checkout.folder / "again" / file.name).read_bytes()


@pytest.fixture
def folder(farms: Checkout) -> Path:
    """An export of a farm, in a database that does not have it any more."""
    found = exported(farms, "1")
    act(farms, "erase", "1", yes_erase="Low Farm")
    return found


@one_server
def test_bad_input_is_named_and_nothing_is_changed(farms: Checkout, folder: Path) -> None:
    """Each export that is not whole, and each word that is wrong."""
    assert farms.database
    before = rows(farms.database)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    hands = next(t for t in manifest["tables"] if t["table"] == "farms.hands")

    def changed(name: str, **files: str) -> Path:
        copy = farms.folder / name
        shutil.copytree(folder, copy)
        for file, text in files.items():
            (copy / {"manifest": "manifest.json"}.get(file, hands["file"])).write_text(text)
        return copy

    def resigned(name: str, text: str, columns: dict[str, str] | None = None) -> Path:
        """With a file of hands that fits its manifest."""
        new = {**hands, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        new["rows"], new["columns"] = text.count("\n"), columns or hands["columns"]
        tables = [new if t == hands else t for t in manifest["tables"]]
        total = {"tables": len(tables), "rows": sum(t["rows"] for t in tables)}
        new_manifest = {**manifest, "tables": tables, "total": total}
        return changed(name, manifest=json.dumps(new_manifest), hands=text)

    (changed("half") / "manifest.json").unlink()
    (changed("missing") / hands["file"]).unlink()
    changed("tampered", hands='{"farm_id": "2"}\n')
    changed("garbled", manifest='{"format": 1}')
    changed("newer", manifest=json.dumps({**manifest, "format": 2}))
    above = {**manifest, "tables": [{**hands, "file": "../x"}]}
    changed("above", manifest=json.dumps(above))
    resigned("not_rows", "[1]\n")
    person = '"person_id": "00000000-0000-4000-8000-000000000001", "rank": "x"'
    resigned("of_another", f'{{"farm_id": "2", {person}}}\n')
    resigned("no_value", f'{{"farm_id": "one", {person}}}\n')
    resigned("other_columns", "", {**hands["columns"], "wage": "money"})
    changed("deep", manifest="[" * 200_000)
    resigned("deep_row", "[" * 200_000)
    for name, text in (("nul", "x\0"), ("half_pair", "x\ud800")):
        named = {**manifest, "tables": [{**hands, "file": text}]}
        changed(f"{name}_file", manifest=json.dumps(named))
        changed(f"{name}_tenant", manifest=json.dumps({**manifest, "tenant": text}))
        row = json.loads(f'{{"farm_id": "1", {person}}}')
        good, bad = json.dumps(row), json.dumps({**row, "rank": text})
        resigned(f"{name}_row", f"{good}\n{bad}\n")
    changed("no_tables", manifest=json.dumps({**manifest, "tables": []}))
    changed("fewer", manifest=json.dumps({**manifest, "tables": manifest["tables"][:-1]}))
    (changed("pipe") / hands["file"]).unlink()
    os.mkfifo(farms.folder / "pipe" / hands["file"])
    shutil.copytree(folder, farms.folder / "full")
    (farms.folder / "empty").mkdir()
    for name in ("empty", "nothing"):
        (farms.folder / f"link_{name}").symlink_to(farms.folder / name)
    for action, what, options, error in (
        ("import", "nowhere", {}, "There is no folder nowhere"),
        (
            "import",
            "half",
            {},
            "half has no manifest.json: it is no export, or one that did not fin",
        ),
        ("import", "missing", {}, f"missing/{hands['file']} cannot be read"),
        ("import", "tampered", {}, f"tampered/{hands['file']} was changed since it was exported"),
        ("import", "garbled", {}, "garbled/manifest.json is not a manifest of format 1: 'tables'"),
        ("import", "newer", {}, "newer/manifest.json is not a manifest of format 1: format 2"),
        ("import", "above", {}, "above/manifest.json is not a manifest of format 1: an entry of"),
        ("import", "not_rows", {}, f"not_rows/{hands['file']}:1 is not a row of farms.hands"),
        ("import", "of_another", {}, "The rows of farms.hands would not be what was exported"),
        ("import", "no_value", {}, 'invalid input syntax for type integer: "one"'),
        ("import", "other_columns", {}, "farms.hands.wage is money in the export, and missing in"),
        (
            "import",
            "deep",
            {},
            "deep/manifest.json is not a manifest of format 1: maximum recursion",
        ),
        ("import", "deep_row", {}, f"deep_row/{hands['file']}:1 is not a row of farms.hands"),
        *(("import", f"{n}_file", {}, "entry of tables") for n in ("nul", "half_pair")),
        *(("import", f"{n}_tenant", {}, "one of tenant, at, ") for n in ("nul", "half_pair")),
        *(
            ("import", f"{n}_row", {}, f"{n}_row/{hands['file']}:2 is not a row of farms.hands")
            for n in ("nul", "half_pair")
        ),
        (
            "import",
            "no_tables",
            {},
            "no_tables/manifest.json is not a manifest of format 1: tables",
        ),
        ("import", "fewer", {}, "fewer/manifest.json is not a manifest of format 1: tables has"),
        ("import", "pipe", {}, f"pipe/{hands['file']} is not a regular file"),
        ("import", "out", {"out": "x"}, "tenant import takes no --out"),
        ("export", "2", {"out": "full"}, "full exists already"),
        ("export", "2", {"out": "link_empty"}, "link_empty exists already"),
        ("export", "2", {"out": "link_nothing"}, "link_nothing exists already"),
        ("export", "2", {}, "tenant export needs a folder"),
        ("export", "2", {"out": "new", "yes_erase": "2"}, "tenant export takes no --yes-erase"),
        ("export", "7", {"out": "new"}, "There is no tenant '7' in farms.farms"),
        ("export", "high farm", {"out": "new"}, "Did you mean the one whose id is 2?"),
        ("erase", "7", {"yes_erase": "7"}, "There is no tenant '7' in farms.farms"),
        ("erase", "2", {}, "This would erase 'High Farm': "),
        ("erase", "2", {"yes_erase": "2"}, "'2' is not its name. This would erase 'High Farm': "),
        ("erase", "2", {"yes_erase": "2"}, "To confirm, type its name: --yes-erase 'High Farm'"),
        ("erase", "2", {"yes_erase": "High Farm", "out": "full"}, "The receipt full cannot be wr"),
    ):
        with pytest.raises(RunnerError) as raised:
            act(farms, action, what, **options)
        said = f"{raised.value.message} {raised.value.hint}"
        assert error in said.replace(f"{farms.folder}/", ""), (action, what, said)
        assert raised.value.state == NO_CHANGES
    assert rows(farms.database) == before
    assert not (farms.folder / "new").exists()


@one_server
@pytest.mark.parametrize(
    ("change", "hook", "error"),
    [
        (
            "alter table farms.journal drop constraint journal_farm_id_fkey;"
            " create rule kept as on delete to farms.journal do instead nothing",
            "",
            "Rows of the tenant remain in farms.journal",
        ),
        (
            "create function farms.stop() returns trigger language plpgsql as"
            " $$ begin raise 'append-only'; end $$;"
            " create trigger stop before delete on farms.journal"
            " for each row execute function farms.stop()",
            "alter table farms.journal disable trigger stop",
            "farms.journal: append-only",
        ),
        (
            "update farms.people set home_farm = 1 where nickname = 'Cy'",
            "update farms.people set home_farm = null where home_farm = :'tenant'",
            "This would change rows that are not the tenant's, in farms.people",
        ),
        (
            "alter table farms.visits drop constraint visits_follows_fkey,"
            " add foreign key (follows) references farms.visits on delete cascade;"
            " insert into farms.visits (field_id, follows) values (2, 1)",
            "delete from farms.visits where follows = 1 and field_id = 2",
            "This would change rows that are not the tenant's, in farms.visits",
        ),
        (
            "insert into farms.visits (field_id, follows) values (2, 1)",
            "update farms.visits set follows = null where field_id = 2",
            'farms.visits: update or delete on table "visits" violates foreign key',
        ),
    ],
    ids=["rule", "append-only", "set-null", "cascade", "reference"],
)
def test_erase_that_would_touch_another_row_is_refused(
    farms: Checkout, change: str, hook: str, error: str
) -> None:
    """Unless isolation/erase.sql permits it."""
    farms.do(change)
    assert farms.database
    before = rows(farms.database)
    with pytest.raises(RunnerError, match=re.escape(error)) as raised:
        act(farms, "erase", "1", yes_erase="Low Farm")
    assert raised.value.state == NO_CHANGES
    assert rows(farms.database) == before
    assert not list(farms.folder.glob(".runner/receipts/*"))
    if hook:
        farms.file("sql/isolation/erase.sql", f"{hook};")
        erased = act(farms, "erase", "1", yes_erase="Low Farm")
        receipt = json.loads(Path(erased["file"]).read_text(encoding="utf-8"))
        assert receipt == asdict(erased["receipt"])


@one_server
def test_import_into_another_database_keeps_ids_and_moves_sequences(
    farms: Checkout, new_database: Callable[..., Database]
) -> None:
    """Rows of no tenant that the export needs are added where they are missing, and else kept."""
    farms.do(
        "create sequence farms.tags minvalue 1 maxvalue 9 owned by farms.animals.notes;"
        " create table farms.stalls (farm_id int not null, id int primary key, low int);"
        " create sequence farms.stall_ids maxvalue 9 owned by farms.stalls.id;"
        " create sequence farms.low_ids increment -1 owned by farms.stalls.low;"
        " insert into farms.stalls values (1, 5, -7), (1, 100, -2)"
    )
    folder = exported(farms, "1")
    other = Checkout(farms.folder, new_database(of=farms.database.name if farms.database else None))
    other.do(
        "truncate farms.farms, farms.hands, farms.fields, farms.animals, farms.visits,"
        " farms.photos, farms.journal, farms.people, farms.breeds, farms.stalls restart identity;"
        " insert into farms.breeds values ('auroch', 'hen')"
    )
    act(other, "import", folder.name)
    assert other.rows("select name, kind, parent from farms.breeds order by name") == [
        ("angus", "cow", "auroch"),
        ("auroch", "hen", None),
    ]
    people = other.rows("select nickname, home_farm from farms.people order by nickname")
    assert people == [("Ana", None), ("Bo", None), ("Cy", None)]
    assert other.value("insert into farms.farms (name) values ('New') returning id") == 2
    assert (
        other.value(
            "insert into farms.fields (farm_id, outline, area) values (2, '{}', 1) returning id"
        )
        == 4
    )
    numbers = "select nextval('farms.tags'), nextval('farms.stall_ids'), nextval('farms.low_ids')"
    assert other.rows(numbers) == [(1, 6, -8)]
    states = "select tgname, tgenabled::text from pg_trigger where not tgisinternal order by 1"
    assert other.rows(states) == farms.rows(states)
    circle = "select condeferrable from pg_constraint where conname = 'best_field'"
    assert other.value(circle) is False


@one_server
@pytest.mark.parametrize(
    ("change", "error"),
    [
        (
            "grant usage on schema farms to stranger; alter table farms.journal owner to stranger",
            "farms.journal would run code of stranger as a superuser",
        ),
        (
            "alter function farms.record() owner to stranger",
            "farms.fields would run code of stranger as a superuser",
        ),
        (
            "grant create on schema public to stranger; set role stranger;"
            " create function public.length(text) returns int language sql return 0; reset role",
            "public.length",
        ),
    ],
    ids=["table", "trigger", "shadow"],
)
def test_superuser_is_refused_where_a_table_would_be_left_out(
    farms: Checkout, change: str, error: str
) -> None:
    """Because its rows would be missing in an export, and stay after an erase."""
    assert farms.database
    role = f"stranger_{farms.database.name}"
    farms.do(f"create role {role}; {change.replace('stranger', role)}")
    before = rows(farms.database)
    for action, options in (("export", {"out": "new"}), ("erase", {"yes_erase": "Low Farm"})):
        with pytest.raises(UsageError, match=error.replace("stranger", role)) as raised:
            act(farms, action, "1", **options)
        assert "Connect as the owner of the tables" in raised.value.hint
    assert rows(farms.database) == before
    assert not (farms.folder / "new").exists()
    assert not list(farms.folder.glob(".runner/receipts/*"))


@one_server
def test_values_are_compared_by_the_equality_of_their_type(farms: Checkout) -> None:
    """Not as text: a type made like citext, another without a cast to text, and references."""
    farms.do((HERE / "own_types.sql").read_text(encoding="utf-8"))
    farms.file("sql/isolation.toml", '[tenant]\ntable = "own.shops"\ncolumn = "shop"\n')
    found = exported(farms, "Acme")
    counts = {
        table["table"]: table["rows"]
        for table in json.loads((found / "manifest.json").read_text(encoding="utf-8"))["tables"]
    }
    own = {f"own.{name}": 2 for name in ("items", "orders", "parts", "labels")}
    assert counts == {"own.shops": 1, "own.kinds": 1, **own}
    before = texts(rows(farms.database)) if farms.database else []
    erased = act(farms, "erase", "Acme", yes_erase="Acme")["receipt"].erased
    assert erased == {"own.shops": 1, **own}
    act(farms, "import", "out")
    assert farms.database
    assert texts(rows(farms.database)) == before
    farms.do("drop table own.labels, own.parts, own.orders, own.items, own.shops, own.kinds")
    farms.do(
        "create table own.trees (id int primary key, path own.path not null);"
        " insert into own.trees values (1, 'a.b'), (2, 'a.c')"
    )
    farms.file("sql/isolation.toml", '[tenant]\ncolumn = "path"\n')
    assert act(farms, "export", "a.b", out="trees")["tables"][0].rows == 1


@one_server
def test_action_that_is_interrupted_says_what_was_changed(farms: Checkout) -> None:
    """And what was written meanwhile to the folder of an export stays."""
    assert farms.database
    before, notes = rows(farms.database), list[str]()

    def interrupt(event: Event) -> None:
        if isinstance(event, Working) and event.text.startswith(("reading farms", "erasing")):
            raise signals.Interrupt(signal.SIGTERM)

    def race(event: Event) -> None:
        if isinstance(event, Note):
            notes.append(event.text)
        elif isinstance(event, Working):
            (farms.folder / "out/other").mkdir(parents=True, exist_ok=True)

    for action, options in (("export", {"out": "out"}), ("erase", {"yes_erase": "Low Farm"})):
        with pytest.raises(Interrupted) as raised:
            act(farms, action, "1", interrupt, **options)
        assert (raised.value.state, raised.value.exit_code) == (NO_CHANGES, TERMINATED)
    assert not list(farms.folder.glob(".out.*"))
    (farms.folder / ".out.abcd1234").mkdir()
    with pytest.raises(UsageError, match="out exists already"):
        act(farms, "export", "1", race, out="out")
    assert [note for note in notes if ".out.abcd1234 is of an export that was killed" in note]
    assert [path.name for path in (farms.folder / "out").iterdir()] == ["other"]
    assert rows(farms.database) == before
