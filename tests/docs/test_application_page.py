"""docs/application.md: the login of applications on the embedded server, and a service."""

from __future__ import annotations

import asyncio
import base64
import hmac
import importlib.util
import json
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import psycopg
import pytest
from checkout import Checkout
from pages import ROOT
from psycopg.conninfo import conninfo_to_dict


@pytest.fixture(scope="module")
def served() -> Iterator[Checkout]:
    """A checkout after `up` with a TCP port; in a folder that root's server can reach, too."""
    with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0)) as probe:
        Path(name).chmod(0o755)
        checkout = Checkout(Path(name))
        for folder in ("sql", "seeds"):
            shutil.copytree(ROOT / folder, checkout.folder / folder)
        port = str(probe.getsockname()[1])
        probe.close()
        result = checkout.runner("up", "--port", port)
        try:
            assert result.code == 0, result.err
            assert "python -m runner url      the URL for your application" in result.err
            yield checkout
        finally:
            assert checkout.runner("down").code == 0


def url(checkout: Checkout, *options: str) -> str:
    return checkout.runner("url", "--show-password", *options).out.strip()


def test_up_makes_a_login_that_is_nothing_until_it_sets_a_role(served: Checkout) -> None:
    """`verify` expects it in this form, and reports what more it was given."""
    application, admin = conninfo_to_dict(url(served)), conninfo_to_dict(url(served, "--admin"))
    assert (application["user"], admin["user"]) == ("app_login", "postgres")
    assert application["password"] not in (None, admin["password"])
    assert "***" in served.runner("url").out
    assert served.runner("up").code == 0
    with psycopg.connect(url(served), autocommit=True) as connection:
        for table in ("public.projects", "yoyo._yoyo_migration", "pg_catalog.pg_authid"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select from {table}")
        for role in ("postgres", "pg_read_all_data"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"set role {role}")
        for role in ("anon", "authenticated", "service_role"):
            connection.execute(f"set role {role}")
    result = served.runner("verify", "--only", "surface")
    assert (result.code, "app_login" in result.out) == (0, False), result.out
    accepted = served.runner("verify", "--accept")
    assert "app_login" not in (served.folder / "sql/isolation.lock").read_text("utf-8")
    assert accepted.code == 0
    with psycopg.connect(url(served, "--admin"), autocommit=True) as connection:
        connection.execute("grant service_role to app_login with admin option")
        connection.execute("grant pg_read_all_data to app_login")
        result = served.runner("verify", "--only", "surface")
        assert result.code == 4
        assert "pg_read_all_data to app_login" in result.out
        assert "service_role to app_login" in result.out
        connection.execute("revoke pg_read_all_data from app_login")
        connection.execute("revoke admin option for service_role from app_login")


class Client:
    """A person's requests to the service, handed to it in this process."""

    def __init__(self, app: Any, name: str, key: str = "secret", expires: int = 2**40) -> None:
        email = f"{name.lower()}@service.example"
        claims = {"sub": str(uuid4()), "email": email, "email_verified": True, "exp": expires}
        signed = f"{encoded(b'{}')}.{encoded(json.dumps(claims).encode())}"
        signature = encoded(hmac.digest(key.encode(), signed.encode(), "sha256"))
        self.app, self.name, self.email = app, name, email
        self.token = f"Bearer {signed}.{signature}"

    async def __call__(self, method: str, path: str, **body: Any) -> tuple[int, Any]:
        """Return the status and the document of the answer; a query is the body of a GET."""
        query = urlencode(body) if method == "GET" else ""
        scope = {
            **{"type": "http", "method": method, "path": path, "query_string": query.encode()},
            "headers": [(b"authorization", self.token.encode())],
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": json.dumps(body).encode()}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        text = b"".join(message.get("body", b"") for message in sent)
        return sent[0]["status"], json.loads(text) if text[:1] in (b"{", b"[") else None


def encoded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def test_service_keeps_four_tenants_apart(
    served: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url(served))
    monkeypatch.setenv("TOKEN_SECRET", "secret")
    spec = importlib.util.spec_from_file_location("service", ROOT / "docs" / "service.py")
    assert spec and spec.loader
    service = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(service)
    asyncio.run(_four_tenants(service.app))


async def _four_tenants(app: Any) -> None:
    async with app.router.lifespan_context(app):
        owners = [Client(app, name) for name in ("Ada", "Bo", "Cy", "Dee")]
        of_owners = {}
        for owner in owners:
            words = {"organization": owner.name, "name": owner.name}
            status, of_owners[owner.name] = await owner("POST", "/organizations", **words)
            assert status == 201
            assert (await owner("POST", "/organizations", **words))[0] == 409

        async def work(owner: Client) -> None:
            """Add projects and read them, with requests of all others in between."""
            for number in range(25):
                name = f"{owner.name} {number}"
                assert (await owner("POST", "/projects", name=name))[0] == 201
                status, found = await owner("GET", "/projects")
                assert status == 200
                assert found[0]["name"] == name
                assert {project["name"].split()[0] for project in found} == {owner.name}

        await asyncio.gather(*map(work, owners))

        ada, bo = owners[:2]
        pages: list[list[str]] = []
        names: list[str] = []
        after: dict[str, str] = {}
        while page := (await ada("GET", "/projects", **after))[1]:
            pages.append([project["name"] for project in page])
            names += pages[-1]
            after = {key: page[-1][key] for key in ("created_at", "id")}
        assert [len(page) for page in pages] == [10, 10, 5]
        assert names == [f"Ada {number}" for number in reversed(range(25))]

        invited = Client(app, "Eve")
        words = {"email": invited.email, "name": "Eve", "role": "ADMIN"}
        assert (await invited("GET", "/projects")) == (200, [])  # a stranger so far
        assert (await invited("POST", "/projects", name="x"))[0] == 403
        assert (await invited("POST", "/users", **words))[0] == 403
        assert (await invited("POST", "/invitations/accept"))[0] == 404
        status, user = await ada("POST", "/users", **words)
        assert status == 201
        assert (await bo("POST", "/users", **words))[0] == 409
        assert (await invited("POST", "/invitations/accept"))[0] == 200
        assert (await invited("POST", "/projects", name="as ADMIN"))[0] == 201
        assert (await bo("PATCH", f"/users/{user['id']}", role="MEMBER"))[0] == 404
        assert (await ada("PATCH", f"/users/{user['id']}", role="MEMBER"))[0] == 200
        assert (await invited("POST", "/projects", name="as MEMBER"))[0] == 403
        assert len((await invited("GET", "/projects"))[1]) == 10

        last = f"/users/{of_owners['Bo']['id']}"
        refused = [
            await bo("PATCH", last, role="MEMBER"),
            await bo("PATCH", last, role="KING"),
            *[await bo("POST", "/projects", name=name) for name in ("", "\0", "\ud800", 5)],
            await bo("POST", "/projects"),
            await bo("GET", "/projects", created_at="yesterdayish", id="x"),
        ]
        assert [status for status, _ in refused] == [422] * len(refused)
        for client in (Client(app, "Ada", key="other"), Client(app, "Ada", expires=1)):
            assert (await client("GET", "/projects"))[0] == 401
        ada.token = "Bearer x"
        assert (await ada("GET", "/projects"))[0] == 401
