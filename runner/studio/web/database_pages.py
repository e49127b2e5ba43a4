"""Pages about the database itself: its schema, the proof of isolation, its history."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from runner.errors import RunnerError
from runner.studio.actions import Actions, isolation_page
from runner.studio.data import diagram, history, run_log, views
from runner.studio.data.viewer import Person
from runner.studio.web.error_pages import NOT_FOUND, Problem
from runner.studio.web.routes import Studio, table_not_found
from runner.studio.web.urls import Address, unslug

# The SVG has inline styles. Scripts in it never run, even if a name in the schema contains markup.
_SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class DatabasePages:
    """The pages of a studio that show the database itself, and the actions started from them."""

    def __init__(self, studio: Studio, actions: Actions) -> None:
        self._studio = studio
        self._actions = actions

    def routes(self) -> list[Route]:
        """Return the routes to add to the studio's own."""
        page = self._studio.page
        return [
            page("/schema", self._schema),
            page("/schema/{name}", self._table),
            page("/diagram/{name}.svg", self._diagram),
            page("/isolation", self._isolation),
            page("/isolation", self._prove, "POST"),
            page("/history", self._history),
            page("/history/rehearsal", self._rehearse, "POST"),
            page("/history/drift", self._compare, "POST"),
            page("/history/{id}", self._file),
            page("/runs", self._runs),
        ]

    def _schema(self, _: Request, person: Person) -> Response:
        tables = views.names(self._studio.source)
        pictures = diagram.schemas(tables) if diagram.drawable() else None
        return self._studio.show(
            "schema.html",
            person,
            Address("schema"),
            tables=tables,
            pictures=pictures,
            sizes=views.sizes(self._studio.source, tables),
        )

    def _table(self, request: Request, person: Person) -> Response | Problem:
        name = unslug(request.path_params["name"])
        view = views.schema(self._studio.source, person, name)
        if view is None:
            return table_not_found(name)
        return self._studio.show("schema_table.html", person, Address("schema", name), view=view)

    def _diagram(self, request: Request, _: Person) -> Response | Problem:
        try:
            text = diagram.svg(self._studio.source, unslug(request.path_params["name"]))
        except RunnerError as error:
            return Problem(404, error.message, tuple(error.hint.splitlines()))
        headers = {"content-security-policy": _SVG_POLICY}
        return Response(text, media_type="image/svg+xml", headers=headers)

    def _isolation(self, _: Request, person: Person) -> Response:
        content = isolation_page(self._actions)
        return self._studio.show("isolation.html", person, Address("isolation"), **content)

    def _prove(self, _: Request, person: Person) -> Response:
        self._actions.prove()
        return self._redirect(person, Address("isolation"))

    def _history(self, _: Request, person: Person) -> Response:
        return self._studio.show(
            "history.html",
            person,
            Address("history"),
            view=history.history(self._studio.source, person, self._actions.settings.sql_dir),
            actions=self._actions,
        )

    def _file(self, request: Request, person: Person) -> Response | Problem:
        id_ = unslug(request.path_params["id"])
        sql_dir = self._actions.settings.sql_dir
        view = history.file(self._studio.source, person, sql_dir, id_)
        if view is None:
            return NOT_FOUND
        return self._studio.show(
            "migration.html", person, Address("history", id_), view=view, actions=self._actions
        )

    def _runs(self, _: Request, person: Person) -> Response:
        log = self._actions.settings.log
        return self._studio.show(
            "runs.html", person, Address("runs"), lines=run_log.read(log), log=log, attached=()
        )

    def _rehearse(self, _: Request, person: Person) -> Response:
        self._actions.rehearse()
        return self._redirect(person, Address("history"))

    def _compare(self, _: Request, person: Person) -> Response:
        self._actions.compare()
        return self._redirect(person, Address("history"))

    def _redirect(self, person: Person, address: Address) -> Response:
        """Redirect to the page with the result, so that reloading does not repeat the action."""
        return RedirectResponse(self._studio.links.to(person, address) or "/", 303)
