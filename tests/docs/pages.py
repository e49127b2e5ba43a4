"""The documentation as data: pages, sections, code blocks, links."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (
    README,
    *(ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
)

_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^()\s]+)\)")


def text(page: Path) -> str:
    """Return the text of a page."""
    return page.read_text(encoding="utf-8")


def section(page: Path, title: str) -> str:
    """Return what follows a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,6}} |\Z)", text(page), re.M | re.S)
    assert found, f"{page.name} has no section {title!r}"
    level = len(found[1])
    rest = text(page)[found.start(2) :]
    end = re.search(rf"^#{{1,{level}}} ", _without_code(rest), re.M)
    return rest[: end.start()] if end else rest


def blocks(markdown: str, language: str) -> list[str]:
    """Return the code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", markdown, re.DOTALL | re.MULTILINE)


def headings(page: Path) -> list[str]:
    """Return the headings of a page, without their marks."""
    return _HEADING.findall(_without_code(text(page)))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page, as GitHub makes them of its headings."""
    words = (re.sub(r"[`*]", "", heading).lower() for heading in headings(page))
    return {re.sub(r"[^\w\- ]", "", word).replace(" ", "-") for word in words}


def links(page: Path) -> list[str]:
    """Return the targets of all links and images of a page."""
    return _LINK.findall(_without_code(text(page)))


def table_rows(markdown: str) -> list[list[str]]:
    """Return the cells of every table row, headers and rulers left out."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rulers = [number for number, row in enumerate(cells) if set("".join(row)) <= set("- :")]
    unwanted = {*rulers, *(number - 1 for number in rulers)}
    return [row for number, row in enumerate(cells) if number not in unwanted]


def _without_code(markdown: str) -> str:
    """Return the text with spaces in place of code blocks, so that offsets stay the same."""
    return _FENCE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), markdown)
