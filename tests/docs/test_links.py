"""Links, tests and files that the documentation names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import PAGES, ROOT, anchors, links, text

_FOLDERS = "runner|sql|seeds|tests|docs"
_WEB = re.compile(r"https?://")


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_has_a_target(page: Path) -> None:
    broken = []
    for link in links(page):
        if _WEB.match(link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_named_test_exists(page: Path) -> None:
    files = (ROOT / "tests").rglob("*.py")
    defined = set(re.findall(r"def (test_\w+)\(", "".join(map(text, files))))
    named = set(re.findall(r"`(test_\w+)`", text(page)))
    examples = {"test_lock_timeout_names_the_holder"} if page.name == "CONTRIBUTING.md" else set()
    assert sorted(named - defined - examples) == []


def test_readme_names_a_test_for_each_guarantee() -> None:
    numbers = re.findall(r"^(\d+)\. \*\*", text(PAGES[0]), re.MULTILINE)
    guarantees = re.split(r"^\d+\. \*\*", text(PAGES[0]), flags=re.MULTILINE)[1:]
    assert numbers == [str(number) for number in range(1, 20)]
    assert all("`test_" in guarantee for guarantee in guarantees)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_named_file_exists(page: Path) -> None:
    """Except in examples, whose numbers are above the last migration."""
    last = max(path.name[:4] for path in (ROOT / "sql").glob("[0-9]*.sql"))
    named = set(re.findall(rf"`((?:{_FOLDERS})/[\w./*-]*)`", text(page)))
    named = {name for name in named if "NAME" not in name}
    examples = {name for name in named if re.match(r"sql/\d{4}", name) and name[4:8] > last}
    missing = [name for name in named - examples if not list(ROOT.glob(name.rstrip("/")))]
    assert missing == []
