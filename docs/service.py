"""A service on the schema of sql/: sign-up, invitations, projects. docs/application.md explains it.

export DATABASE_URL="$(python -m runner url --show-password)" TOKEN_SECRET=…
uvicorn --app-dir docs service:app
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Connection = psycopg.AsyncConnection[DictRow]
STATUS = {"42501": 403, "23505": 409, "23P01": 409, "23503": 409, "23502": 422, "23514": 422}
STATUS_OF_CLASS = {"22": 422, "40": 503, "55": 503, "57": 503, "53": 503, "08": 503}


def claims_of(request: Request) -> dict[str, Any]:
    """Return the claims of a token signed with HS256; 401 without a valid one."""
    try:
        signed, _, signature = request.headers["authorization"][7:].rpartition(".")
        expected = hmac.digest(os.environ["TOKEN_SECRET"].encode(), signed.encode(), "sha256")
        claims: dict[str, Any] = json.loads(_decoded(signed.partition(".")[2]))
        if hmac.compare_digest(expected, _decoded(signature)) and claims["exp"] > time.time():
            return claims
    except (KeyError, ValueError, TypeError):
        pass
    raise HTTPException(401)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@asynccontextmanager
async def transaction(
    request: Request, role: str = "authenticated"
) -> AsyncIterator[tuple[Connection, dict[str, Any]]]:
    """A transaction with this role and the caller's claims, for which nothing else is set."""
    claims = claims_of(request)
    settings = "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)"
    async with request.app.state.pool.connection() as connection:  # commits, or rolls back
        await connection.execute(settings, [role, json.dumps({"sub": claims["sub"]})])
        yield connection, claims


async def values(request: Request, *names: str) -> list[str]:
    """Return these strings of a JSON body; 422 without them."""
    try:
        body = json.loads(await request.body())
        found = [body[name] for name in names]
    except (KeyError, ValueError, TypeError):
        raise HTTPException(422, f"expected JSON with {', '.join(names)}") from None
    if not all(isinstance(value, str) for value in found):
        raise HTTPException(422, f"expected strings: {', '.join(names)}")
    return found


async def sign_up(request: Request) -> Response:
    organization, name = await values(request, "organization", "name")
    async with transaction(request, "service_role") as (connection, claims):
        first_owner = """
            with tenant as (insert into public.organizations (name) values (%s) returning id)
            insert into public.users (org_id, email, name, roles, auth_user_id)
            select id, %s, %s, '{OWNER}', %s from tenant returning org_id, id"""
        row = [organization, claims["email"], name, claims["sub"]]
        return JSONResponse(await (await connection.execute(first_owner, row)).fetchone(), 201)


async def accept_invitation(request: Request) -> Response:
    async with transaction(request, "service_role") as (connection, claims):
        if not claims.get("email_verified"):
            raise HTTPException(403)
        link = """update public.users set auth_user_id = %s
            where lower(email) = lower(%s) and auth_user_id is null returning org_id, id"""
        found = await connection.execute(link, [claims["sub"], claims["email"]])
        return _one(await found.fetchone())


async def invite(request: Request) -> Response:
    row = await values(request, "email", "name", "role")
    async with transaction(request) as (connection, _):
        insert = """insert into public.users (org_id, email, name, roles)
            values ((select app.caller_org()), %s, %s, array[%s]::public.user_role[])
            returning id"""
        return _one(await (await connection.execute(insert, row)).fetchone(), 201)


async def change_role(request: Request) -> Response:
    row = [*await values(request, "role"), request.path_params["id"]]
    async with transaction(request) as (connection, _):
        update = """update public.users set roles = array[%s]::public.user_role[]
            where org_id = (select app.caller_org()) and id = %s returning id, roles::text[]"""
        return _one(await (await connection.execute(update, row)).fetchone())


async def add_project(request: Request) -> Response:
    row = await values(request, "name")
    async with transaction(request) as (connection, _):
        insert = """insert into public.projects (org_id, name)
            values ((select app.caller_org()), %s) returning id"""
        return _one(await (await connection.execute(insert, row)).fetchone(), 201)


async def list_projects(request: Request) -> Response:
    after = [request.query_params.get(name) for name in ("created_at", "id")]
    async with transaction(request) as (connection, _):
        page = """select id, name, created_at::text from public.projects
            where org_id = (select app.caller_org())
                and (%s::timestamptz is null or (created_at, id) < (%s::timestamptz, %s))
            order by projects.created_at desc, id desc limit 10"""
        found = await connection.execute(page, [after[0], *after])
        return JSONResponse(await found.fetchall())


def _one(row: DictRow | None, status: int = 200) -> Response:
    if row is None:
        raise HTTPException(404)  # it does not exist, or not for this caller
    return JSONResponse(row, status)


async def on_error(_: Request, error: Exception) -> Response:
    """Answer with the status of a database error, never with its text."""
    state = getattr(error, "sqlstate", None)
    status = STATUS.get(state or "") or STATUS_OF_CLASS.get((state or "")[:2], 500)
    if state is None:  # the client's own: no connection, or a text that PostgreSQL has no form for
        status = 503 if isinstance(error, psycopg.OperationalError) else 422
    return JSONResponse({"error": state}, status)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    kwargs = {"row_factory": dict_row, "prepare_threshold": None}  # for PgBouncer, too
    url = os.environ["DATABASE_URL"]
    async with AsyncConnectionPool(url, kwargs=kwargs, open=False, min_size=2) as pool:
        app.state.pool = pool
        yield


app = Starlette(
    routes=[
        Route("/organizations", sign_up, methods=["POST"]),
        Route("/invitations/accept", accept_invitation, methods=["POST"]),
        Route("/users", invite, methods=["POST"]),
        Route("/users/{id}", change_role, methods=["PATCH"]),
        Route("/projects", add_project, methods=["POST"]),
        Route("/projects", list_projects, methods=["GET"]),
    ],
    exception_handlers={psycopg.Error: on_error, UnicodeEncodeError: on_error},
    lifespan=lifespan,
)
