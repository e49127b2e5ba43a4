"""The command `studio`: how a person or a script starts and stops it."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from checkout import ROOT, TIMEOUT, Checkout, until
from conftest import SQL_DIR, Database, one_server

DOCS = ROOT / "docs"
LINK = re.compile(r"http://127\.0\.0\.1:(\d+)/[\w-]{32}/")


@pytest.fixture
def checkout(tmp_path: Path, seeded: Database) -> Checkout:
    return Checkout(tmp_path, seeded)


@contextmanager
def studio(checkout: Checkout, *args: str) -> Iterator[subprocess.Popen[str]]:
    """A studio in a process of its own, which ends with the test, also where that fails."""
    with checkout.start_runner("studio", *args) as process:
        try:
            yield process
        finally:
            process.kill()


def stopped(process: subprocess.Popen[str], by: signal.Signals) -> tuple[int, str, str]:
    process.send_signal(by)
    out, err = process.communicate(timeout=TIMEOUT)
    return process.returncode, out, err


@one_server
@pytest.mark.parametrize(("by", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_prints_link_and_stops_on_signal(checkout: Checkout, by: signal.Signals, code: int) -> None:
    with studio(checkout, "--no-open") as process:
        assert process.stdout
        line = process.stdout.readline().strip()
        assert LINK.fullmatch(line)
        with urllib.request.urlopen(line) as response:  # noqa: S310 - the studio's own
            assert b"Who sees what" in response.read()
        ended, out, err = stopped(process, by)
    assert (ended, out) == (code, "")
    assert err.splitlines()[-2:] == [
        "Read-only, for this machine alone. Ctrl-C ends it.",
        "The studio is closed; it has changed nothing.",
    ]
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(line)  # noqa: S310
    assert checkout.database
    with checkout.database.connect() as conn:
        query = "select count(*) from pg_stat_activity where application_name = 'runner studio'"
        assert conn.execute(query).fetchone() == (0,)


@one_server
def test_json_prints_one_document_and_keeps_running(checkout: Checkout) -> None:
    with studio(checkout, "--json") as process:
        assert process.stdout
        text = ""
        while not text.endswith("\n}\n"):
            text += process.stdout.readline()
        document = json.loads(text)
        assert LINK.fullmatch(document["url"])
        with urllib.request.urlopen(document["url"]) as response:  # noqa: S310
            assert response.status == 200
        assert stopped(process, signal.SIGINT) == (130, "", "")


@one_server
def test_port_in_use_is_reported(checkout: Checkout) -> None:
    with studio(checkout, "--no-open", "--port", "0") as process:
        assert process.stdout
        match = LINK.search(process.stdout.readline())
        assert match
        result = checkout.runner("studio", "--no-open", "--port", match[1])
        stopped(process, signal.SIGTERM)
    assert result.code == 64
    assert f"127.0.0.1:{match[1]}" in result.err
    assert "--port 0" in result.err


def test_missing_extra_is_reported_with_install_command(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, environ={"DATABASE_URL": "postgresql://u@nowhere.invalid/db"})
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['pygments', 'starlette']));"
        "from runner.cli.main import main; sys.exit(main(['studio']))"
    )
    result = checkout.run(sys.executable, "-c", program)
    assert result.code == 64
    assert "pygments" in result.err
    assert "pip install 'plain-sql-foundation[studio]'" in result.err


def test_unreachable_database_is_reported_at_start(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, environ={"DATABASE_URL": "postgresql://u@127.0.0.1:1/db"})
    result = checkout.runner("studio")
    assert result.code == 1
    assert "Cannot connect to postgresql://u@127.0.0.1:1/db" in result.err
    assert not LINK.search(result.out)
    result = checkout.runner("studio", DATABASE_URL="")
    assert result.code == 1
    assert "python -m runner up" in result.err


def test_screenshots_are_skipped_without_chromium(tmp_path: Path) -> None:
    result = Checkout(tmp_path).run(sys.executable, str(DOCS / "pictures.py"), PATH="", CHROMIUM="")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("skipped: Chromium is not installed")


def test_readme_screenshots_exist_and_are_small() -> None:
    pictures = re.findall(
        r"\]\((docs/studio-[\w-]+\.png)\)", (ROOT / "README.md").read_text("utf-8")
    )
    assert len(pictures) == len(list(DOCS.glob("studio-*.png"))) == 3
    assert all((ROOT / picture).stat().st_size < 150_000 for picture in pictures)


@one_server
def test_stops_during_a_proof(checkout: Checkout) -> None:
    """The running statement is canceled, and no row of the proof remains."""
    (checkout.folder / "sql").symlink_to(SQL_DIR)
    assert checkout.database
    working = "select count(*) from pg_stat_activity where application_name = 'runner verify'"
    with (
        checkout.database.connect(autocommit=True) as conn,
        studio(checkout, "--no-open") as process,
        ThreadPoolExecutor(1) as pool,
    ):
        assert process.stdout
        url = f"{process.stdout.readline().strip()}as/owner/isolation"
        proof = pool.submit(start_proof, url)
        try:
            until(lambda: conn.execute(working).fetchone() != (0,) or proof.done())
            assert not proof.done(), proof.result()
        finally:
            code, out, err = stopped(process, signal.SIGINT)
        assert (code, out) == (130, ""), err
        assert "it has changed nothing" in err
        assert "Traceback" not in err
        proof.result()
        until(lambda: conn.execute(working).fetchone() == (0,))
        query = "select count(*) from public.organizations where id like 'cproof%'"
        assert conn.execute(query).fetchone() == (0,)


def start_proof(url: str) -> str:
    """Return the response, or the error that cut it off."""
    try:
        with urllib.request.urlopen(url, data=b"") as response:  # noqa: S310
            return str(response.read())
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
