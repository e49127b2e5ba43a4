"""A studio running in this process, on a database with the schema and seed data; its client."""

from __future__ import annotations

import html
import http.client
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest
from checkout import Checkout
from conftest import SQL_DIR, Database, Server
from psycopg import sql

from runner import settings
from runner.migrate import seeds
from runner.migrate.migrator import Migrator
from runner.postgres.target import Target, parse
from runner.studio.actions import Actions
from runner.studio.data import viewer
from runner.studio.web import middleware, server
from runner.studio.web.database_pages import DatabasePages
from runner.studio.web.routes import Studio

SEEDS = Path(__file__).parents[2] / "seeds"
MAREN = "5ea51de0-0000-4000-8000-000000000001"  # owns Skerry Line
TOBIAS = "5ea51de0-0000-4000-8000-000000000002"  # an admin of it
WILMA = "0dd10af0-0000-4000-8000-000000000003"  # works for Odd Loaf
STRANGER = "00000000-0000-0000-0000-000000000000"
SKERRY, ODD = "cskerryline00000000000000", "coddloaf00000000000000000"
TABLES = ("ai_agents", "audit_logs", "organizations", "projects", "users", "workflows")
# Names that a statement has to quote, and one that it does not.
NAMES = ["user", "order", "table", "group", "Mixed Case", "MixedCase", 'a"b""c', "plain", "naïve"]


class Text(HTMLParser):
    """The text of a page as a reader sees it, its links and its tags."""

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
        self._separate(tag)
        self.links += [value for name, value in attrs if name in ("href", "src") and value]

    def handle_endtag(self, tag: str) -> None:
        self._separate(tag)

    def _separate(self, tag: str) -> None:
        if tag not in ("span", "code", "b"):
            self.pieces.append(" ")

    def __str__(self) -> str:
        return " ".join("".join(self.pieces).split())


@dataclass(frozen=True)
class Response:
    """A response."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def text(self) -> str:
        """The page's text without its header and navigation."""
        return str(Text(self.body.partition("<main")[2]))

    @property
    def links(self) -> list[str]:
        return Text(self.body).links


@dataclass
class RunningStudio:
    """A running studio, and a client for it."""

    port: int
    token: str
    target: Target
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{self.token}/"

    def get(self, path: str, **headers: str) -> Response:
        """Request a page by its path below the token."""
        return self.request("GET", f"/{self.token}/{path}", **headers)

    def request(self, method: str, path: str, body: str = "", **headers: str) -> Response:
        """Request a path as is. Headers are keyword arguments: `Content_Type="…"`."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if body:
            given["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=body or None, headers=given)
            raw = connection.getresponse()
            body = raw.read().decode()
            return Response(raw.status, {k.lower(): v for k, v in raw.getheaders()}, body)
        finally:
            connection.close()


@contextmanager
def running_studio(
    conninfo: str,
    pool_timeout: float = viewer.POOL_TIMEOUT,
    login: Target | None = None,
    **environ: str,
) -> Iterator[RunningStudio]:
    """Start a studio on a free port and stop it afterwards."""
    target = Target(parse(conninfo), "a test", embedded=False)
    token = middleware.new_token()
    given = {"DATABASE_URL": conninfo, "RUNNER_SQL_DIR": str(SQL_DIR), **environ}
    actions = Actions(settings.load(environ=given))
    with (
        server.listening(0) as listener,
        viewer.opened(target, actions.settings.sql_dir, login, pool_timeout) as source,
    ):
        port = listener.getsockname()[1]
        pages = Studio(source, target, token)
        app = pages.app(*DatabasePages(pages, actions).routes())
        with server.serving(middleware.AccessControl(app, token, port), listener):
            yield RunningStudio(port, token, target)


def all_pages(studio: RunningStudio, path: str) -> list[str]:
    """Return the HTML of a table's pages, following the links to the next one."""
    pages, link = [], f"/{studio.token}/{path}"
    while link:
        body = studio.request("GET", link).body
        pages.append(body)
        following = re.search(r'<a rel="next" href="([^"]+)"', body)
        link = following[1].replace("&amp;", "&") if following else ""
    return pages


def rows(body: str) -> list[str]:
    return re.findall(r'<tr id="(r\.[^"]+)"', body)


def commands(body: str) -> list[str]:
    """The text of each `<pre>` on a page, as a user copies it."""
    found = re.findall(r"<pre[^>]*>(.*?)</pre>", body, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]+>", "", text)) for text in found]


def write_markup(database: Database) -> None:
    """Put markup into every text and JSON column, with checks and triggers disabled."""
    markup = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&<b>"
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
            values = [markup, markup if type_ == "jsonb" else column]
            conn.execute(f"update public.{table} set {column} = {value}".encode(), values)
    assert len(columns) > 12


@pytest.fixture(scope="session")
def seeded_template(server: Server, template: str) -> Iterator[str]:
    """The name of a template database with the schema and the seed data."""
    with server.database(of=template) as database:
        with database.connect(autocommit=True) as conn:
            migrator = Migrator(conn)
            with migrator.lock():
                seeds.load(migrator, seeds.read(SEEDS))
        yield database.name


@pytest.fixture(scope="module")
def shared_seeded(server: Server, seeded_template: str) -> Iterator[Database]:
    """A seeded database that tests share, because a studio cannot change it."""
    with server.database(of=seeded_template) as database:
        _revoke_temporary(database)
        yield database


def _revoke_temporary(database: Database) -> None:
    """Revoke what the first migration revokes and a clone does not inherit."""
    with database.connect(autocommit=True) as conn:
        conn.execute(f"revoke temporary on database {database.name} from public")


@pytest.fixture(scope="module")
def studio(shared_seeded: Database) -> Iterator[RunningStudio]:
    """A studio on the shared database."""
    with running_studio(shared_seeded.conninfo()) as running:
        yield running


@pytest.fixture
def seeded(server: Server, seeded_template: str) -> Iterator[Database]:
    """A database with the schema and the seed data, for one test."""
    with server.database(of=seeded_template) as database:
        _revoke_temporary(database)
        yield database


@dataclass(frozen=True)
class Report:
    """A report, and what the command printed."""

    folder: Path
    output: str


@pytest.fixture(scope="session")
def report(
    server: Server, seeded_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Report]:
    """A report that tests share, with the log of a run and an attached file."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "sql").symlink_to(SQL_DIR)
    (folder / "seeds").symlink_to(SEEDS)
    with server.database(of=seeded_template) as database:
        _revoke_temporary(database)
        checkout = Checkout(folder, database)
        assert checkout.runner("seed", "--yes").code == 0
        checkout.file("seed.txt", "public.users 8 <b>rows</b>\n")
        result = checkout.runner("report", "--out", "out/report", "--attach", "seed.txt")
        assert result.code == 0, result
        yield Report(folder / "out" / "report", result.out)


@pytest.fixture
def start_studio() -> Iterator[Callable[..., RunningStudio]]:
    """A function that starts a studio until the test ends: `start_studio(conninfo)`."""
    with ExitStack() as stack:
        yield lambda conninfo, **options: stack.enter_context(running_studio(conninfo, **options))


@pytest.fixture(params=NAMES)
def role(request: pytest.FixtureRequest, seeded: Database) -> Iterator[str]:
    """A login role of that name. Roles belong to the server, so it is dropped afterwards."""
    name = str(request.param)
    with seeded.connect(autocommit=True) as conn:
        conn.execute(
            sql.SQL("create role {} login password 'only for this test'").format(
                sql.Identifier(name)
            )
        )
    yield name
    with seeded.connect(autocommit=True) as conn:
        conn.execute(sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(name)))
