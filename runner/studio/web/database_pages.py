"""The pages about the database itself: its schema, the proof of isolation, its history."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from runner.errors import RunnerError
from runner.studio.actions import Demands, proof
from runner.studio.data import diagram, history, runs, views
from runner.studio.data.viewer import Person
from runner.studio.web.error_pages import NOT_FOUND, Problem
from runner.studio.web.routes import Studio, no_table
from runner.studio.web.urls import Address, unslug

# A picture styles itself. Nothing else is let in, so that markup in a name stays a picture.
_PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class Backstage:
    """Further pages of a studio."""

    def __init__(self, studio: Studio, demands: Demands) -> None:
        self._studio = studio
        self._demands = demands

    def routes(self) -> list[Route]:
        """Return their routes."""
        page = self._studio.page
        return [
            page("/schema", self._schema),
            page("/schema/{name}", self._table),
            page("/diagram.svg", self._diagram),
            page("/isolation", self._isolation),
            page("/isolation", self._prove, "POST"),
            page("/history", self._history),
            page("/history/rehearsal", self._rehearse, "POST"),
            page("/history/drift", self._compare, "POST"),
            page("/history/{id}", self._file),
            page("/runs", self._runs),
        ]

    def _schema(self, _: Request, person: Person) -> Response:
        tables = views.names(self._studio.connections)
        return self._studio.show(
            "schema.html", person, Address("schema"), tables=tables, drawable=diagram.drawable()
        )

    def _table(self, request: Request, person: Person) -> Response | Problem:
        name = unslug(request.path_params["name"])
        view = views.schema(self._studio.connections, person, name)
        if view is None:
            return no_table(name)
        return self._studio.show("schema_table.html", person, Address("schema", name), view=view)

    def _diagram(self, _: Request, __: Person) -> Response | Problem:
        try:
            text = diagram.svg(self._studio.connections)
        except RunnerError as error:
            return Problem(404, error.message, tuple(error.hint.splitlines()))
        headers = {"content-security-policy": _PICTURE_POLICY}
        return Response(text, media_type="image/svg+xml", headers=headers)

    def _isolation(self, _: Request, person: Person) -> Response:
        return self._studio.show(
            "isolation.html",
            person,
            Address("isolation"),
            **proof(self._demands),
        )

    def _prove(self, _: Request, person: Person) -> Response:
        self._demands.prove()
        return self._back(person, Address("isolation"))

    def _history(self, _: Request, person: Person) -> Response:
        return self._studio.show(
            "history.html",
            person,
            Address("history"),
            view=history.history(self._studio.connections, person, self._demands.settings.sql_dir),
            demands=self._demands,
        )

    def _file(self, request: Request, person: Person) -> Response | Problem:
        id_ = unslug(request.path_params["id"])
        folder = self._demands.settings.sql_dir
        view = history.file(self._studio.connections, person, folder, id_)
        if view is None:
            return NOT_FOUND
        return self._studio.show(
            "migration.html", person, Address("history", id_), view=view, demands=self._demands
        )

    def _runs(self, _: Request, person: Person) -> Response:
        log = self._demands.settings.log
        return self._studio.show(
            "runs.html", person, Address("runs"), runs=runs.read(log), log=log, attached=()
        )

    def _rehearse(self, _: Request, person: Person) -> Response:
        self._demands.rehearse()
        return self._back(person, Address("history"))

    def _compare(self, _: Request, person: Person) -> Response:
        self._demands.compare()
        return self._back(person, Address("history"))

    def _back(self, person: Person, address: Address) -> Response:
        """Lead back to the page that shows the result, so that a reload asks for nothing anew."""
        return RedirectResponse(self._studio.links.to(person, address) or "/", 303)
