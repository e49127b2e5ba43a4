"""What a restored dump lacks is made by `apply --restored`, as the files say, and no more."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from checkout import Checkout

from runner import embedded
from runner.errors import PlanError
from runner.isolation import restored
from runner.preflight.baseline import baseline
from runner.preflight.temporary_server import temporary_server

ROLES = ("shop_api", "shop_login", "shop_definer")
SHOP = """\
    do $$ begin
        create role shop_api nologin noinherit;
        comment on role shop_api is 'The API''s';
        create role shop_definer nologin;
        create role shop_login login noinherit;
        grant shop_api to shop_login;
        alter role shop_api set statement_timeout = '9s';
        execute format('revoke temporary on database %I from public', current_database());
        execute format('alter database %I set app.mode = ''a b''', current_database());
    end $$;
    alter default privileges revoke execute on functions from public;
    create table if not exists public.shops (id int primary key, name text);
    alter table public.shops enable row level security;
    alter table public.shops force row level security;
    grant select (id), update (name) on public.shops to shop_api;
    create policy mine on public.shops to shop_api using (id > 0);
    comment on policy mine on public.shops is 'Ours';
    create schema inside;
    grant usage on schema inside to shop_api, shop_definer;
    create function inside.name_of(int) returns text language sql security definer
    return (select name from public.shops where id = $1);
    alter function inside.name_of(int) owner to shop_definer;
    revoke all on function inside.name_of(int) from public;
    grant execute on function inside.name_of(int) to shop_api;
"""
ROLES_OF_FILES = """\
    -- a(b is named here only.
    do $$ begin
        if to_regrole('admin') is null then create role admin; end if;
        create role later login;
        grant ops to later;
        alter role later set app.mode = 'y';
        execute format('grant create on database %I to later', current_database());
    end $$;
"""


class Shop:
    """A server with what a dump leaves of the database."""

    def __init__(self, server: embedded.Server, folder: Path) -> None:
        self.server = server
        self.admin = psycopg.connect(server.url("postgres"), autocommit=True)
        self.checkout = Checkout(folder)
        self.checkout.write(_0001_shop=SHOP)
        self.checkout.environ["DATABASE_URL"] = self.server.url("shop")
        self.admin.execute("create database shop")
        self.checkout.apply()
        url = server.url("shop")
        self.dumps = [self.program("pg_dump", url, *o) for o in ((), ("--no-acl", "-O"))]

    def program(self, name: str, url: str, *options: str, text: str | None = None) -> str:
        """Run a program of the wheel; psql goes on after an error, as pg_restore does."""
        command = [str(embedded.program(name, 18)), *options, url]
        return subprocess.run(
            command, input=text, capture_output=True, text=True, check=True
        ).stdout

    def restore(self, dump: str, owner: str = "postgres") -> str:
        """Restore into a server that has none of the roles; return the URL for the owner."""
        self.admin.execute("drop database if exists copy")
        self.admin.execute("drop database shop")
        for role in ROLES:
            self.admin.execute(f"drop role if exists {role}")
        self.admin.execute(f"create database shop owner {owner}")
        self.program("psql", self.server.url("shop", user=owner), "-Xq", text=dump)
        return self.server.url("shop", user=owner)

    def heal(self, url: str) -> list[str]:
        self.checkout.environ["DATABASE_URL"] = url
        with self.checkout.migrator() as migrator:
            return restored.heal(migrator, self.checkout.migrations())[1]["restored"]

    def refused(self, url: str) -> PlanError:
        with pytest.raises(PlanError) as caught:
            self.heal(url)
        return caught.value

    def do(self, database: str, statements: str) -> None:
        with psycopg.connect(self.server.url(database), autocommit=True) as connection:
            connection.execute(statements)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with temporary_server(18) as server:
        shop = Shop(server, tmp_path_factory.mktemp("shop"))
        with shop.admin:
            yield shop


def test_a_restored_database_becomes_what_its_files_make(shop: Shop) -> None:
    checkout = shop.checkout
    plain, without_privileges = shop.dumps
    url = checkout.environ["DATABASE_URL"] = shop.restore(plain)
    assert "what it lost: python -m runner apply --restored" in checkout.runner("apply").err
    shop.do("shop", "update yoyo._yoyo_log set fingerprint = '3:15:0'")
    status = checkout.runner("status", "--json").document
    assert "another major version of PostgreSQL" in status["notes"][0]
    made = checkout.runner("apply", "--restored", "--json").document["restored"]
    assert made[:2] == [
        "create role shop_api noinherit; comment on role shop_api is 'The API''s';",
        "create role shop_definer;",
    ]
    also = {
        "grant shop_api to shop_login;",
        "alter role shop_api set statement_timeout = '9s';",
        "alter database shop set app.mode = 'a b';",
        "revoke temporary on database shop from public;",
        "alter function inside.name_of(integer) owner to shop_definer;",
    }
    assert also < set(made)
    assert len([s for s in made if s.startswith(("create policy mine", "drop"))]) == 1
    status = checkout.runner("status", "--json").document
    assert (status["clean"], status["notes"]) == (True, [])
    assert shop.heal(url) == []
    made = shop.heal(shop.restore(without_privileges))
    closed = "revoke execute on function inside.name_of(integer) from public;"
    assert {*also, closed} < set(made)


def test_what_was_made_by_hand_stays_and_is_named(shop: Shop) -> None:
    shop.heal(shop.restore(shop.dumps[0]))
    shop.admin.execute("create database copy template shop")
    url = shop.server.url("copy")
    assert shop.heal(url) == [  # what belongs to the database itself
        "alter database copy set app.mode = 'a b';",
        "revoke temporary on database copy from public;",
    ]
    shop.admin.execute("create role guest")
    shop.do("copy", "alter table public.shops add extra int; drop policy mine on public.shops")
    shop.do("copy", "grant select on public.shops to guest; create table public.more ()")
    error = shop.refused(url)
    for name in ("column public.shops.extra", "table public.more", "select to guest"):
        assert name in error.hint
    assert error.state == "2 statements made what a restore loses."
    shop.do("copy", "alter database copy reset app.mode")
    assert shop.refused(url).state == "1 statement made what a restore loses."


def test_without_records_the_baseline_lists_the_roles_first(shop: Shop) -> None:
    shop.checkout.environ["DATABASE_URL"] = shop.restore(shop.dumps[0])
    shop.do("shop", "drop schema yoyo cascade")
    with shop.checkout.migrator() as migrator:
        with pytest.raises(PlanError) as caught:
            baseline(migrator, shop.checkout.migrations())
        shop.do("shop", caught.value.hint.partition("losing data:\n")[2])
        assert [file.id for file in baseline(migrator, shop.checkout.migrations())] == ["0001_shop"]


def test_of_another_scratch_server_only_what_the_files_make_there_is_made(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own roles and memberships stay there, though the files name the roles."""
    checkout = Checkout(tmp_path)
    checkout.write(_0001_roles=ROLES_OF_FILES)
    shop.admin.execute("create role ops")
    shop.admin.execute('create database "new-shop"')
    checkout.environ["DATABASE_URL"] = shop.server.url("new-shop")
    checkout.apply()
    shop.do("new-shop", "drop owned by later; drop role later; drop role admin")
    with temporary_server(18) as other:
        with psycopg.connect(other.url("postgres"), autocommit=True) as connection:
            for role in ("ops", "admin", '"a(b"'):
                connection.execute(f"create role {role} superuser".encode())
            connection.execute("grant admin to ops; alter role ops set app.mode = 'x'")
        monkeypatch.setenv("RUNNER_SCRATCH_URL", other.url("postgres"))
        with checkout.migrator() as migrator:
            lines, document = restored.heal(migrator, checkout.migrations())
            assert document["restored"] == [
                "create role later login;",
                "grant ops to later;",
                "alter role later set app.mode = 'y';",
                'grant create on database "new-shop" to later;',
            ]
    assert "roles that are missing here: a(b, admin. The scratch server had them" in lines[-2]


def test_what_the_role_may_not_make_is_listed(shop: Shop) -> None:
    shop.admin.execute("create role plain login")
    url = shop.restore(shop.dumps[1], "plain")
    error = shop.refused(url)
    assert "create role shop_api noinherit; " in error.hint
    assert "-- permission denied to create role" in error.hint
    refused = "alter database shop set app.mode = 'a b';  -- permission denied to set parameter"
    assert refused in error.hint
    assert "create policy" not in error.hint  # this role makes it, once there are the roles
    assert re.search(r"^Then again, for \d+ more: python -m runner apply --rest", error.hint, re.M)
    run_listed(shop, error, "create role", "grant shop_api to", "alter role", "alter database")
    error = shop.refused(url)  # now there is the role
    assert "owner to shop_definer;  -- must be able to SET ROLE" in error.hint
    run_listed(shop, error, "alter function")
    assert shop.heal(url) == []


def run_listed(shop: Shop, error: PlanError, *beginnings: str) -> None:
    for line in error.hint.splitlines():
        if line.startswith(beginnings):
            shop.do("shop", line)
