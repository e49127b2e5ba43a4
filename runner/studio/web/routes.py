"""The studio's addresses: which page answers which, and what stands there when something fails."""

from __future__ import annotations

from collections.abc import Callable
from mimetypes import guess_type
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from runner.postgres.target import Target
from runner.studio.data import paging, people, views
from runner.studio.data.paging import Filter, Wanted
from runner.studio.data.viewer import Person, Pool
from runner.studio.web import render
from runner.studio.web.error_pages import NOT_FOUND, READS_ONLY, Problem, in_words
from runner.studio.web.render import Frame
from runner.studio.web.urls import Address, Live, Pairs, unslug

Page = Callable[[Request, Person], Response | Problem]


class Studio:
    """The pages over one database, below one token."""

    def __init__(self, connections: Pool, target: Target, token: str) -> None:
        self.connections = connections
        self._target = target
        self.links = Live(f"/{token}")

    def app(self, *more: Route) -> Starlette:
        """Return the web application; `more` are further pages."""
        return Starlette(
            routes=[
                Route("/", self._start),
                Route("/static/{name}", self._asset),
                self.page("/", self._overview),
                self.page("/tables/{name}", self._table),
                self.page("/tables/{name}/record", self._record),
                self.page("/people", self._people),
                self.page("/worlds", self._worlds),
                *more,
            ],
            exception_handlers={404: self._lost, 405: self._only_reads},
        )

    def page(self, path: str, page: Page, *methods: str) -> Route:
        """Return the route of a page, below the person who looks."""

        def answer(request: Request) -> Response:
            try:
                person = people.person(self.connections, request.path_params["who"])
                found = page(request, person) if person else NOT_FOUND
            except Exception as error:
                found = in_words(error)
            return self._instead(found) if isinstance(found, Problem) else found

        return Route(f"/as/{{who}}{path}", answer, methods=list(methods) or ["GET"])

    def show(
        self, template: str, person: Person, here: Address, *, status: int = 200, **content: Any
    ) -> Response:
        """Return a page in its frame."""
        frame = Frame(
            person=person,
            crowd=people.crowd(self.connections),
            tables=views.names(self.connections),
            database=self._target.name,
            user=self._target.parameters.get("user", ""),
            links=self.links,
            here=here,
        )
        return HTMLResponse(render.page(template, frame, **content), status)

    def _start(self, _: Request) -> Response:
        return RedirectResponse(self.links.to(people.OWNER, Address("overview")) or "/", 303)

    def _asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        content = render.asset(name)
        if content is None:
            return self._instead(NOT_FOUND)
        return Response(content, media_type=guess_type(name)[0])

    def _overview(self, _: Request, person: Person) -> Response:
        summaries = views.overview(self.connections, person)
        return self.show("overview.html", person, Address("overview"), summaries=summaries)

    def _table(self, request: Request, person: Person) -> Response | Problem:
        name, wanted = unslug(request.path_params["name"]), _wanted(request)
        view = views.table(self.connections, person, name, wanted)
        if view is None:
            return no_table(name)
        kept: list[tuple[str, str]] = [("sort", wanted.sort)] if wanted.sort else []
        kept += [("reverse", "1")] if wanted.reverse else []
        filters = [
            pair
            for one in wanted.filters
            for pair in (("c", one.column), ("op", one.operator), ("v", one.value))
        ]
        return self.show(
            "table.html",
            person,
            Address("table", name, _query(request)),
            status=400 if view.page and view.page.refused else 200,
            view=view,
            operators=paging.OPERATORS,
            kept=kept,
            filters=filters,
        )

    def _record(self, request: Request, person: Person) -> Response | Problem:
        name, key = unslug(request.path_params["name"]), _query(request)
        view = views.record(self.connections, person, name, key)
        if view is None:
            return no_table(name)
        here = Address("record", name, key)
        status = 200 if view.record else 404
        return self.show("record.html", person, here, status=status, view=view)

    def _people(self, request: Request, person: Person) -> Response:
        word = request.query_params.get("q", "")[:200].replace("\0", "").strip()
        found = people.find(self.connections, word) if word else ()
        here = Address("people", query=_query(request))
        return self.show("people.html", person, here, found=found, word=word)

    def _worlds(self, _: Request, person: Person) -> Response:
        everybody = people.crowd(self.connections).everybody()
        worlds = views.worlds(self.connections, everybody)
        return self.show("worlds.html", person, Address("worlds"), worlds=worlds)

    def _lost(self, _: Request, __: Exception) -> Response:
        return self._instead(NOT_FOUND)

    def _only_reads(self, _: Request, __: Exception) -> Response:
        return self._instead(READS_ONLY)

    def _instead(self, problem: Problem) -> Response:
        text = render.bare(
            "problem.html",
            title=problem.title,
            lines=problem.lines,
            command=problem.command,
            back=self.links.to(people.OWNER, Address("overview")),
            css=self.links.asset("studio.css"),
        )
        return HTMLResponse(text, problem.status)


def no_table(name: str) -> Problem:
    """Say that there is no such table."""
    return Problem(404, "There is no such table", (f"{name} is no table or view of public.",))


def _query(request: Request) -> Pairs:
    return tuple((n, v.replace("\0", "")) for n, v in request.query_params.multi_items())


def _wanted(request: Request) -> Wanted:
    """Read which page is asked for; what makes no sense in an address is left out."""
    asked = _query(request)

    def all_(name: str) -> tuple[str, ...]:
        return tuple(value for key, value in asked if key == name)

    triples = zip(all_("c"), all_("op"), all_("v"), strict=False)
    return Wanted(
        sort=next(iter(all_("sort")), ""),
        reverse="reverse" in request.query_params,
        filters=tuple(
            Filter(c, op, v)
            for c, op, v in triples
            if c and op in paging.OPERATORS and (v or op in paging.WITHOUT_VALUE)
        ),
        after=all_("after"),
        before=all_("before"),
    )
