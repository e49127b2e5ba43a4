"""Take screenshots of the studio: python docs/pictures.py [--out DIR] [--docs]

Starts a studio on the database that the runner uses here, opens its pages in headless Chromium and
writes the screenshots to `pictures/`, which git ignores. `--docs` writes only those that README
shows, to docs/.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MAREN = "5ea51de0-0000-4000-8000-000000000001"
WILMA = "0dd10af0-0000-4000-8000-000000000003"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Picture:
    """One screenshot: the page, what to click on it first, and the window size in pixels."""

    name: str
    path: str
    clicks: tuple[str, ...] = ()
    width: int = 1440
    height: int = 860
    dark: bool = False
    docs: bool = False  # shown in README


PERMISSIONS = ".permissions > summary"
SWITCH = "#switch > summary"
RECORD = "record?org_id=cskerryline00000000000000&id=cskerryproj01tidebook0000"
PICTURES = (
    Picture("overview", "as/owner/"),
    Picture("overview-as-a-member", f"as/{WILMA}/"),
    Picture(
        "records-as-an-owner",
        f"as/{MAREN}/tables/projects",
        (PERMISSIONS,),
        height=620,
        docs=True,
    ),
    Picture(
        "records-as-a-member",
        f"as/{WILMA}/tables/projects",
        (PERMISSIONS,),
        height=620,
        docs=True,
    ),
    Picture("view-as", f"as/{MAREN}/tables/users", (SWITCH,), dark=True),
    Picture("workflows", f"as/{MAREN}/tables/workflows"),
    Picture("json", f"as/{MAREN}/tables/workflows", ("details.json >> nth=0",)),
    Picture("audit-logs", "as/owner/tables/audit_logs", dark=True),
    Picture("no-records-for-a-member", f"as/{WILMA}/tables/audit_logs"),
    Picture("anon", "as/anon/tables/users"),
    Picture("record", f"as/{MAREN}/tables/projects/{RECORD}", (PERMISSIONS,)),
    Picture("not-found", f"as/{WILMA}/tables/projects/{RECORD}"),
    Picture("who-sees-what", "as/owner/comparison", height=630, docs=True),
    Picture("schema", "as/owner/schema"),
    Picture("schema-dark", "as/owner/schema", dark=True),
    Picture("schema-of-a-table", "as/owner/schema/projects", height=1400),
    Picture("isolation", "as/owner/isolation", ("main form button",), dark=True),
    Picture("history", "as/owner/history"),
    Picture("migration", "as/owner/history/0006_create_caller_helpers", dark=True),
    Picture("runs", "as/owner/runs"),
    Picture("find", "as/owner/people?q=loaf"),
    Picture("phone", f"as/{WILMA}/tables/projects", width=360, height=760),
    Picture("phone-view-as", f"as/{WILMA}/", (SWITCH,), width=360, height=760, dark=True),
)


def main() -> int:
    """Write the screenshots. Without Chromium, say so and return 0."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="default: pictures")
    parser.add_argument("--docs", action="store_true", help="only those in README, to docs/")
    options = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not chromium:
        sys.stdout.write("skipped: Chromium is not installed and CHROMIUM is not set\n")
        return 0
    folder = Path(__file__).parent if options.docs else options.out
    folder.mkdir(parents=True, exist_ok=True)
    with studio() as url:
        for path in screenshots(chromium, url, folder, docs=options.docs):
            sys.stdout.write(f"{path}  {path.stat().st_size // 1000} kB\n")
    return 0


@contextmanager
def studio() -> Iterator[str]:
    """Start a studio on the database that the runner uses here, and yield its link."""
    command = [sys.executable, "-m", "runner", "studio", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout  # noqa: S101 - it is a pipe
            text = ""
            while not text.endswith("\n}\n") and (line := process.stdout.readline()):
                text += line
            document = json.loads(text)
            if "url" not in document:
                raise SystemExit(document["error"]["message"])
            yield document["url"]
        finally:
            process.terminate()


def screenshots(chromium: str, url: str, folder: Path, *, docs: bool) -> Iterator[Path]:
    """Take the screenshots one after another, and yield the path of each."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - rarely installed

    sandbox = [] if os.getuid() else ["--no-sandbox"]  # Chromium refuses to sandbox root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=sandbox)
        for picture in PICTURES:
            if docs and not picture.docs:
                continue
            context = browser.new_context(
                viewport={"width": picture.width, "height": picture.height},
                color_scheme="dark" if picture.dark else "light",
            )
            page = context.new_page()
            page.goto(url + picture.path)
            for click in picture.clicks:
                page.locator(click).click(timeout=120_000)
            page.wait_for_load_state()
            path = folder / f"studio-{picture.name}.png"
            page.screenshot(path=path)
            context.close()
            yield path
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
