"""The studio on schemas of other projects, whose isolation.toml says who the people are."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest
from checkout import Checkout
from conftest import Database, one_server

from runner.errors import UsageError
from runner.isolation.tenancy import config, people

from .conftest import RunningStudio, Text

SCHEMAS = Path(__file__).parents[1] / "isolation" / "schemas"
HOSTILE = "\"';--%s{x}<script>alert(1)</script>&ü漢"
LONG = "漢字" * 10 + "abc"  # 63 bytes

CLUBS = """
insert into clubs.people select ('00000000-0000-4000-8000-00000000000' || n)::uuid, name
from (values (1, 'Ada'), (2, 'Bo'), (3, 'Cy'), (4, 'Di')) as given (n, name);
insert into clubs.clubs values ('a0000000-0000-4000-8000-000000000000', 'Anglers'),
    ('b0000000-0000-4000-8000-000000000000', 'Bikers');
insert into clubs.seats (club_id, person_id, rank)
select (club || '0000000-0000-4000-8000-000000000000')::uuid,
    ('00000000-0000-4000-8000-00000000000' || n)::uuid, rank::clubs.rank
from (values ('a', 1, 'chair'), ('a', 2, 'member'), ('b', 2, 'member'), ('b', 3, 'chair'))
    as given (club, n, rank);
insert into clubs.posts (club_id, author_id, body) select club_id, person_id, 'of ' || rank
from clubs.seats;
"""
ADA, BO, DI = (f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2, 4))
BRANCHES = """
insert into chain.branches (city) values ('Faro'), ('Gent');
insert into chain.books (branch_id, isbn, title) select n, 'i' || n, 'Title ' || n
from generate_series(1, 2) as n;
"""


Start = Callable[..., RunningStudio]


@pytest.fixture
def start(empty_database: Database, start_studio: Start, tmp_path: Path) -> Start:
    """A function: a studio on the database with this SQL, and this isolation.toml in tmp_path."""

    def started(sql: str, toml: str | None = None) -> RunningStudio:
        with empty_database.connect() as conn:
            conn.execute(sql.encode())
        if toml is not None:
            (tmp_path / "isolation.toml").write_text(toml, encoding="utf-8")
        return start_studio(empty_database.conninfo(), RUNNER_SQL_DIR=str(tmp_path))

    return started


def schema(name: str) -> tuple[str, str]:
    """Return the SQL and the isolation.toml of a schema of the tests of verify."""
    return tuple((SCHEMAS / f"{name}.{kind}").read_text("utf-8") for kind in ("sql", "toml"))  # type: ignore[return-value]


def who_sees(page: str) -> dict[str, list[str]]:
    """Return the cells of each line of "Who sees what"."""
    lines = re.findall(r"<tr>(.*?)</tr>", page.partition("<tbody>")[2], re.DOTALL)
    cells = (
        [str(Text(cell)) for cell in re.findall(r"<t[hd].*?</t[hd]>", x, re.DOTALL)] for x in lines
    )
    return {first: rest for first, *rest in cells}


# --- people -------------------------------------------------------------------------------------


@one_server
def test_members_of_several_tenants_are_viewed_as_by_their_claims(
    start: Start,
) -> None:
    """Names come from the table that the memberships refer to."""
    sql, toml = schema("claims")
    studio = start(sql + CLUBS, toml)
    page = studio.get("as/owner/comparison")
    assert re.findall(r'scope="col" class="num"><span>(\w+)', page.body) == [
        *("clubs", "log", "people", "posts", "seats")
    ]
    lines = who_sees(page.body)
    assert lines["Ada chair"] == ["1", "2", "2", "2", "2"]
    assert lines["Bo member"] == ["2", "0", "3", "4", "4"]  # in both
    assert lines["visitor"] == ["–"] * 5
    assert lines["A stranger"] == ["0"] * 5
    posts = studio.get(f"as/{BO}/tables/posts")
    assert posts.text.count("of member") == 2
    assert "May insert" in posts.text
    assert "Ada" in studio.get("as/owner/people?q=anglers").text
    assert "Unlinked account sees no records" in studio.get(f"as/{DI}/tables/posts").text
    assert f'"sub": "{ADA}"' in studio.get(f"as/{ADA}/").text
    for unknown in ("10", "user~3aunknown", "actor~3ax~3achair", "chair", "~00", "user~3a1~3a2"):
        assert studio.get(f"as/{unknown}/").status == 404, unknown


@one_server
def test_without_people_the_viewer_is_an_actor_of_a_tenant(start: Start, tmp_path: Path) -> None:
    """With a table of tenants, and without one: then they are the values of their column."""
    sql, toml = schema("setting")
    studio = start(sql + BRANCHES, toml)
    shown = studio.get("as/owner/comparison")
    assert re.findall(r'"rowgroup".*?<span>(\w+)', shown.body) == ["Faro", "Gent"]
    books = [link for link in shown.links if "tables/books" in link and "actor" in link]
    assert [studio.request("GET", link).text.count("Title") for link in books[:2]] == [1, 1]
    (tmp_path / "isolation.toml").write_text(
        toml.replace('table = "chain.branches"\n', ""), encoding="utf-8"
    )
    shown = studio.get("as/owner/comparison")  # the file is read again
    assert re.findall(r'"rowgroup".*?<span>(\w+)', shown.body) == ["1", "2"]
    assert "Title 2" in studio.get("as/actor~3a2~3aclerk/tables/books").text
    assert studio.get("as/owner/people?q=77").links.count(f"/{studio.token}/as/actor~3a77~3aclerk/")


PEOPLE_SQL = '''
[people]
table = "clubs.seats"
user = "person_id"
role = "rank"
sql = """
-- present members, by what they are called 100%
select s.club_id as tenant, s.person_id as user, upper(p.nickname) || ' {x}' as name,
    s.rank as roles
from clubs.seats as s
join clubs.people as p on p.id = s.person_id  -- 5 % 3
where s.left_at is null and p.nickname not like 'C%';
"""
'''


@one_server
def test_select_of_people_names_them_and_a_mistake_in_it_has_its_line(
    start: Start, tmp_path: Path, empty_database: Database
) -> None:
    sql, toml = schema("claims")
    before, _, after = toml.partition("[people]")
    toml = before + PEOPLE_SQL + "[actors]" + after.partition("[actors]")[2]
    studio = start(sql + CLUBS, toml)
    lines = who_sees(studio.get("as/owner/comparison").body)
    assert "ADA {x} chair" in lines
    assert not [name for name in lines if name.startswith("CY")]
    assert studio.get(f"as/{ADA}/tables/posts").text.count("of ") == 2
    for right, wrong, problem, hint in (
        ("s.rank as roles", "s.rank as rolse", "unknown column rolse", "roles?"),
        ("as user,", "as person,", "unknown column person", ""),
        ("s.person_id as user, ", "", "must have one column user", "… as user"),
        (
            "on p.id = s.person_id",
            "on p.idd = s.person_id",
            "column p.idd does not exist",
            "as tenant",
        ),
        ("left_at is null", "left_at is is null", "syntax error", ""),
        ("s.rank as roles", "s.rank as roles; drop table clubs.log", "syntax error", ""),
    ):
        text = toml.replace(right, wrong)
        (tmp_path / "isolation.toml").write_text(text, encoding="utf-8")
        page = studio.get("as/owner/comparison")
        assert "No people are known to view as" in page.text
        found = re.search(r"isolation\.toml:(\d+): \[people\] sql: (.{60})", page.text)
        assert found, page.text
        assert problem in found[0]
        line = text.splitlines()[int(found[1]) - 1]
        assert (wrong or "-- present").split(";")[0].split(" is is")[0] in line, (wrong, line)
        with (
            empty_database.connect() as conn,
            pytest.raises(UsageError, match=re.escape(problem)) as error,
        ):
            people.check(conn, config.read(tmp_path / "isolation.toml"))
        assert hint in error.value.hint
    for wrong in ('sql = ""', "sql = 1", 'sqll = "select 1"'):
        text = re.sub(r'sql = """.*?"""', wrong, toml, flags=re.DOTALL)
        with pytest.raises(
            UsageError, match=rf"x:{text[: text.index(wrong)].count(chr(10)) + 1}: "
        ):
            config.parse(text, "x")


# --- what is missing ----------------------------------------------------------------------------


@one_server
def test_without_a_file_the_roles_are_offered_and_the_next_command_is_named(
    start: Start, tmp_path: Path
) -> None:
    sql, _ = schema("setting")
    studio = start(sql + BRANCHES)
    page = studio.get("as/owner/comparison")
    assert "isolation.toml does not exist" in page.text
    assert "python -m runner verify --init" in page.text
    assert who_sees(page.body)["clerk"] == ["0", "0", "0", "1", "0", "0"]
    assert studio.get("as/clerk/tables/languages").text.count("English") == 1
    (tmp_path / "isolation.toml").write_text("[tenant]\ncolum = 1\n")
    page = studio.get("as/owner/comparison")
    assert "isolation.toml:2: unknown key in [tenant]: 'colum'" in page.text
    assert studio.get("as/clerk/tables/languages").status == 200
    (tmp_path / "isolation.toml").write_text(
        schema("setting")[1].replace("chain.branches", "chain.branchs")
    )
    assert "there is no table chain.branchs" in studio.get("as/owner/comparison").text


@one_server
def test_many_tables_and_people_are_limited_and_searched(
    start: Start,
) -> None:
    """A table that cannot be counted is one cell, and not the end of the page."""
    sql, toml = schema("claims")
    more = "".join(
        f"create view clubs.extra_{n:02} as select 1 as one; grant select on clubs.extra_{n:02}"
        " to signed_in;"
        for n in range(60)
    )
    studio = start(
        f"{sql}{CLUBS}{more}create view clubs.broken as select 1 / (random() * 0)::int as n;"
        "grant select on clubs.broken to signed_in;"
        "insert into clubs.clubs (name) select 'Club ' || n from generate_series(1, 3) as n;"
        "insert into clubs.people select gen_random_uuid(), 'Many ' || n"
        " from generate_series(1, 60) as n;"
        "insert into clubs.seats (club_id, person_id) select c.id, p.id from clubs.clubs as c,"
        " clubs.people as p where c.name ~ '^Club' and p.nickname ~ '^Many';"
        "insert into clubs.people select gen_random_uuid(), 'Long ' || repeat('u', 3000000);"
        "insert into clubs.seats (club_id, person_id) select c.id, p.id from clubs.clubs as c,"
        " clubs.people as p where p.nickname ~ '^Long';"
        "do $$ begin execute format('comment on table clubs.posts is %L', repeat('u', 1000000));"
        " end $$",
        toml,
    )
    page = studio.get("as/owner/comparison?count=all")
    assert page.body.count('<th scope="col" class="num"') == 40
    assert len(re.findall('<th scope="row">', page.body)) == 30
    assert "Not shown: 26 more tables" in page.text
    assert who_sees(page.body)["Ada chair"][0] == "!"
    assert "division by zero" in page.body
    for path in ("comparison?people=long", "people?q=long", "tables/people", ""):
        assert len(studio.get(f"as/owner/{path}").body) < 100_000  # a name may have megabytes
    found = studio.get("as/owner/comparison?tables=POSTS&people=ada&count=all")
    assert who_sees(found.body) == {"Ada chair": ["2"]}
    assert "Nothing matches" in studio.get("as/owner/comparison?tables=nowhere").text
    first = studio.get("as/owner/")
    assert "division by zero" in first.body
    assert "66 tables, page 1 of 2" in first.text
    (following,) = {link for link in first.links if "page=2" in link}
    assert studio.request("GET", following).body.count('<th scope="row">') == 16
    assert studio.get("as/owner/?tables=POSTS&page=x").body.count('<th scope="row">') == 1
    assert "No table matches" in studio.get("as/owner/?tables=nowhere&page=9").text
    assert "page 2 of 2" in studio.get("as/owner/?page=99999").text


# --- names --------------------------------------------------------------------------------------


def hostile() -> tuple[str, str]:
    """Return a schema and its file in which everything has a name that must be quoted."""
    q = '"' + HOSTILE.replace('"', '""') + '"'
    value = "'" + HOSTILE.replace("'", "''") + "'"
    role = json.dumps(HOSTILE[:30])
    toml = "\n".join(
        (
            "[tenant]",
            f"table = {json.dumps(HOSTILE + '.' + HOSTILE)}",
            f"column = {json.dumps(HOSTILE)}",
            "[identity]",
            """settings = { "app.who" = '{"t": "{tenant}", "u": "{user}"}' }""",
            "[people]",
            f"table = {json.dumps(HOSTILE + '.' + LONG)}",
            'user = "a.b%"',
            f"role = {json.dumps(LONG)}",
            *("[actors.member]", f"role = {role}", f"member = {json.dumps(HOSTILE)}"),
            *("[actors.owner]", f"role = {role}"),
        )
    )
    quoted = '"' + HOSTILE[:30].replace('"', '""') + '"'
    sql = f"""
        do $$ begin
            if to_regrole(quote_ident('{HOSTILE[:30].replace("'", "''")}')) is null then
                create role {quoted};
            end if;
        end $$;
        create schema {q}; create schema other;
        grant usage on schema {q}, other to {quoted};
        create table {q}.{q} ({q} text primary key, name text);
        create table {q}."{LONG}" (
            {q} text references {q}.{q}, "a.b%" text, "{LONG}" text, name text,
            primary key ({q}, "a.b%"), check ("{LONG}" <> '<b>')
        );
        create table other."{LONG}" (id int primary key, "{{x}}%s" text);
        create table other."x.y" (id int primary key, up text references {q}.{q});
        create view other.{q} as select * from {q}."{LONG}";
        insert into {q}.{q} values ({value}, {value}), ('..', '../..'), ('a/b', 'x');
        insert into {q}."{LONG}" values ({value}, {value}, {value}, {value}),
            ('..', '../x', {value}, '..'), ('a/b', repeat('ü', 300), 'no actor', null);
        insert into other."{LONG}" values (1, {value});
        alter table {q}."{LONG}" enable row level security;
        create policy {q} on {q}."{LONG}" to {quoted} using (
            {q} = (select current_setting('app.who', true)::json ->> 't')
        );
        grant select on all tables in schema {q}, other to {quoted};
    """
    return sql, toml


@one_server
def test_names_that_must_be_quoted_are_shown_as_text_on_every_page_and_in_a_report(
    start: Start, tmp_path: Path, empty_database: Database
) -> None:
    sql, toml = hostile()
    studio = start(sql, toml)
    start_page = studio.get("as/owner/comparison")
    lines = who_sees(start_page.body)
    assert sum(HOSTILE in name for name in lines) >= 2
    assert not [name for name in lines if "unavailable" in name], start_page.text
    people = {
        unquote(link).split("/as/")[1].split("/")[0] for link in start_page.links if "/as/" in link
    }
    assert (
        len(people) == 1 + 1 + 1 + 3 + 3
    )  # connecting, actor, stranger; people and actors of tenants
    seen = set()
    for who in sorted(people)[::3]:
        todo = [f"/{studio.token}/as/{who}/", f"/{studio.token}/as/{who}/schema"]
        while todo:
            link = todo.pop()
            if link in seen:
                continue
            seen.add(link)
            page = studio.request("GET", link)
            assert page.status == 200, (link, page.text)
            assert "<script>alert" not in page.body
            if "/diagram/" not in link:
                assert Text(page.body).tags.count("script") == 1, link
            todo += [
                each
                for each in page.links
                if f"/as/{who}/" in each and re.search("/(tables|schema|diagram)/", each)
            ]
    names = {
        unquote(link).split("/tables/")[1]
        for link in seen
        if "/tables/" in link and "?" not in link
    }
    assert len(names) == 5, names
    checkout = Checkout(tmp_path / "run", empty_database)
    (tmp_path / "run" / "sql").mkdir(parents=True)
    (tmp_path / "run" / "sql" / "isolation.toml").write_text(toml, encoding="utf-8")
    result = checkout.runner("report", "--out", "report")
    assert result.code == 0, result
    written = list((tmp_path / "run" / "report").rglob("*.html"))
    assert len(written) > 40
    assert all("<script>alert" not in file.read_text("utf-8") for file in written)


@one_server
def test_settings_of_a_file_cannot_make_a_session_write(start: Start, tmp_path: Path) -> None:
    """Nor outlast the transaction, or lift its time limit."""
    sql, toml = schema("setting")
    studio = start(
        f"{sql}{BRANCHES}create view chain.mode as select current_setting('transaction_read_only')"
        " as read_only, current_setting('statement_timeout') as patience;"
        "grant select on chain.mode to clerk",
        toml.replace('{ "chain.branch"', '{ statement_timeout = "0", "chain.branch"'),
    )
    assert "on 5s" in studio.get("as/clerk/tables/mode").text
    (tmp_path / "isolation.toml").write_text(
        toml.replace('{ "chain.branch"', '{ transaction_read_only = "off", "chain.branch"')
    )
    page = studio.get("as/clerk/tables/mode")
    assert page.status == 500
    assert "read-write mode" in page.text
