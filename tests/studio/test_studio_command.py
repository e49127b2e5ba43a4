"""The command, as a person or a script starts and stops it."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from checkout import PATIENCE, ROOT, Checkout, until
from conftest import Database, one_server

DOCS = ROOT / "docs"
LINK = re.compile(r"http://127\.0\.0\.1:(\d+)/[\w-]{32}/")


@pytest.fixture
def checkout(tmp_path: Path, own: Database) -> Checkout:
    return Checkout(tmp_path, own)


def stopped(process: subprocess.Popen[str], by: signal.Signals) -> tuple[int, str, str]:
    process.send_signal(by)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


@one_server
@pytest.mark.parametrize(("by", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_prints_its_link_on_a_line_and_ends_when_told(
    checkout: Checkout, by: signal.Signals, code: int
) -> None:
    with checkout.start_runner("studio", "--no-open") as process:
        assert process.stdout
        line = process.stdout.readline().strip()
        assert LINK.fullmatch(line)
        with urllib.request.urlopen(line) as answer:  # noqa: S310 - the studio's own
            assert b"What the connecting role sees" in answer.read()
        ended, out, err = stopped(process, by)
    assert (ended, out) == (code, "")
    assert "it has changed nothing" in err
    assert "Traceback" not in err
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(line)  # noqa: S310
    assert checkout.database
    with checkout.database.connect() as conn:
        query = "select count(*) from pg_stat_activity where application_name = 'runner studio'"
        assert conn.execute(query).fetchone() == (0,)


@one_server
def test_json_is_one_document_and_it_goes_on(checkout: Checkout) -> None:
    with checkout.start_runner("studio", "--json") as process:
        assert process.stdout
        text = ""
        while not text.endswith("\n}\n"):
            text += process.stdout.readline()
        document = json.loads(text)
        assert LINK.fullmatch(document["url"])
        with urllib.request.urlopen(document["url"]) as answer:  # noqa: S310
            assert answer.status == 200
        assert stopped(process, signal.SIGINT) == (130, "", "")


@one_server
def test_a_port_that_is_taken_is_told(checkout: Checkout) -> None:
    with checkout.start_runner("studio", "--no-open", "--port", "0") as process:
        assert process.stdout
        match = LINK.search(process.stdout.readline())
        assert match
        said = checkout.runner("studio", "--no-open", "--port", match[1])
        stopped(process, signal.SIGTERM)
    assert said.code == 64
    assert f"127.0.0.1:{match[1]}" in said.err
    assert "--port 0" in said.err


def test_without_its_extra_it_says_what_to_type(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, environ={"DATABASE_URL": "postgresql://u@nowhere.invalid/db"})
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['jinja2', 'starlette']));"
        "from runner.cli.main import main; sys.exit(main(['studio']))"
    )
    said = checkout.run(sys.executable, "-c", program)
    assert said.code == 64
    assert "jinja2" in said.err
    assert "pip install --editable '.[studio]'" in said.err


def test_a_database_that_cannot_be_reached_is_told_before_any_page(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, environ={"DATABASE_URL": "postgresql://u@127.0.0.1:1/db"})
    said = checkout.runner("studio")
    assert said.code == 1
    assert "Cannot connect to postgresql://u@127.0.0.1:1/db" in said.err
    assert not LINK.search(said.out)
    said = checkout.runner("studio", DATABASE_URL="")
    assert said.code == 1
    assert "python -m runner up" in said.err


def test_without_chromium_no_picture_is_taken_and_that_is_no_error(tmp_path: Path) -> None:
    said = Checkout(tmp_path).run(sys.executable, str(DOCS / "pictures.py"), PATH="", CHROMIUM="")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("skipped: Chromium is not installed")


def test_the_pictures_of_readme_are_there_and_small() -> None:
    pictures = re.findall(
        r"\]\((docs/studio-[\w-]+\.png)\)", (ROOT / "README.md").read_text("utf-8")
    )
    assert len(pictures) == len(list(DOCS.glob("studio-*.png"))) == 3
    assert all((ROOT / picture).stat().st_size < 150_000 for picture in pictures)


@one_server
def test_it_ends_in_the_middle_of_a_proof(checkout: Checkout) -> None:
    """The statement that runs is cancelled, and nothing of the proof's own rows is left."""
    assert checkout.database
    working = "select count(*) from pg_stat_activity where application_name = 'runner verify'"
    with (
        checkout.database.connect(autocommit=True) as conn,
        checkout.start_runner("studio", "--no-open") as process,
        ThreadPoolExecutor(1) as pool,
    ):
        assert process.stdout
        url = f"{process.stdout.readline().strip()}as/owner/isolation"
        asked = pool.submit(asked_to_prove, url)
        try:
            until(lambda: conn.execute(working).fetchone() != (0,) or asked.done())
            assert not asked.done(), asked.result()
        finally:
            code, out, err = stopped(process, signal.SIGINT)
        assert (code, out) == (130, ""), err
        assert "it has changed nothing" in err
        assert "Traceback" not in err
        asked.result()
        until(lambda: conn.execute(working).fetchone() == (0,))
        query = "select count(*) from public.organizations where id like 'cproof%'"
        assert conn.execute(query).fetchone() == (0,)


def asked_to_prove(url: str) -> str:
    """Return the answer, or how it was cut off."""
    try:
        with urllib.request.urlopen(url, data=b"") as answer:  # noqa: S310
            return str(answer.read())
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
