"""The database a command works on: named in any common spelling, and its password never shown."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import psycopg
from psycopg import conninfo, pq

from runner.errors import DatabaseUnreachable, UsageError
from runner.events import Report, Working, silent

if TYPE_CHECKING:
    from runner.settings import Settings

_SCHEMES = re.compile(
    r"(?:postgres|postgresql|postgresql\+psycopg2?|psql|runner)://", re.IGNORECASE
)
# What Prisma's URLs tell Prisma about its own connections. Not `schema`: that one would be missed.
_PRISMAS = re.compile(
    r"(?<=[?&])(?:pgbouncer|connection_limit|pool_timeout|socket_timeout|statement_cache_size)"
    r"=[^&@]*(?:&|\Z)"
)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SECRET = (
    *("password", "sslpassword", "passfile", "oauth_client_secret"),
    *("scram_client_key", "scram_server_key"),
)


@dataclass(frozen=True)
class Target:
    """A database, resolved: what libpq needs to reach it, and what may be said of it."""

    parameters: dict[str, str] = field(repr=False)  # libpq's keywords, the password among them
    source: str
    embedded: bool

    @property
    def name(self) -> str:
        """The database's name."""
        return self.parameters.get("dbname") or self.parameters.get("user") or ""

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine: a socket or the loopback address."""
        hosts = self.parameters.get("hostaddr") or self.parameters.get("host") or ""
        return all(
            not host or host.startswith(("/", "@")) or host in _LOOPBACK
            for host in hosts.split(",")
        )

    def url(self, *, show_password: bool = False) -> str:
        """Return a URL that other programs take; the password is *** unless asked for."""
        given = dict(self.parameters)
        user, password, host, port, name = (
            given.pop(key, "") for key in ("user", "password", "host", "port", "dbname")
        )
        if password and not show_password:
            password = "***"  # noqa: S105
        if port == "5432":  # the default says nothing
            port = ""
        elsewhere = host.startswith(("/", "@")) or "," in host
        login = quote(user, safe="") + (
            ":" + (password if password == "***" else quote(password, safe="")) if password else ""  # noqa: S105
        )
        address = "" if elsewhere else (f"[{host}]" if ":" in host else host)
        if address and port:
            address += f":{port}"
        if elsewhere:
            given = {"host": host, **({"port": port} if port else {}), **given}
        for key in _SECRET:
            if key in given and not show_password:
                given[key] = "***"
        query = urlencode(given, quote_via=quote, safe="/*,")
        return f"postgresql://{login + '@' if login else ''}{address}/{quote(name, safe='')}" + (
            f"?{query}" if query else ""
        )

    def environ(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return `base` changed so that libpq programs find this database.

        A password stays out of the argument list, where every user of the machine could read it.
        """
        names = _variables()
        return {
            **{name: value for name, value in base.items() if name not in names.values()},
            **{names[key]: value for key, value in self.parameters.items() if key in names},
        }


def resolve(settings: Settings, *, create: bool = True, report: Report = silent) -> Target:
    """Resolve the settings; the embedded server is started where it is meant.

    Raises UsageError for a URL that cannot be understood, Unreachable when `create` is false and
    there is no embedded database yet, ServerError when the embedded server does not start.
    """
    if settings.embedded:
        from runner.postgres import embedded  # noqa: PLC0415 - not needed for any other target

        # The lock is there since the first start; the data may lie elsewhere, where root runs it.
        if not create and not embedded.exists(settings.data_dir):
            raise DatabaseUnreachable(
                f"There is no embedded database yet in {settings.data_dir}",
                hint="Make one: python -m runner up\nOr name another database in DATABASE_URL.",
            )
        server = embedded.start(
            settings.data_dir,
            version=settings.embedded_version,
            report=lambda text: report(Working(text)),
        )
        return Target(parse(server.url()), settings.database_source, embedded=True)
    parameters = parse(settings.database_url or "")
    if "PGSERVICE" in settings.environ:
        parameters.setdefault("service", settings.environ["PGSERVICE"])
    if service := parameters.get("service"):
        parameters = {**_service(service, settings.environ), **parameters}
        del parameters["service"]
    for keyword, name in _variables().items():
        if name in settings.environ and keyword != "service":
            parameters.setdefault(keyword, settings.environ[name])
    for keyword, value in parameters.items():
        if value.encode("utf-8", "replace").decode() != value:
            raise UsageError(
                f"The {keyword} of the database is not UTF-8 in the environment or its file",
                hint="Write it as UTF-8. Nothing was done.",
            )
    return Target(parameters, settings.database_source, embedded=False)


def parse(url: str) -> dict[str, str]:
    """Return libpq's keywords for a URL or a `key=value` string, in any common spelling.

    Takes postgres://, postgresql:// and SQLAlchemy's and yoyo's +psycopg, +psycopg2, and Prisma's
    parameters of a pool. Raises UsageError without ever repeating the password.
    """
    url = url.strip()  # a secret is often stored with a line break at its end
    scheme = re.match(r"[A-Za-z][\w+.-]*://", url)
    if scheme and not _SCHEMES.fullmatch(scheme.group()):
        raise UsageError(
            f"This is no PostgreSQL URL: it begins with {scheme.group()}",
            hint="DATABASE_URL looks like postgresql://user:password@host:5432/database",
        )
    if scheme:
        rest = url[scheme.end() :]
        login, _, path = rest.partition("/")
        query_begun = "?" in login and "@" not in login
        if login.count("@") > 1 or ("@" in path.partition("?")[0] and not query_begun):
            # libpq would take a piece of the password for the host, or for the database's name.
            raise UsageError(
                "The database URL has an @ where none can be",
                hint="In a user name or password write @ as %40, : as %3A, / as %2F.",
            )
        plain = _PRISMAS.sub("", rest)
        url = "postgresql://" + (rest if plain == rest else plain.rstrip("?&"))
    try:
        parameters = conninfo.conninfo_to_dict(url)
    except (psycopg.ProgrammingError, UnicodeError) as error:
        # libpq quotes the part it stumbled over, which may be a piece of the password.
        reason = re.sub(r'".*"', '"…"', str(error), flags=re.DOTALL).strip()
        raise UsageError(
            f"The database URL cannot be understood: {reason}",
            hint="It looks like postgresql://user:password@host:5432/database, with @ : / % in "
            "the password written as %40 %3A %2F %25.",
        ) from None
    return {key: str(value) for key, value in parameters.items() if value is not None}


def _service(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the user's service file says, which libpq puts above the environment.

    Without it nobody could tell whether the database is local, or what it is called. Raises
    UsageError for a service that is not there.
    """
    path = Path(environ.get("PGSERVICEFILE") or Path.home() / ".pg_service.conf")
    found: dict[str, str] | None = None
    with contextlib.suppress(OSError):
        for line in path.read_text("utf-8", "surrogateescape").splitlines():
            if line.strip() == f"[{name}]":
                found = {}
            elif line.startswith("[") and found is not None:
                break
            elif found is not None and "=" in line and not line.lstrip().startswith("#"):
                key, _, value = line.partition("=")
                found[key.strip()] = value.strip()
    if found is None:
        raise UsageError(
            f"The service {name!r} is not in {path}",
            hint="Write it there, or name another file in PGSERVICEFILE.",
        )
    return found


def _variables() -> dict[str, str]:
    """Return libpq's keywords with the environment variable of each."""
    return {
        option.keyword.decode(): option.envvar.decode()
        for option in pq.Conninfo.get_defaults()
        if option.envvar
    }
