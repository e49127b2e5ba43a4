"""docs/application.md: the login of applications on the embedded server, and a service."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

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
