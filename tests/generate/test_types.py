"""Generated row types match the rows that drivers return, and pass strict type checkers."""

from __future__ import annotations

import ast
import errno
import json
import os
import re
import shutil
import subprocess
import sys
import types
from dataclasses import fields
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from checkout import ROOT, Checkout
from conftest import Database
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from runner.errors import UsageError
from runner.generate import output
from runner.generate import types as rowtypes
from runner.generate.schema_reader import Column, Relation, Schema, Type
from runner.generate.types import python, typescript
from runner.generate.types.names import class_name, class_names, singular
from runner.migrate.migrator import Migrator
from runner.migrate.seeds import load
from runner.migrate.seeds import read as seeds

one_server = pytest.mark.parametrize("server", ["pg18"], indirect=True)
CLASSES = {
    "organizations": "Organization",
    "users": "User",
    "projects": "Project",
    "workflows": "Workflow",
    "ai_agents": "AiAgent",
    "audit_logs": "AuditLog",
}

# Every kind of type, and a value of each.
VALUES = {
    "text": "'a'", "varchar(9)": "'a'", "char(3)": "'a'", "name": "'a'", '"char"': "'a'",
    "smallint": "1", "integer": "2", "bigint": "9007199254740993", "oid": "3", "money": "1",
    "real": "1.5", "double precision": "2.5", "numeric(6, 2)": "1.50", "boolean": "true",
    "bytea": "'\\xff'", "uuid": "gen_random_uuid()", "json": "'[1]'", "jsonb": "'\"a\"'",
    "date": "current_date", "time": "'12:00'", "timetz": "'12:00+01'",
    "timestamp": "now()", "timestamptz": "now()", "interval": "'1 day'",
    "inet": "'10.0.0.1/8'", "cidr": "'10.0.0.0/8'", "macaddr": "'08:00:2b:01:02:03'",
    "tsvector": "'a b'", "point": "'(1,2)'",
    "int4range": "'[1,2)'", "int8range": "'[1,2)'", "numrange": "'[1,2)'", "tsrange": "'[today,)'",
    "tstzrange": "'[today,)'", "daterange": "'[today,)'", "int4multirange": "'{[1,2)}'",
    "int8multirange": "'{[1,2)}'", "nummultirange": "'{[1,2)}'", "tsmultirange": "'{[today,)}'",
    "tstzmultirange": "'{[today,)}'", "datemultirange": "'{[today,)}'",
    "integer[]": "'{1}'", "text[]": "'{a,b}'", "jsonb[]": "array['{}'::jsonb]",
    "numeric[]": "'{1.5}'", "timestamptz[]": "array[now()]", "point[]": "array[point(1, 2)]",
    "int4range[]": "array[int4range(1, 2)]",
    "mood": "'so-so'", "mood[]": "'{1st,\"\"}'", "mood_d": "'1st'", "far.mood": "'far'",
    "score": "1", "score[]": "'{1}'", "many": "'{1,2}'",
    "pair": "row(1, 'so-so', row(2, 3, 4, 'class'))", "pair[]": "array[row(1, null, null)::pair]",
    "floats": "'[1,2)'", "floats[]": "'{\"[1,2)\"}'",
}  # fmt: skip
JSON = {"json", "jsonb", "jsonb[]"}
ZOO = r"""
    create schema far;
    create type far.mood as enum ('far');
    create type mood as enum (
        'so-so', '1st', '', 'class', 'CLASS', 'naïve', 'say "hi" \', '+', '→'
    );
    create type nothing as enum ();
    create domain mood_d as mood;
    create domain score as int not null check (value > 0);
    create domain many as int[];
    create type floats as range (subtype = float8);
    create type inner_pair as (n score, count int, "_x" int, "class" mood);
    create type pair as (a int, b mood, c inner_pair);
    comment on type pair is 'Two, and "more".';

    create table odd_names (
        "class" int not null, class_ int, "def" text, "two words" int, "1st" int, "__x" text,
        "ﬁ" int, "größe" int, self int, cls int, "_" int, "a*/b" int, "constructor" int, "new" int,
        "date" date, "time" timestamptz, "datetime" date, "list" int[], "int" bigint, "str" text,
        "dict" jsonb check (jsonb_typeof("dict") = 'object'), "type" text, "Any" json, "Mood" mood
    );
    comment on column odd_names.self is 'one
          two */ ""three""
    \ four';
    create table status (); create table statuses (); create table addresses ();
    create table news (); create table connections (); create table mood_ds ();
    create table nones (); create table "2fas" (); create table "OrderItems" ();
    create table "!" ();
    comment on table connections is 'Ends in a "';
"""


@pytest.fixture
def zoo(empty_database: Database) -> Database:
    """Return a database with a column of every kind of type, and difficult names."""
    # The domain score is itself not null.
    columns = [f"c{n} {t}{'' if t == 'score' else ' not null'}" for n, t in enumerate(VALUES)]
    columns += [f"n{n} {t}" for n, t in enumerate(VALUES) if t != "score"]
    with empty_database.connect(autocommit=True) as conn:
        for statement in (
            ZOO,
            f"create table beasts ({', '.join(columns)})",
            f"insert into beasts values ({', '.join(VALUES.values())})",
            "create view pens as select b as beast, b.* from beasts as b",
        ):
            conn.execute(statement.encode())
    return empty_database


@pytest.fixture
def seeded(database: Database) -> Database:
    with database.connect(autocommit=True) as conn:
        migrator = Migrator(conn)
        with migrator.lock():
            load(migrator, seeds(ROOT / "seeds"))
    return database


def written(database: Database, language: str = "python", schema: str = "public") -> str:
    with database.connect(autocommit=True) as conn:
        return rowtypes.write(conn, schema, language)


def loaded(text: str) -> types.ModuleType:
    """Return a generated module as if it were imported."""
    module = types.ModuleType("written_rows")
    sys.modules[module.__name__] = module  # dataclasses looks it up there
    exec(compile(text, "written_rows.py", "exec"), module.__dict__)  # noqa: S102 - the generated code under test
    return module


def fits(value: object, hint: Any) -> bool:
    """Return whether a value has exactly the annotated type: a str is not a member of an enum."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, argument) for argument in arguments)
    if not origin:
        return hint is Any or (type(value) is hint and not misfits(value))
    if not isinstance(value, origin):
        return False
    if isinstance(value, Range):
        return fits(value.lower, arguments[0])
    if isinstance(value, Multirange):
        return all(fits(part.lower, arguments[0]) for part in value)
    return isinstance(value, dict) or all(fits(item, arguments[0]) for item in value)


def misfits(row: Any) -> dict[str, object]:
    """Return the fields of a row, or of a tuple in it, whose value has another type."""
    is_row = type(row).__module__ == "written_rows" and not isinstance(row, StrEnum)
    hints = get_type_hints(type(row)) if is_row else {}
    return {n: getattr(row, n) for n, hint in hints.items() if not fits(getattr(row, n), hint)}


def classes(text: str) -> list[str]:
    return re.findall(r"^class (\w+)", text, re.MULTILINE)


# --- Python -------------------------------------------------------------------------------------


def test_seeded_rows_match_the_generated_classes(seeded: Database) -> None:
    rows = loaded(written(seeded))
    with seeded.connect() as conn:
        rows.register(conn)
        for table, name in CLASSES.items():
            cursor = conn.cursor(row_factory=class_row(getattr(rows, name)))
            found = cursor.execute(f"select * from public.{table}".encode()).fetchall()
            assert found, table
            assert not [misfits(row) for row in found if misfits(row)], table
        cursor = conn.cursor(row_factory=class_row(rows.User))
        owners = cursor.execute(
            "select * from public.users where roles && %s", [[rows.UserRole.OWNER]]
        ).fetchall()
        assert owners
        assert all(rows.UserRole.OWNER in owner.roles for owner in owners)


def test_example_of_the_documentation_runs(
    seeded: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "types-and-diagram.md").read_text("utf-8")
    example = page.partition("```python\n")[2].partition("```")[0]
    monkeypatch.setitem(sys.modules, "rows", loaded(written(seeded)))
    with seeded.connect() as conn:
        owners = "select org_id, email from public.users where 'OWNER' = any (roles)"
        org_id, email = conn.execute(owners).fetchall()[0]
        exec(example, {"connection": conn, "org_id": org_id})  # noqa: S102 - the generated code under test
    assert f"{email} True\n" in capsys.readouterr().out


def test_enum_is_text_without_register(seeded: Database) -> None:
    """If psycopg ever registers enums itself, `register` can be removed."""
    rows = loaded(written(seeded))
    with seeded.connect() as conn:
        cursor = conn.cursor(row_factory=class_row(rows.User))
        users = cursor.execute("select * from public.users").fetchall()
    assert users
    assert all(set(misfits(user)) == {"roles"} for user in users)


def test_every_kind_of_type_is_loaded_as_annotated(zoo: Database) -> None:
    text = written(zoo)
    rows = loaded(text)
    with zoo.connect() as conn:
        rows.register(conn)
        for table, class_ in {"beasts": rows.Beast, "pens": rows.Pen}.items():
            cursor = conn.cursor(row_factory=class_row(class_))
            (row,) = cursor.execute(f"select * from {table}".encode()).fetchall()
            assert misfits(row) == {}
            # A value that is Any but not JSON is loaded as text; a comment says so.
            body = text.partition(f"class {class_.__name__}:")[2].partition("\n\n\n")[0]
            noted = set(re.findall(r"# psycopg does not know .*\n    (\w+):", body))
            assert all(isinstance(getattr(row, name), str | None) for name in noted)
            untyped = {n for n, hint in get_type_hints(class_).items() if "Any" in str(hint)}
            assert noted == {n for n in untyped if list(VALUES)[int(n[1:])] not in JSON}
            assert {list(VALUES)[int(n[1:])] for n in noted} == {"score[]", "floats", "floats[]"}


def test_composite_is_read_and_written_as_named_tuple(zoo: Database) -> None:
    rows = loaded(written(zoo))
    with zoo.connect() as conn:
        rows.register(conn)
        pair = rows.Pair(7, rows.PublicMood.CLASS, rows.InnerPair("8", 9, None, None))
        assert conn.execute("select %s", [pair]).fetchone() == (pair,)
        assert rows.InnerPair._fields == ("n", "count_", "x", "class_")


def test_nullable_columns_are_annotated_as_optional(zoo: Database) -> None:
    rows = loaded(written(zoo))
    hints = get_type_hints(rows.Beast)
    null = {name for name, hint in hints.items() if type(None) in get_args(hint)}
    assert null == {name for name in hints if name.startswith("n")}
    assert all(type(None) in get_args(hint) for hint in get_type_hints(rows.Pen).values())


def test_not_null_that_was_never_validated_is_optional(empty_database: Database) -> None:
    """New in 18; before, every not-null constraint is valid."""
    with empty_database.connect(autocommit=True) as conn:
        conn.execute("create table lots (a int not null, b int); insert into lots values (1)")
        if empty_database.server.version >= 18:
            conn.execute("alter table lots add constraint later not null b not valid")
    assert get_type_hints(loaded(written(empty_database)).Lot) == {"a": int, "b": int | None}


def test_json_column_is_an_object_only_with_a_check_of_exactly_that(
    empty_database: Database,
) -> None:
    sure = "check (jsonb_typeof({0}) = 'object')"
    columns = {
        "sure": sure,
        "twice": f"check ({{0}} <> '1') {sure}",
        "or_else": "check (jsonb_typeof({0}) = 'object' or {0} = '1')",
        "of_another": "check (jsonb_typeof(sure) = 'object')",
        "a_list": "check (jsonb_typeof({0}) = 'array')",
        "not_of_children": f"{sure} no inherit",
        '"Quo""ted"': sure,
        "unchecked": "",
    }
    listed = ", ".join(f"{name} jsonb {check.format(name)}" for name, check in columns.items())
    with empty_database.connect(autocommit=True) as conn:
        for statement in (
            f"create table t ({listed})",
            f"alter table t add {sure.format('unchecked')} not valid",
            "create table j (json json not null check (json_typeof(json) = 'object'))",
            "create view v as select sure from t",
        ):
            conn.execute(statement.encode())
    objects = re.findall(r"^    (\w+): dict\[str, Any\]", written(empty_database), re.MULTILINE)
    assert objects == ["json", "sure", "twice", "Quo_ted"]
    objects = re.findall(
        r"^  (.*): JsonObject", written(empty_database, "typescript"), re.MULTILINE
    )
    assert objects == ["json", "sure", "twice", r'"Quo\"ted"']


def test_column_name_invalid_in_python_is_selected_under_an_alias(zoo: Database) -> None:
    text = written(zoo)
    assert '    # No field can be named "class": select it "as class__".\n    class__: int' in text
    names = dict(re.findall(r'No field can be named "(.*)": select it "as (\w+)"', text))
    assert set(names) == {"class", "def", "two words", "1st", "__x", "ﬁ", "a*/b"}
    column_of = {name: column for column, name in names.items()}
    class_ = loaded(text).OddName
    listed = sql.SQL(", ").join(
        sql.SQL("{} as {}").format(sql.Identifier(column_of.get(name, name)), sql.Identifier(name))
        for name in (field.name for field in fields(class_))
    )
    with zoo.connect() as conn:
        conn.execute("insert into odd_names (class, class_, self, date) values (1, 2, 3, 'today')")
        cursor = conn.cursor(row_factory=class_row(class_))
        row = cursor.execute(sql.SQL("select {} from odd_names").format(listed)).fetchone()
        assert row
        assert (row.class__, row.class_, row.self) == (1, 2, 3)
        assert misfits(row) == {}
        with pytest.raises(TypeError, match="class"):
            cursor.execute("select * from odd_names").fetchone()


def test_class_names_are_unique_and_not_reserved(zoo: Database) -> None:
    text = written(zoo)
    assert classes(text) == [
        *("PublicMood", "Nothing", "FarMood"),
        *("BeastRow", "InnerPair", "Pair"),
        *("Row", "Row2fa", "OrderItem", "Address", "Beast", "Connections", "MoodD", "News"),
        *("None_", "OddName", "Pen", "Status", "Statuses"),
    ]
    mood = loaded(text).PublicMood
    assert {member.name: member.value for member in mood} == {
        "SO_SO": "so-so",
        "VALUE_1ST": "1st",
        "VALUE": "",
        "CLASS": "class",
        "CLASS_": "CLASS",
        "NAÏVE": "naïve",
        "SAY_HI": 'say "hi" \\',
        "VALUE_": "+",
        "VALUE__": "→",
    }


@one_server
def test_view_of_a_whole_row_does_not_rename_the_class_of_its_table(
    empty_database: Database,
) -> None:
    view = "create view public.near as select a.id, b as other from public.address a, address b"
    with empty_database.connect(autocommit=True) as conn:
        conn.execute("create table public.address (id int primary key, street text not null)")
        before = written(empty_database), written(empty_database, "typescript")
        conn.execute(view)
    after = written(empty_database), written(empty_database, "typescript")
    assert classes(before[0]) == ["Address"]
    assert sorted(classes(after[0])) == ["Address", "AddressRow", "Near"]
    for old, new in zip(before, after, strict=True):
        whole = old[old.index("@dataclass") if "@dataclass" in old else old.index("export") :]
        assert whole.strip() in new
    assert "other: AddressRow | None" in after[0]


def test_comments_come_from_the_catalog(zoo: Database) -> None:
    with zoo.connect(autocommit=True) as conn:
        conn.execute("comment on type mood is 'How it feels.'")
        conn.execute("comment on column pair.b is 'Which of them.'")
        conn.execute("comment on view pens is 'Where they live.'")
    text = written(zoo)
    rows = loaded(text)
    assert rows.PublicMood.__doc__ == "How it feels."
    assert rows.Pair.__doc__ == 'Two, and "more".'
    assert rows.Connections.__doc__ == 'Ends in a "'
    assert rows.Pen.__doc__ == "Where they live."
    assert '    b: PublicMood | None\n    """Which of them."""\n' in text
    text = written(zoo, "typescript")
    for comment in ("How it feels.", 'Two, and "more".', 'Ends in a "', "Where they live."):
        assert f"\n/** {comment} */\nexport " in text
    assert "  /** Which of them. */\n  b: PublicMood | null;\n" in text


def test_partitions_and_extension_objects_have_no_class(empty_database: Database) -> None:
    with empty_database.connect(autocommit=True) as conn:
        conn.execute("""
            create table days (day date) partition by range (day);
            create table days_1 partition of days default;
            create materialized view counts as select count(*) from days;
            create table gone (a int, b int);
            alter table gone drop column a;
            create table theirs ();
            create type their_mood as enum ('a');
            alter extension plpgsql add table theirs;
            alter extension plpgsql add type their_mood;
        """)
    text = written(empty_database)
    assert classes(text) == ["Count", "Day", "Gone"]
    assert re.findall(r"^    (\w+): ", text, re.MULTILINE) == ["count", "day", "b"]
    assert "register" not in text
    assert "Any" not in text


def test_register_names_a_type_missing_in_the_database(seeded: Database) -> None:
    rows = loaded(written(seeded))
    with seeded.connect() as conn:
        conn.execute("alter type public.user_role rename to role_of_user")
        with pytest.raises(LookupError, match=r"no enum public\.user_role"):
            rows.register(conn)


# --- TypeScript ---------------------------------------------------------------------------------


def interfaces(text: str) -> dict[str, dict[str, str]]:
    """Return the fields of each interface, with their types."""
    return {
        name: {
            json.loads(field) if field.startswith('"') else field: type_
            for field, type_ in re.findall(r'^  (".*"|\w+): (.*);$', body, re.MULTILINE)
        }
        for name, body in re.findall(r"^export interface (\w+) {\n(.*?)^}", text, re.M | re.DOTALL)
    }


def json_fits(value: object, type_: str, text: str) -> bool:
    """Return whether a JSON value has a TypeScript type of the file."""
    kinds: dict[str, Any] = {"string": str, "number": int | float, "boolean": bool}
    kinds |= {"JsonObject": dict, "Json": object, "unknown": object}
    if type_ in kinds:
        return isinstance(value, kinds[type_])
    if type_.endswith(" | null"):
        return value is None or json_fits(value, type_.removesuffix(" | null"), text)
    if type_.endswith("[]"):
        return isinstance(value, list) and all(json_fits(v, type_[:-2], text) for v in value)
    if union := re.search(rf"^export type {type_} =(.*?);$", text, re.M | re.DOTALL):
        return value in [json.loads(label) for label in re.findall(r'"(?:[^"\\]|\\.)*"', union[1])]
    parts = interfaces(text)[type_]
    return isinstance(value, dict) and all(json_fits(value[n], parts[n], text) for n in parts)


def test_rows_as_json_match_the_interfaces(seeded: Database, zoo: Database) -> None:
    """PostgREST has PostgreSQL build the JSON, as here."""
    for database, tables in {seeded: CLASSES, zoo: {"beasts": "Beast", "pens": "Pen"}}.items():
        text = written(database, "typescript")
        with database.connect() as conn:
            for table, name in tables.items():
                found = conn.execute(f"select to_jsonb(t) from {table} as t".encode()).fetchall()
                assert found, table
                for (row,) in found:
                    hints = interfaces(text)[name]
                    assert set(hints) == set(row)
                    assert not {n: row[n] for n in row if not json_fits(row[n], hints[n], text)}


# --- both ---------------------------------------------------------------------------------------

WRITTEN: dict[str, str] = {}


@pytest.mark.parametrize("language", rowtypes.LANGUAGES)
def test_every_server_and_every_run_generate_the_same_text(seeded: Database, language: str) -> None:
    with seeded.connect(autocommit=True) as conn:
        text = rowtypes.write(conn, "public", language)
        conn.execute("set search_path = app")
        assert rowtypes.write(conn, "public", language) == text
        assert conn.execute("show search_path").fetchone() == ("app",)
    assert WRITTEN.setdefault(language, text) == text
    assert max(len(line) for line in text.splitlines()) <= 100
    assert not [line for line in text.splitlines() if line != line.rstrip()]


@one_server
def test_both_languages_pass_strict_type_checkers(
    seeded: Database, zoo: Database, tmp_path: Path
) -> None:
    for name, database in {"rows": seeded, "zoo": zoo}.items():
        (tmp_path / f"{name}.py").write_text(written(database), encoding="utf-8")
        (tmp_path / f"{name}.ts").write_text(written(database, "typescript"), encoding="utf-8")
    check(sys.executable, "-m", "mypy", "--strict", *map(str, tmp_path.glob("*.py")))
    program = shutil.which("tsc") or shutil.which("tsc", path=ROOT / "node_modules" / ".bin")
    if not program:
        pytest.skip("mypy passes; TypeScript needs tsc on PATH or in node_modules")
    check(program, "--strict", "--noEmit", *map(str, tmp_path.glob("*.ts")))


def check(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def one(comment: str, label: str = "a", column: str = "a") -> Schema:
    """Return a schema of one table and one enum, with the same comment on everything."""
    enum = Type("enum", "public", "mood", "public.mood", comment, labels=(label,))
    columns = (Column(column, enum, comment=comment), Column("other", enum, comment=comment))
    return Schema("public", (Relation("things", comment, columns),), enums=(enum,))


def docstrings(text: str) -> list[str]:
    """Return the docstrings of classes, and the strings below their fields."""
    found = []
    for class_ in (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)):
        for before, node in pairwise([class_, *class_.body]):
            if isinstance(node, ast.Expr) and isinstance(before, ast.ClassDef | ast.AnnAssign):
                found.append(ast.literal_eval(node.value))
    return found


def words(text: str) -> str:
    return " ".join(text.split())


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


# PostgreSQL stores any text without the NUL character.
stored = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=150)
nasty = st.lists(
    st.sampled_from(
        ['"', '"""', "\\", "*/", "\n", "\r", "\t", " ", "a", "word", "\u202e", "#", "N{"]
    ),
    max_size=60,
).map("".join)


@given(stored | nasty)
@example("x" * 200)
@example("it ends in a \\")
@example('it ends in "')
@example("it ends in nothing\n ")
def test_any_comment_round_trips_through_docstrings(comment: str) -> None:
    text = python.write(one(comment))
    found = docstrings(text)
    assert len(found) == 4 or not words(comment)
    assert {words(docstring) for docstring in found} <= {words(comment)}
    if all(len(line) < 60 and line.isprintable() for line in comment.split("\n")):
        assert all(lines(docstring) == lines(comment) for docstring in found)
    assert all(character.isprintable() or character == "\n" for character in text)
    longest = max(map(len, comment.split()), default=0)
    assert max(map(len, text.splitlines())) <= 100 or longest > 9


@given(stored | nasty)
@example("*" * 99 + "/")
def test_any_comment_is_escaped_in_typescript(comment: str) -> None:
    code = [
        re.sub(r"/\*.*?\*/", "", typescript.write(one(text)), flags=re.DOTALL).split()
        for text in (comment, "")
    ]
    assert code[0] == code[1]


@given(stored, stored.filter(bool))
@example("x", "other!")
@example("x", "Mood!")
def test_any_label_and_column_name_can_be_generated(label: str, column: str) -> None:
    schema = one("", label, column)
    mood, thing = class_names(schema).values()
    rows = loaded(python.write(schema))
    assert [member.value for member in getattr(rows, mood)] == [label]
    names = [field.name for field in fields(getattr(rows, thing))]
    assert len(set(names)) == 1 + (column != "other")
    assert names[0] != mood  # a field of this name would hide the class
    assert names[0] == column or "No field can" in python.write(schema)
    text = typescript.write(schema)
    assert set(interfaces(text)[thing]) == {column, "other"}
    assert json_fits(label, mood, text)


@pytest.mark.parametrize(
    ("table", "name"),
    {
        **CLASSES,
        "companies": "Company",
        "statuses": "Status",
        "addresses": "Address",
        "boxes": "Box",
        "batches": "Batch",
        "heroes": "Hero",
        "causes": "Cause",
        "courses": "Course",
        "databases": "Database",
        "warehouses": "Warehouse",
        "ties": "Tie",
        "people": "Person",
        "home_addresses": "HomeAddress",
        "news": "News",
        "status": "Status",
        "address": "Address",
        "analysis": "Analysis",
        "staff": "Staff",
        "AuditLogs": "AuditLog",
        "Companies": "Company",
        "USERS": "USERS",
        "v2": "V2",
        "größen": "Größen",
        "用户": "用户",
    }.items(),
)
def test_class_name_is_the_singular_of_the_table(table: str, name: str) -> None:
    assert class_name([singular(table)]) == name


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path, database: Database) -> Checkout:
    return Checkout(tmp_path, database)


@one_server
def test_types_writes_a_file_and_reports_when_it_is_stale(checkout: Checkout) -> None:
    out, words = checkout.folder / "rows.py", ("types", "--out", "rows.py")
    result = checkout.runner(*words, "--check")
    assert result.code == 2
    assert result.out.startswith("absent: rows.py\n--- rows.py\n+++ catalog\n")
    assert re.search(r"^and \d+ more lines$", result.out, re.MULTILINE)
    assert not out.exists()

    result = checkout.runner(*words)
    assert (result.code, result.out) == (0, "written: rows.py\n")
    assert out.read_text(encoding="utf-8") == checkout.runner("types").out
    checkout.file("other", "")
    assert out.stat().st_mode == (checkout.folder / "other").stat().st_mode
    before = out.stat()
    result = checkout.runner(*words)
    assert (result.code, result.out) == (0, "unchanged: rows.py\n")
    result = checkout.runner(*words, "--check")
    assert (result.code, result.out) == (0, "current: rows.py\n")
    assert (out.stat().st_ino, out.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    checkout.do("alter table public.projects add color text")
    result = checkout.runner(*words, "--check")
    assert result.code == 2
    assert result.out.startswith("stale: rows.py\n--- rows.py\n+++ catalog\n@@ ")
    assert "\n+    color: str | None\n" in result.out
    assert len(result.out.splitlines()) < 14
    assert "without --check" in result.err
    assert b"color" not in out.read_bytes()

    out.chmod(0o640)
    assert checkout.runner(*words).out == "written: rows.py\n"
    assert oct(out.stat().st_mode & 0o777) == oct(0o640)
    assert b"color: str | None" in out.read_bytes()
    out.write_bytes(out.read_bytes().replace(b"\n", b"\r\n"))  # as git checks out with autocrlf
    assert checkout.runner(*words, "--check").code == 0
    assert {file.name for file in checkout.folder.iterdir()} == {"rows.py", "other"}


@one_server
def test_types_json_is_one_document(checkout: Checkout) -> None:
    document = checkout.runner("types", "--lang", "typescript", "--json").document
    assert (document["state"], document["file"], document["diff"]) == ("printed", None, [])
    assert (document["language"], document["schema"]) == ("typescript", "public")
    assert "export interface Organization {" in document["text"]
    result = checkout.runner("types", "--out", "rows.py", "--check", "--json")
    assert (result.code, result.err) == (2, "")
    assert (result.document["state"], result.document["exit_code"]) == ("absent", 2)
    assert len(result.document["diff"]) > 100


@one_server
def test_symlink_is_kept_and_its_target_written(checkout: Checkout) -> None:
    (checkout.folder / "shared").mkdir()
    (checkout.folder / "rows.ts").symlink_to("shared/rows.ts")
    result = checkout.runner("types", "--lang", "typescript", "--out", "rows.ts")
    assert result.out == "written: rows.ts\n"
    assert (checkout.folder / "rows.ts").is_symlink()
    assert "export interface User {" in (checkout.folder / "shared/rows.ts").read_text("utf-8")


@one_server
def test_write_error_is_explained_and_leaves_no_file(checkout: Checkout) -> None:
    (checkout.folder / "folder").mkdir()
    checkout.file("file", "")
    checkout.do("create schema bare; create schema cutlery; create table cutlery.knives ()")
    for words, message, hint in (
        (
            ["--out", "none/rows.py"],
            "none/rows.py cannot be written: No such file",
            "was not changed",
        ),
        (["--out", "file/rows.py"], "file/rows.py cannot be", "No changes were made"),
        (["--out", "folder"], "folder is not a file", "No changes were made"),
        (["--check"], "--check needs the file", "--out FILE"),
        (["--schema", "publik"], "There is no schema 'publik'", "app, auth, bare, cutlery, public"),
        (["--schema", "bare"], "There is no table in schema 'bare'", "python -m runner apply"),
        (["--lang", "cobol"], "cobol", "types --help"),
    ):
        result = checkout.runner("types", *words)
        assert (result.code, result.out) == (64, ""), result
        assert message in result.err
        assert hint in result.err
    assert {file.name for file in checkout.folder.iterdir()} == {"file", "folder"}
    result = checkout.runner("types", "--schema", "cutlery")
    assert "class Knife:" in result.out
    assert "`python -m runner types --schema cutlery`" in result.out


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "rows.py"
    file.write_text("old", encoding="utf-8")

    def full(_self: Path, _target: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UsageError, match="No space left"):
        output.write(file, "new")
    assert file.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [file]
