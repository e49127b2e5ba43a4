"""The studio in a real browser: navigation, keyboard, accessibility, no external requests.

Skipped where Chromium is not installed; the other tests make the same requests over HTTP.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import Database, one_server
from playwright.sync_api import Browser, Page, expect, sync_playwright

from .conftest import MAREN, SKERRY, STRANGER, WILMA, Report, RunningStudio, write_markup

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")

pytestmark = [
    one_server,
    pytest.mark.skipif(
        not CHROMIUM, reason="Chromium is not installed: put it on the PATH, or name it in CHROMIUM"
    ),
]
PAGES = [
    "as/owner/",
    f"as/{MAREN}/",
    f"as/{MAREN}/tables/projects",
    f"as/{WILMA}/tables/audit_logs",
    "as/owner/tables/users",
    "as/owner/tables/audit_logs?sort=created_at&reverse=1",
    f"as/{MAREN}/tables/projects/record?org_id={SKERRY}&id=cskerryproj01tidebook0000",
    f"as/{STRANGER}/tables/projects/record?org_id={SKERRY}&id=cskerryproj01tidebook0000",
    "as/anon/tables/projects",
    "as/service_role/comparison",
    "as/owner/schema",
    "as/owner/schema/workflows",
    "as/owner/isolation",
    "as/owner/history",
    f"as/{MAREN}/history",
    "as/owner/history/0009_enable_row_level_security",
    "as/owner/runs",
    "as/owner/people?q=loaf",
    "as/owner/people?q=no+such+person",
    "as/owner/nowhere",
]


@dataclass
class Watched:
    """A browser page, with its requests and errors recorded."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # of the console, scripts, dialogs

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: self.errors.append(dialog.message))
        self.page.on("console", lambda message: self._record(message.type, message.text))

    def _record(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and "status of 40" not in text:  # our own 404 page
            self.errors.append(text)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sandbox = [] if os.getuid() else ["--no-sandbox"]  # Chromium refuses to sandbox root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()


@contextmanager
def watching(browser: Browser, **options: Any) -> Iterator[Watched]:
    options.setdefault("viewport", {"width": 1440, "height": 900})
    context = browser.new_context(**options)
    try:
        watched = Watched(context.new_page())
        yield watched
        assert watched.errors == []
    finally:
        context.close()


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    with watching(browser) as watched:
        yield watched


def test_two_clicks_switch_the_person(studio: RunningStudio, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{studio.url}as/{MAREN}/tables/projects")
    expect(page.get_by_role("cell", name="Tidebook", exact=True)).to_be_visible()
    page.locator("#switch > summary").click()
    page.get_by_role("link", name="Wilma Tansy-Okoro").click()
    expect(page).to_have_url(f"{studio.url}as/{WILMA}/tables/projects")
    expect(page.locator("#switch > summary")).to_contain_text("Wilma Tansy-Okoro MEMBER Odd Loaf")
    expect(page.locator("tbody tr")).to_have_count(4)
    expect(page.get_by_role("cell", name="Tidebook", exact=True)).to_have_count(0)


def test_record_of_another_organization_is_not_found_by_a_stranger(
    studio: RunningStudio, watched: Watched
) -> None:
    page = watched.page
    page.goto(f"{studio.url}as/{MAREN}/tables/projects")
    page.get_by_title("cskerryproj01tidebook0000").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("cskerryproj01tidebook0000")
    page.locator("#switch > summary").click()
    page.get_by_role("link", name="A stranger").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    assert "Tidebook" not in page.content()


def test_other_methods_and_injected_form_are_rejected(
    studio: RunningStudio, watched: Watched
) -> None:
    page = watched.page
    for method in ("post", "put", "patch", "delete"):
        url = f"{studio.url}as/owner/tables/projects"
        assert getattr(page.request, method)(url).status == 405
    page.goto(f"{studio.url}as/owner/tables/projects")
    page.evaluate(
        """() => {
            const form = document.createElement("form");
            form.method = "post";
            form.innerHTML = '<input name="name" value="changed"><button id="go">Go</button>';
            document.querySelector("main").append(form);
        }"""
    )
    page.locator("#go").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Method not allowed")


def test_markup_in_data_is_shown_as_text(
    seeded: Database, start_studio: Callable[..., RunningStudio], watched: Watched
) -> None:
    write_markup(seeded)
    studio, page = start_studio(seeded.conninfo()), watched.page
    for table in ("ai_agents", "audit_logs", "users"):  # test_records has all of them
        page.goto(f"{studio.url}as/owner/tables/{table}")
        for fold in page.locator("details.json > summary").all()[:3]:
            fold.click()
        expect(page.locator("main").get_by_text("<script>alert(1)</script>").first).to_be_visible()
        assert page.locator("main script, main img, main b:not(.commands b)").count() == 0
        page.locator("td.of-id a").last.click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.locator("#switch > summary").click()
    expect(page.locator("#switch h2").first).to_contain_text("<img src=x")


def test_json_is_collapsed_until_clicked(studio: RunningStudio, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{studio.url}as/{MAREN}/tables/organizations")
    expect(page.get_by_text('"timezone": "Atlantic/Faroe"')).to_be_hidden()
    page.locator("details.json > summary").first.click()
    expect(page.get_by_text('"timezone": "Atlantic/Faroe"')).to_be_visible()


def test_keyboard_navigation(studio: RunningStudio, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{studio.url}as/owner/tables/projects")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("value")).to_be_focused()
    page.keyboard.press("Escape")
    page.locator("main").focus()
    page.keyboard.press("v")
    expect(page.locator("#switch .panel")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#switch .panel")).to_be_hidden()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Maren Skaill").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{studio.url}as/{MAREN}/tables/projects")


def test_works_without_javascript(studio: RunningStudio, browser: Browser) -> None:
    with watching(browser, java_script_enabled=False) as watched:
        page = watched.page
        page.goto(studio.url)
        page.locator("#switch > summary").click()
        page.locator("#switch").get_by_role("link", name="Maren Skaill").click()
        page.get_by_role("link", name="projects").first.click()
        page.get_by_label("Only where").select_option("status")
        page.get_by_label("value").fill("draft")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        page.get_by_role("link", name=re.compile("Remove the filter")).click()
        expect(page.locator("tbody tr")).to_have_count(4)


def test_cell_of_the_matrix_links_to_its_statement(
    seeded: Database, start_studio: Callable[..., RunningStudio], browser: Browser
) -> None:
    studio = start_studio(seeded.conninfo())
    with watching(browser, bypass_csp=True) as watched:
        page = watched.page
        page.goto(f"{studio.url}as/owner/isolation")
        page.get_by_role("button", name="Run the proof").click(timeout=120_000)
        expect(page.locator(".verdict")).to_contain_text("Proven", timeout=120_000)
        expect(page.locator("main")).to_contain_text("0 breaches")
        region = page.get_by_role("region", name="public.projects", exact=True)
        region.get_by_role("link").first.click()
        expect(page.get_by_text("from public.projects where").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible_and_make_no_external_requests(
    studio: RunningStudio, browser: Browser, scheme: str
) -> None:
    axe = Axe()
    only = {"runOnly": ["color-contrast"]} if scheme == "dark" else None  # the rest is the same
    with watching(browser, color_scheme=scheme, bypass_csp=True) as watched:  # axe needs its script
        for path in PAGES[:: 6 if only else 2]:
            watched.page.goto(studio.url + path)
            watched.page.evaluate(
                "document.querySelectorAll('main details:not(.json)').forEach(d => d.open = true)"
            )
            results = axe.run(watched.page, options=only)
            assert results.violations_count == 0, f"{path}\n{results.generate_report()}"
        watched.page.goto(studio.url)
        watched.page.locator("#switch > summary").click()
        results = axe.run(watched.page, options=only)
        assert results.violations_count == 0, results.generate_report()
        assert all(url.startswith(studio.url) for url in watched.requests), watched.requests


def test_no_page_is_wider_than_a_phone_or_breaks_its_own_content_security_policy(
    studio: RunningStudio, browser: Browser
) -> None:
    """What the policy forbids is an error of the console."""
    with watching(browser, viewport={"width": 360, "height": 740}) as watched:
        for path in PAGES:
            watched.page.goto(studio.url + path)
            watched.page.wait_for_load_state("load")
            wide = watched.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 360, (path, wide)
        watched.page.goto(studio.url)
        watched.page.locator("#switch > summary").click()
        watched.page.locator("#switch").get_by_text("Wilma Tansy-Okoro").click()
        expect(watched.page).to_have_url(f"{studio.url}as/{WILMA}/comparison")
        assert all(url.startswith(studio.url) for url in watched.requests), watched.requests


def test_report_opens_from_disk(report: Report, watched: Watched) -> None:
    page = watched.page
    page.goto((report.folder / "index.html").as_uri())
    expect(page.get_by_role("heading", level=1)).to_have_text("Who sees what")
    page.locator("#switch > summary").click()
    page.locator("#switch").get_by_text("Wilma Tansy-Okoro").click()
    page.get_by_role("link", name="projects").first.click()
    expect(page.locator("tbody tr")).to_have_count(4)
    page.get_by_role("link", name="Schema", exact=True).click()
    picture = page.locator(".diagram img")
    assert picture.evaluate("image => image.complete && image.naturalWidth > 100")
    assert all(url.startswith(report.folder.as_uri()) for url in watched.requests)
