"""Which requests are accepted, and that accepted ones can only read."""

from __future__ import annotations

import re

import pytest
from conftest import one_server

from runner.studio.web import middleware

from .conftest import MAREN, RunningStudio


@one_server
def test_link_leads_to_who_sees_what(studio: RunningStudio) -> None:
    response = studio.get("")
    assert response.status == 303
    assert response.headers["location"] == f"/{studio.token}/as/owner/comparison"
    assert studio.get("as/owner/comparison").status == 200


@one_server
@pytest.mark.parametrize(
    "path", ["/", "/as/owner/", "/{wrong}/", "/{short}/as/owner/", "/favicon.ico"]
)
def test_request_without_token_is_forbidden_and_reveals_nothing(
    studio: RunningStudio, path: str
) -> None:
    path = path.format(wrong="x" * len(studio.token), short=studio.token[:-1])
    response = studio.request("GET", path)
    assert response.status == 403
    assert "complete link" in response.text
    assert studio.target.name not in response.body
    assert studio.token not in response.body


def test_tokens_are_distinct_and_have_192_bits() -> None:
    tokens = {middleware.new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"[\w-]{32}", token) for token in tokens)


@one_server
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", ""]
)
def test_foreign_host_is_rejected_despite_valid_token(studio: RunningStudio, host: str) -> None:
    """DNS rebinding: a name of the attacker resolves to 127.0.0.1, and is sent in Host."""
    response = studio.get("as/owner/", Host=host.format(port=studio.port))
    assert response.status == 421
    assert "Misdirected request" in response.text
    assert studio.target.name not in response.body


@one_server
def test_localhost_is_accepted(studio: RunningStudio) -> None:
    assert studio.get("as/owner/", Host=f"localhost:{studio.port}").status == 200


@one_server
@pytest.mark.parametrize(
    "origin",
    ["null", "https://evil.example", "http://127.0.0.1:1", "http://localhost:{port}", "file://"],
)
def test_foreign_origin_is_rejected_despite_valid_token(studio: RunningStudio, origin: str) -> None:
    for method in ("GET", "POST"):
        path = f"/{studio.token}/as/owner/"
        response = studio.request(method, path, Origin=origin.format(port=studio.port))
        assert response.status == 403
    same = studio.get("as/owner/", Origin=f"http://127.0.0.1:{studio.port}")
    assert same.status == 200


@one_server
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_not_allowed(studio: RunningStudio, method: str) -> None:
    response = studio.request(method, f"/{studio.token}/as/owner/tables/projects")
    assert response.status == 405
    assert "Method not allowed" in response.text
    assert "read-only" in response.text


@one_server
@pytest.mark.parametrize("path", ["as/owner/", "as/owner/tables/projects", "static/studio.css"])
def test_page_does_not_accept_form(studio: RunningStudio, path: str) -> None:
    response = studio.request("POST", f"/{studio.token}/{path}", "name=changed")
    assert response.status == 405


@one_server
def test_large_form_is_rejected_before_it_is_read(studio: RunningStudio) -> None:
    response = studio.request(
        "POST", f"/{studio.token}/as/owner/", **{"Content-Length": "99999999"}
    )
    assert response.status == 413
    assert "Payload too large" in response.text


@one_server
@pytest.mark.parametrize(
    "path", ["as/owner/", f"as/{MAREN}/tables/projects", "static/studio.css", "nowhere"]
)
def test_every_response_has_security_headers(studio: RunningStudio, path: str) -> None:
    for response in (studio.get(path), studio.request("GET", "/")):
        headers = response.headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


@one_server
def test_page_has_no_external_links_and_no_inline_script(
    studio: RunningStudio,
) -> None:
    for path in ("as/owner/", f"as/{MAREN}/tables/users", "as/owner/comparison"):
        response = studio.get(path)
        assert not [
            link for link in response.links if not link.startswith((f"/{studio.token}/", "#"))
        ]
        assert re.findall(r"<script[^>]*>(.*?)</script>", response.body, re.DOTALL) == [""]
        assert not re.search(r"\s(style|on\w+)=", response.body)


@one_server
@pytest.mark.parametrize(
    "path",
    [
        "static/../app.py",
        "static/%2e%2e/app.py",
        "static/nothing.css",
        "as/owner/tables/projects/../../../..",
        "as/root/",
        "as/owner/tables/%00",
        "as/owner/tables/nothing",
        "as/owner/tables/pg_authid",
        "as/owner/tables/..%2f..%2fyoyo",
    ],
)
def test_unknown_address_is_a_404_page(studio: RunningStudio, path: str) -> None:
    response = studio.get(path)
    assert response.status == 404
    assert "not found" in response.text
    assert "Traceback" not in response.body
