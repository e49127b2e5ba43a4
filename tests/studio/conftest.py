"""A studio in this process, over a database of the schema and the seeds, and ways to ask it."""

from __future__ import annotations

import http.client
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import psycopg
import pytest
from conftest import SQL_DIR, Database, Server
from psycopg.conninfo import make_conninfo

from runner import settings
from runner.migrate import seeds
from runner.migrate.migrator import Migrator
from runner.postgres.target import Target, parse
from runner.studio.actions import Demands
from runner.studio.data import viewer
from runner.studio.web import middleware, server
from runner.studio.web.database_pages import Backstage
from runner.studio.web.routes import Studio

SEEDS = Path(__file__).parents[2] / "seeds"
MAREN = "5ea51de0-0000-4000-8000-000000000001"  # owns Skerry Line
TOBIAS = "5ea51de0-0000-4000-8000-000000000002"  # an admin of it
WILMA = "0dd10af0-0000-4000-8000-000000000003"  # works for Odd Loaf
STRANGER = "00000000-0000-0000-0000-000000000000"
SKERRY, ODD = "cskerryline00000000000000", "coddloaf00000000000000000"


class Text(HTMLParser):
    """What a reader reads of a page, and the links in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._part(tag)
        self.links += [value for name, value in attrs if name in ("href", "src") and value]

    def handle_endtag(self, tag: str) -> None:
        self._part(tag)

    def _part(self, tag: str) -> None:
        if tag not in ("span", "code", "b"):
            self.pieces.append(" ")

    def __str__(self) -> str:
        return " ".join("".join(self.pieces).split())


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def text(self) -> str:
        """The page as it reads, its frame aside."""
        return str(Text(self.body.partition("<main")[2]))

    @property
    def links(self) -> list[str]:
        return Text(self.body).links


@dataclass
class Browsed:
    """A running studio."""

    port: int
    token: str
    target: Target
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{self.token}/"

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for a page below the token."""
        return self.ask("GET", f"/{self.token}/{path}", **headers)

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if body:
            given["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=body or None, headers=given)
            said = connection.getresponse()
            body = said.read().decode()
            return Answer(said.status, {k.lower(): v for k, v in said.getheaders()}, body)
        finally:
            connection.close()


@contextmanager
def browsing(conninfo: str, patience: float = viewer.PATIENCE, **environ: str) -> Iterator[Browsed]:
    """Start a studio on a free port, and stop it after."""
    target = Target(parse(conninfo), "a test", embedded=False)
    token = middleware.new_token()
    with server.listening(0) as listener, viewer.pool(target, patience) as connections:
        port = listener.getsockname()[1]
        pages = Studio(connections, target, token)
        demands = Demands(
            settings.load(
                environ={"DATABASE_URL": conninfo, "RUNNER_SQL_DIR": str(SQL_DIR), **environ}
            )
        )
        app = pages.app(*Backstage(pages, demands).routes())
        with server.serving(middleware.Gate(app, token, port), listener):
            yield Browsed(port, token, target)


def load(
    *, host: str, port: int, user: str, dbname: str, password: str | None, **_: object
) -> None:
    """Pour the seeds in; pytest-postgresql calls it as a loader."""
    conninfo = make_conninfo(host=host, port=port, user=user, dbname=dbname, password=password)
    with psycopg.connect(conninfo, autocommit=True, prepare_threshold=None) as conn:
        migrator = Migrator(conn)
        with migrator.lock():
            seeds.load(migrator, seeds.read(SEEDS))


def write_markup(database: Database) -> None:
    """Put markup into every text and JSON column, checks and triggers out of the way."""
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&<b>"
    with database.connect(autocommit=True) as conn:
        conn.execute("set session_replication_role = replica")
        columns = conn.execute(
            "select table_name, column_name, data_type from information_schema.columns"
            " where table_schema = 'public' and data_type in ('text', 'jsonb')"
            " and column_name !~ '(^id$)|(_id$)'"
        ).fetchall()
        for table, column, type_ in columns:
            value = "%s || case when %s = 'email' then id else '' end"
            if type_ == "jsonb":
                value = "jsonb_build_object('k', %s::text, %s::text, 1)"
            conn.execute(
                f"alter table public.{table} drop constraint if exists {table}_{column}_check,"
                f" drop constraint if exists {table}_approval_check"
            )
            values = [evil, evil if type_ == "jsonb" else column]
            conn.execute(f"update public.{table} set {column} = {value}".encode(), values)
    assert len(columns) > 12


@pytest.fixture(scope="session")
def seeded_template(server: Server, template: str) -> Iterator[str]:
    """The name of a database with the schema and the seeds, to be cloned."""
    name = f"seeded_{os.getpid()}_{server.name}"
    with server.janitor(name, of=template, template=True) as janitor:
        janitor.load(load)
        yield name


@pytest.fixture(scope="module")
def shared(server: Server, seeded_template: str) -> Iterator[Database]:
    """A database that nobody changes: the studio cannot."""
    with server.database(of=seeded_template) as database:
        _as_applied(database)
        yield database


def _as_applied(database: Database) -> None:
    """Close what the first migration closes, and what a clone does not take over."""
    with database.connect(autocommit=True) as conn:
        conn.execute(f"revoke temporary on database {database.name} from public")


@pytest.fixture(scope="module")
def studio(shared: Database) -> Iterator[Browsed]:
    """A studio over it."""
    with browsing(shared.conninfo()) as browsed:
        yield browsed


@pytest.fixture
def own(server: Server, seeded_template: str) -> Iterator[Database]:
    """A database of one's own, with the seeds."""
    with server.database(of=seeded_template) as database:
        _as_applied(database)
        yield database


@pytest.fixture
def browse() -> Iterator[Callable[..., Browsed]]:
    """Start studios of one test: `browse(conninfo)`."""
    with ExitStack() as stack:
        yield lambda conninfo, **how: stack.enter_context(browsing(conninfo, **how))
