"""Data into pages: the templates, and how a value, a size, a time is written in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from runner.preflight import rehearsal_report
from runner.preflight.rehearsal_report import Touch
from runner.studio.data.people import Crowd
from runner.studio.data.tables import Table
from runner.studio.data.viewer import Person
from runner.studio.web.urls import Address, Links, Pairs, anchor, slug


@dataclass(frozen=True)
class Frame:
    """What stands around every page: who looks, at which database, what else there is."""

    person: Person
    crowd: Crowd
    tables: tuple[Table, ...]
    database: str
    user: str  # the connecting role
    links: Links
    here: Address
    live: bool = True


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
        anchor=anchor, said=_said, warnings=rehearsal_report.warnings, place=_place
    )
    return environment


def page(template: str, frame: Frame, **content: Any) -> str:
    """Return a page as HTML."""

    def link(kind: str, name: str = "", query: Pairs = (), person: Person | None = None) -> Any:
        return frame.links.to(person or frame.person, Address(kind, name, tuple(query)))

    def as_(person: Person) -> str | None:
        """The same page as somebody else; from the first rows on, for they have others."""
        same = frame.links.to(person, frame.here.without("after", "before"))
        return same or frame.links.to(person, Address("overview"))

    return (
        _templates()
        .get_template(template)
        .render(frame=frame, link=link, as_=as_, asset=frame.links.asset, **content)
    )


def bare(template: str, **content: Any) -> str:
    """Return a page that stands alone: there may be no database to frame it with."""
    return _templates().get_template(template).render(**content)


def asset(name: str) -> bytes | None:
    """Return a file of static/, or None when there is no such one."""
    for file in (files("runner.studio.web") / "static").iterdir():
        if file.name == name:
            return file.read_bytes()
    return None


def assets() -> list[str]:
    """Return the names of the files of static/."""
    return sorted(file.name for file in (files("runner.studio.web") / "static").iterdir())


@cache
def _lexer() -> Any:
    from pygments.lexers import PostgresLexer  # noqa: PLC0415 - slow to load, seldom needed

    return PostgresLexer(stripnl=False)


def highlighted(text: str) -> Markup:
    """Return SQL in colours; Pygments escapes what it does not know."""
    from pygments import highlight  # noqa: PLC0415
    from pygments.formatters import HtmlFormatter  # noqa: PLC0415

    return Markup(highlight(text, _lexer(), HtmlFormatter(nowrap=True)))  # noqa: S704


def _place(*words: str) -> str:
    """Return what names a part of a page by some words."""
    return "-".join(slug(word) for word in words)


def _said(touch: Touch) -> str:
    return rehearsal_report.said(touch, on_copy=False)


def size(amount: float) -> str:
    """Write an amount of bytes."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1024 or unit == "TB":
            break
        amount /= 1024
    return f"{amount:,.0f} {unit}"


def number(value: float | None) -> str:
    """Write a number; nothing for none."""
    return "" if value is None else f"{value:,.0f}"


def cursor(value: str, name: str) -> tuple[str, str]:
    """Return a part of a cursor as a parameter of an address."""
    return name, value
