"""Addresses of pages, as links of the running studio or as files of a report."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import urlencode

from runner.studio.data.viewer import Person

Pairs = tuple[tuple[str, str], ...]
_LONGEST_NAME = 200  # of a file, without its extension
_UNESCAPED = b"abcdefghijklmnopqrstuvwxyz0123456789_-"


@dataclass(frozen=True)
class Address:
    """A page: its kind, the object it shows, and the query parameters."""

    # comparison, overview, table, record, schema, diagram, isolation, history, people, runs
    kind: str
    name: str = ""
    query: Pairs = ()

    @property
    def path(self) -> str:
        """The path below `/as/PERSON/`, without a file extension."""
        suffix = f"/{slug(self.name)}" if self.name else ""
        special = {
            "overview": "",
            "table": f"tables{suffix}",
            "record": f"tables{suffix}/record",
            "diagram": f"diagram{suffix}.svg",
        }
        return special.get(self.kind, f"{self.kind}{suffix}")

    def with_(self, name: str, value: str) -> Address:
        """Return the address with one query parameter set."""
        return replace(self, query=(*self.without(name).query, (name, value)))

    def without(self, *names: str) -> Address:
        """Return the address without some of its query parameters."""
        return replace(self, query=tuple(pair for pair in self.query if pair[0] not in names))


class Links(Protocol):
    """Makes links to pages and assets."""

    def to(self, person: Person, address: Address) -> str | None:
        """Return a link to a page as a person, or None if there is no such page."""

    def asset(self, name: str) -> str:
        """Return a link to a file of static/."""


@dataclass(frozen=True)
class LiveLinks:
    """Links in the running studio."""

    root: str  # "/TOKEN"

    def to(self, person: Person, address: Address) -> str | None:
        query = f"?{urlencode(address.query)}" if address.query else ""
        return f"{self.root}/as/{slug(person.slug)}/{address.path}{query}"

    def asset(self, name: str) -> str:
        return f"{self.root}/static/{name}"


@dataclass(frozen=True)
class StaticLinks:
    """Relative links from one file of a report to its other files."""

    here: str  # the file's path in the report
    files: frozenset[str]  # paths of all files in the report

    def to(self, person: Person, address: Address) -> str | None:
        file = static_file(person, address)
        if file not in self.files:
            return None
        fragment = f"#{anchor(address.query)}" if address.kind == "record" else ""
        return f"{'../' * self.here.count('/')}{file}{fragment}"

    def asset(self, name: str) -> str:
        return f"{'../' * self.here.count('/')}static/{name}"


def static_file(person: Person, address: Address) -> str:
    """Return the path of a page in a report; a record is part of its table's page."""
    if address.kind == "record":
        address = Address("table", address.name)
    extension = "" if address.kind == "diagram" else ".html"
    return f"as/{_short(slug(person.slug))}/{_short(address.path or 'index')}{extension}"


def _short(path: str) -> str:
    """Return a path whose last part is short enough for the name of a file, and unique."""
    folder, _, name = path.rpartition("/")
    if len(name) > _LONGEST_NAME:
        name = f"{name[:40]}-{hashlib.sha256(name.encode()).hexdigest()[:24]}"
    return f"{folder}/{name}" if folder else name


def anchor(key: Iterable[Sequence[str]]) -> str:
    """Return the HTML id of a record on its table's page."""
    return "r." + ".".join(slug(value) for _, value in key)


def slug(name: str) -> str:
    """Return a name encoded for a URL path or a file name on any file system."""
    return "".join(
        chr(byte) if byte in _UNESCAPED else f"~{byte:02x}"
        for byte in name.encode("utf-8", "replace")
    )


def unslug(text: str) -> str:
    """Return the name that `slug` encoded."""
    data = re.sub(rb"~([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), text.encode())
    return data.decode("utf-8", "replace")
