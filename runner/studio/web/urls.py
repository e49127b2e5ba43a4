"""Where a page is: the same address as a link of the running studio, or as a file of a report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import urlencode

from runner.studio.data.viewer import Person

Pairs = tuple[tuple[str, str], ...]
_PLAIN = b"abcdefghijklmnopqrstuvwxyz0123456789_-"


@dataclass(frozen=True)
class Address:
    """A page: which kind, of what, and how it is asked for."""

    kind: str  # overview, table, record, schema, isolation, history, people, worlds, runs
    name: str = ""
    query: Pairs = ()

    @property
    def path(self) -> str:
        """The path below a person's own, without an ending."""
        of = f"/{slug(self.name)}" if self.name else ""
        known = {
            "overview": "",
            "table": f"tables{of}",
            "record": f"tables{of}/record",
            "diagram": "diagram.svg",
        }
        return known.get(self.kind, f"{self.kind}{of}")

    def without(self, *names: str) -> Address:
        """Return the address without some of its parameters."""
        return replace(self, query=tuple(pair for pair in self.query if pair[0] not in names))


class Links(Protocol):
    """Makes links. None where a page is not to be had."""

    def to(self, person: Person, address: Address) -> str | None:
        """Return a link to a page as somebody."""

    def asset(self, name: str) -> str:
        """Return a link to a file of static/."""


@dataclass(frozen=True)
class Live:
    """Links of the running studio: below its token."""

    root: str  # "/TOKEN"

    def to(self, person: Person, address: Address) -> str | None:
        query = f"?{urlencode(address.query)}" if address.query else ""
        return f"{self.root}/as/{person.slug}/{address.path}{query}"

    def asset(self, name: str) -> str:
        return f"{self.root}/static/{name}"


@dataclass(frozen=True)
class Static:
    """Links between the files of a report, from one of them."""

    here: str  # the file, from the report's folder
    files: frozenset[str]  # all there are

    def to(self, person: Person, address: Address) -> str | None:
        file = static_file(person, address)
        if file not in self.files:
            return None
        fragment = f"#{anchor(address.query)}" if address.kind == "record" else ""
        return f"{'../' * self.here.count('/')}{file}{fragment}"

    def asset(self, name: str) -> str:
        return f"{'../' * self.here.count('/')}static/{name}"


def static_file(person: Person, address: Address) -> str:
    """Return the file of a report that holds a page; a record is on its table's page."""
    if address.kind == "record":
        address = Address("table", address.name)
    ending = "" if address.kind == "diagram" else ".html"
    return f"as/{person.slug}/{address.path or 'index'}{ending}"


def anchor(key: Iterable[Sequence[str]]) -> str:
    """Return what names a record within its page."""
    return "r." + ".".join(slug(value) for _, value in key)


def slug(name: str) -> str:
    """Return a name as a part of an address or of a file name, on any file system."""
    return "".join(
        chr(byte) if byte in _PLAIN else f"~{byte:02x}" for byte in name.encode("utf-8", "replace")
    )


def unslug(text: str) -> str:
    """Return the name that `slug` made this of."""
    data = re.sub(rb"~([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), text.encode())
    return data.decode("utf-8", "replace")
