"""The studio's web application: routes, pages of records, error handling."""

from __future__ import annotations

import re
from collections.abc import Callable
from mimetypes import guess_type
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from runner.postgres.target import Target
from runner.studio.data import paging, people, records, views
from runner.studio.data.paging import Filter, PageRequest
from runner.studio.data.viewer import Person, Source
from runner.studio.web import render
from runner.studio.web.error_pages import METHOD_NOT_ALLOWED, NOT_FOUND, Problem, problem_for
from runner.studio.web.render import Frame
from runner.studio.web.urls import Address, LiveLinks, Pairs, unslug

Page = Callable[[Request, Person], Response | Problem]


class Studio:
    """The pages about one database, with URLs below one token."""

    def __init__(self, source: Source, target: Target, token: str) -> None:
        self.source = source
        self._target = target
        self.links = LiveLinks(f"/{token}")

    def app(self, *more: Route) -> Starlette:
        """Return the web application, with `more` routes after its own."""
        return Starlette(
            routes=[
                Route("/", self._start),
                Route("/static/{name}", self._asset),
                self.page("/", self._overview),
                self.page("/tables/{name}", self._table),
                self.page("/tables/{name}/record", self._record),
                self.page("/people", self._people),
                self.page("/comparison", self._comparison),
                *more,
            ],
            exception_handlers={404: self._not_found, 405: self._method_not_allowed},
        )

    def page(self, path: str, page: Page, *methods: str) -> Route:
        """Return the route of a page below `/as/PERSON`. An exception becomes an error page."""

        def respond(request: Request) -> Response:
            try:
                person = people.person(self.source, unslug(request.path_params["who"]))
                found = page(request, person) if person else NOT_FOUND
            except Exception as error:
                found = problem_for(error)
            return self._error_page(found) if isinstance(found, Problem) else found

        return Route(f"/as/{{who}}{path}", respond, methods=list(methods) or ["GET"])

    def show(
        self, template: str, person: Person, here: Address, *, status: int = 200, **content: Any
    ) -> Response:
        """Return a page with its header and navigation."""
        frame = Frame(
            person=person,
            identities=people.identities(self.source),
            tables=views.names(self.source),
            database=self._target.name,
            user=self._target.parameters.get("user", ""),
            links=self.links,
            login_statement=self.source.login_statement,
            here=here,
        )
        return HTMLResponse(render.page(template, frame, **content), status)

    def _start(self, _: Request) -> Response:
        return RedirectResponse(self.links.to(people.CONNECTED, Address("comparison")) or "/", 303)

    def _asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        content = render.asset(name)
        if content is None:
            return self._error_page(NOT_FOUND)
        return Response(content, media_type=guess_type(name)[0])

    def _overview(self, request: Request, person: Person) -> Response:
        like, page = _text(request, "tables"), _text(request, "page")
        view = views.overview(
            self.source,
            person,
            tables_like=like,
            page=int(page) if re.fullmatch(r"[0-9]{1,6}", page) else 1,
            patience=_patience(request),
        )
        here = Address("overview", query=_query(request))
        return self.show("overview.html", person, here, view=view, like=like)

    def _table(self, request: Request, person: Person) -> Response | Problem:
        name, page_request = unslug(request.path_params["name"]), _page_request(request)
        view = views.table(self.source, person, name, page_request)
        if view is None:
            return table_not_found(name)
        sorting: list[tuple[str, str]] = []
        sorting += [("sort", page_request.sort)] if page_request.sort else []
        sorting += [("reverse", "1")] if page_request.reverse else []
        filters = [
            pair
            for one in page_request.filters
            for pair in (("c", one.column), ("op", one.operator), ("v", one.value))
        ]
        return self.show(
            "table.html",
            person,
            Address("table", name, _query(request)),
            status=400 if view.page and view.page.filter_error else 200,
            view=view,
            operators=paging.OPERATORS,
            sorting=sorting,
            filters=filters,
        )

    def _record(self, request: Request, person: Person) -> Response | Problem:
        name, key = unslug(request.path_params["name"]), _query(request)
        view = views.record(self.source, person, name, key)
        if view is None:
            return table_not_found(name)
        here = Address("record", name, key)
        status = 200 if view.record else 404
        return self.show("record.html", person, here, status=status, view=view)

    def _people(self, request: Request, person: Person) -> Response:
        text = _text(request, "q")
        found = people.find(self.source, text) if text else ()
        here = Address("people", query=_query(request))
        return self.show("people.html", person, here, found=found, text=text)

    def _comparison(self, request: Request, person: Person) -> Response:
        among, tables = _text(request, "people"), _text(request, "tables")
        if among:
            found = people.find(self.source, among)
            some = [one for tenant in found for one in tenant.people if one.slug]
        else:
            some = people.identities(self.source).some(views.MAX_COMPARED)
        comparison = views.comparison(self.source, some, tables, _patience(request))
        here = Address("comparison", query=_query(request))
        return self.show(
            "comparison.html", person, here, comparison=comparison, people=among, like=tables
        )

    def _not_found(self, _: Request, __: Exception) -> Response:
        return self._error_page(NOT_FOUND)

    def _method_not_allowed(self, _: Request, __: Exception) -> Response:
        return self._error_page(METHOD_NOT_ALLOWED)

    def _error_page(self, problem: Problem) -> Response:
        text = render.standalone(
            "problem.html",
            title=problem.title,
            lines=problem.lines,
            command=problem.command,
            back=self.links.to(people.CONNECTED, Address("comparison")),
            css=self.links.asset("studio.css"),
        )
        return HTMLResponse(text, problem.status)


def table_not_found(name: str) -> Problem:
    """Return the error page for a table that does not exist."""
    return Problem(
        404, "Table not found", (f"There is no table or view {name} in an exposed schema.",)
    )


def _query(request: Request) -> Pairs:
    return tuple((n, v.replace("\0", "")) for n, v in request.query_params.multi_items())


def _text(request: Request, name: str) -> str:
    """Return what was typed into a search field."""
    return request.query_params.get(name, "")[:200].replace("\0", "").strip()


def _patience(request: Request) -> records.Patience:
    return records.FULL if request.query_params.get("count") == "all" else records.BRIEF


def _page_request(request: Request) -> PageRequest:
    """Read a page request from the URL. Filters that are incomplete or unknown are ignored."""
    query = _query(request)

    def values(name: str) -> tuple[str, ...]:
        return tuple(value for key, value in query if key == name)

    triples = zip(values("c"), values("op"), values("v"), strict=False)
    return PageRequest(
        sort=next(iter(values("sort")), ""),
        reverse="reverse" in request.query_params,
        filters=tuple(
            Filter(c, op, v)
            for c, op, v in triples
            if c and op in paging.OPERATORS and (v or op in paging.WITHOUT_VALUE)
        ),
        after=values("after"),
        before=values("before"),
    )
