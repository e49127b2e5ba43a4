"""Take pictures of the studio: python docs/pictures.py [--out DIR] [--docs]

Of the database that the runner would use here, in headless Chromium, into `pictures/`, which git
ignores. `--docs` takes the few that README shows, small, into docs/.
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
    """One page, as wide as it is looked at, and what is clicked before."""

    name: str
    path: str
    clicks: tuple[str, ...] = ()
    width: int = 1440
    height: int = 860
    dark: bool = False
    docs: bool = False  # README shows it


WHO_MAY = ".who-may > summary"
SWITCH = "#switch > summary"
RECORD = "record?org_id=cskerryline00000000000000&id=cskerryproj01tidebook0000"
PICTURES = (
    Picture("overview", "as/owner/"),
    Picture("overview-as-a-member", f"as/{WILMA}/"),
    Picture(
        "records-as-an-owner",
        f"as/{MAREN}/tables/projects",
        (WHO_MAY,),
        height=620,
        docs=True,
    ),
    Picture(
        "records-as-a-member",
        f"as/{WILMA}/tables/projects",
        (WHO_MAY,),
        height=620,
        docs=True,
    ),
    Picture("look-as", f"as/{MAREN}/tables/users", (SWITCH,), dark=True),
    Picture("workflows", f"as/{MAREN}/tables/workflows"),
    Picture("json", f"as/{MAREN}/tables/workflows", ("details.json >> nth=0",)),
    Picture("audit-logs", "as/owner/tables/audit_logs", dark=True),
    Picture("nothing-for-a-member", f"as/{WILMA}/tables/audit_logs"),
    Picture("anon", "as/anon/tables/users"),
    Picture("record", f"as/{MAREN}/tables/projects/{RECORD}", (WHO_MAY,)),
    Picture("not-found", f"as/{WILMA}/tables/projects/{RECORD}"),
    Picture("who-sees-what", "as/owner/worlds", height=560, docs=True),
    Picture("schema", "as/owner/schema"),
    Picture("schema-in-the-dark", "as/owner/schema", dark=True),
    Picture("schema-of-a-table", "as/owner/schema/projects", height=1400),
    Picture("isolation", "as/owner/isolation", ("main form button",), dark=True),
    Picture("history", "as/owner/history"),
    Picture("migration", "as/owner/history/0006_create_caller_helpers", dark=True),
    Picture("runs", "as/owner/runs"),
    Picture("find", "as/owner/people?q=loaf"),
    Picture("telephone", f"as/{WILMA}/tables/projects", width=360, height=760),
    Picture("telephone-look-as", f"as/{WILMA}/", (SWITCH,), width=360, height=760, dark=True),
)


def main() -> int:
    """Take them; where there is no Chromium say so, which is no error."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="default: pictures")
    parser.add_argument("--docs", action="store_true", help="those of README, into docs/")
    options = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not chromium:
        sys.stdout.write("skipped: Chromium is not installed, and CHROMIUM names none\n")
        return 0
    folder = Path(__file__).parent if options.docs else options.out
    folder.mkdir(parents=True, exist_ok=True)
    with studio() as url:
        for path in taken(chromium, url, folder, docs=options.docs):
            sys.stdout.write(f"{path}  {path.stat().st_size // 1000} kB\n")
    return 0


@contextmanager
def studio() -> Iterator[str]:
    """Start a studio on whatever database the runner uses here; yields its link."""
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


def taken(chromium: str, url: str, folder: Path, *, docs: bool) -> Iterator[Path]:
    """Take one picture after another."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - seldom installed

    sandbox = [] if os.getuid() else ["--no-sandbox"]  # which root cannot have
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
