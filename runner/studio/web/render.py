"""Render pages with Jinja templates; format sizes, numbers and SQL in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from runner.preflight import rehearsal_report
from runner.preflight.rehearsal_report import TableImpact
from runner.studio.data.people import Identities
from runner.studio.data.tables import Table
from runner.studio.data.viewer import Person
from runner.studio.web.urls import Address, Links, Pairs, anchor, slug


@dataclass(frozen=True)
class Frame:
    """The parts that every page shares: header, navigation, and whom it is viewed as."""

    person: Person
    identities: Identities
    tables: tuple[Table, ...]
    database: str
    user: str  # the connecting role
    links: Links
    here: Address
    login_statement: str  # makes a login that is no superuser; empty if there is one
    live: bool = True  # False in a report: no forms, no server behind it


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("runner.studio.web", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(size=size, number=number, sql=highlighted, cursor=cursor)
    environment.globals.update(
        anchor=anchor,
        describe_impact=_describe_impact,
        warnings=rehearsal_report.warnings,
        fragment=_fragment,
    )
    return environment


def page(template: str, frame: Frame, **content: Any) -> str:
    """Return a page with its frame as HTML. A variable that a template misses is an error."""

    def link(kind: str, name: str = "", query: Pairs = (), person: Person | None = None) -> Any:
        return frame.links.to(person or frame.person, Address(kind, name, tuple(query)))

    def view_as(person: Person) -> str | None:
        """Link to this page as another person. Without cursors: they see other rows."""
        same = frame.links.to(person, frame.here.without("after", "before"))
        return same or frame.links.to(person, Address("overview"))

    return (
        _templates()
        .get_template(template)
        .render(frame=frame, link=link, view_as=view_as, asset=frame.links.asset, **content)
    )


def standalone(template: str, **content: Any) -> str:
    """Return a page without a frame as HTML; it needs no database."""
    return _templates().get_template(template).render(**content)


def asset(name: str) -> bytes | None:
    """Return a file of static/ by name, or None if there is no such file."""
    for file in (files("runner.studio.web") / "static").iterdir():
        if file.name == name:
            return file.read_bytes()
    return None


def assets() -> list[str]:
    """Return the names of the files in static/, sorted."""
    return sorted(file.name for file in (files("runner.studio.web") / "static").iterdir())


@cache
def _lexer() -> Any:
    from pygments.lexers import PostgresLexer  # noqa: PLC0415 - slow to load, rarely needed

    return PostgresLexer(stripnl=False)


def highlighted(text: str) -> Markup:
    """Return SQL with syntax highlighting. Pygments escapes all text."""
    from pygments import highlight  # noqa: PLC0415
    from pygments.formatters import HtmlFormatter  # noqa: PLC0415

    return Markup(highlight(text, _lexer(), HtmlFormatter(nowrap=True)))  # noqa: S704


def _fragment(*words: str) -> str:
    """Return an element's id made of words, as in `#notes-member-select`."""
    return "-".join(slug(word) for word in words)


def _describe_impact(impact: TableImpact) -> str:
    return rehearsal_report.describe(impact, on_copy=False)


def size(amount: float) -> str:
    """Format a number of bytes with a binary unit: `8 kB` for 8192."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1024 or unit == "TB":
            break
        amount /= 1024
    return f"{amount:,.0f} {unit}"


def number(value: float | None) -> str:
    """Format a number with thousands separators; None is empty."""
    return "" if value is None else f"{value:,.0f}"


def cursor(value: str, name: str) -> tuple[str, str]:
    """Return one value of a cursor as a query parameter."""
    return name, value
