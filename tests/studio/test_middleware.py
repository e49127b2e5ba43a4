"""Who is let in, and that what is let in can only read."""

from __future__ import annotations

import re

import pytest
from conftest import one_server

from runner.studio.web import middleware

from .conftest import MAREN, Browsed


@one_server
def test_the_link_leads_in(studio: Browsed) -> None:
    answer = studio.get("")
    assert answer.status == 303
    assert answer.headers["location"] == f"/{studio.token}/as/owner/"
    assert studio.get("as/owner/").status == 200


@one_server
@pytest.mark.parametrize(
    "path", ["/", "/as/owner/", "/{wrong}/", "/{short}/as/owner/", "/favicon.ico"]
)
def test_without_the_token_nothing_is_told(studio: Browsed, path: str) -> None:
    path = path.format(wrong="x" * len(studio.token), short=studio.token[:-1])
    answer = studio.ask("GET", path)
    assert answer.status == 403
    assert "whole link" in answer.text
    assert studio.target.name not in answer.body
    assert studio.token not in answer.body


def test_two_studios_have_two_tokens_of_more_than_a_hundred_bits() -> None:
    tokens = {middleware.new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"[\w-]{32}", token) for token in tokens)


@one_server
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", ""]
)
def test_a_foreign_host_is_refused_with_the_right_token(studio: Browsed, host: str) -> None:
    """A name that an attacker's DNS points here: the browser says that name in Host."""
    answer = studio.get("as/owner/", Host=host.format(port=studio.port))
    assert answer.status == 421
    assert studio.target.name not in answer.body


@one_server
def test_localhost_is_this_machine_too(studio: Browsed) -> None:
    assert studio.get("as/owner/", Host=f"localhost:{studio.port}").status == 200


@one_server
@pytest.mark.parametrize(
    "origin",
    ["null", "https://evil.example", "http://127.0.0.1:1", "http://localhost:{port}", "file://"],
)
def test_a_foreign_origin_is_refused_with_the_right_token(studio: Browsed, origin: str) -> None:
    for method in ("GET", "POST"):
        path = f"/{studio.token}/as/owner/"
        answer = studio.ask(method, path, Origin=origin.format(port=studio.port))
        assert answer.status == 403
    own = studio.get("as/owner/", Origin=f"http://127.0.0.1:{studio.port}")
    assert own.status == 200


@one_server
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_no_other_method_is_known(studio: Browsed, method: str) -> None:
    answer = studio.ask(method, f"/{studio.token}/as/owner/tables/projects")
    assert answer.status == 405
    assert "only reads" in answer.text


@one_server
@pytest.mark.parametrize("path", ["as/owner/", "as/owner/tables/projects", "static/studio.css"])
def test_a_page_takes_no_form(studio: Browsed, path: str) -> None:
    answer = studio.ask("POST", f"/{studio.token}/{path}", "name=changed")
    assert answer.status == 405


@one_server
def test_a_long_form_is_refused_before_it_is_read(studio: Browsed) -> None:
    answer = studio.ask("POST", f"/{studio.token}/as/owner/", **{"Content-Length": "99999999"})
    assert answer.status == 413


@one_server
@pytest.mark.parametrize(
    "path", ["as/owner/", f"as/{MAREN}/tables/projects", "static/studio.css", "nowhere"]
)
def test_every_answer_forbids_what_no_page_needs(studio: Browsed, path: str) -> None:
    for answer in (studio.get(path), studio.ask("GET", "/")):
        headers = answer.headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


@one_server
def test_a_page_refers_to_nothing_elsewhere_and_holds_no_script_of_its_own(
    studio: Browsed,
) -> None:
    for path in ("as/owner/", f"as/{MAREN}/tables/users", "as/owner/worlds"):
        answer = studio.get(path)
        assert not [
            link for link in answer.links if not link.startswith((f"/{studio.token}/", "#"))
        ]
        assert re.findall(r"<script[^>]*>(.*?)</script>", answer.body, re.DOTALL) == [""]
        assert not re.search(r"\s(style|on\w+)=", answer.body)


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
def test_an_address_that_leads_nowhere_is_a_page(studio: Browsed, path: str) -> None:
    answer = studio.get(path)
    assert answer.status == 404
    assert "There is no such" in answer.text
    assert "Traceback" not in answer.body
