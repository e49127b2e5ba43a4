"""The database a command works on: any common spelling is accepted, no password is ever shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import psycopg
from psycopg import conninfo, pq

from runner.errors import NO_CHANGES, DatabaseUnreachable, UsageError
from runner.events import Report, Working, silent

if TYPE_CHECKING:
    from runner.settings import Settings

_SCHEMES = re.compile(r"(?i)(?:postgres|postgresql|postgresql\+psycopg2?|psql|runner)://")
# Prisma's own parameters in its URLs. Not `schema`: ignoring it would mean another schema.
_PRISMAS = re.compile(
    r"(?<=[?&])(?:pgbouncer|connection_limit|pool_timeout|socket_timeout|statement_cache_size)"
    r"=[^&@]*(?:&|\Z)"
)
_LOCAL = ("", "localhost", "127.0.0.1", "::1")  # libpq's default host is a Unix socket
_SECRET = (
    *("password", "sslpassword", "passfile", "oauth_client_secret"),
    *("scram_client_key", "scram_server_key"),
)


@dataclass(frozen=True)
class Target:
    """A database: what libpq needs to connect to it, and where that came from."""

    parameters: dict[str, str] = field(repr=False)  # libpq's keywords, including the password
    source: str  # the setting that named it, for messages
    embedded: bool

    @property
    def name(self) -> str:
        return self.parameters.get("dbname") or self.parameters.get("user") or ""

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine: a Unix socket or the loopback address."""
        hosts = self.parameters.get("hostaddr") or self.parameters.get("host") or ""
        return all(host.startswith(("/", "@")) or host in _LOCAL for host in hosts.split(","))

    def url(self, *, show_password: bool = False) -> str:
        """Return a URL that other programs accept; the password is *** unless `show_password`."""
        given = dict(self.parameters)
        if not show_password:
            given |= {key: "***" for key in _SECRET if given.get(key)}
        user, password, host, port, name = (
            given.pop(key, "") for key in ("user", "password", "host", "port", "dbname")
        )
        if port == "5432":  # the default
            port = ""
        login = quote(user, safe="")
        if password:
            login += ":" + quote(password, safe="" if show_password else "*")
        address = f"[{host}]" if ":" in host else host
        if host.startswith(("/", "@")) or "," in host:
            given = {"host": host, **({"port": port} if port else {}), **given}
            address = ""
        elif host and port:
            address += f":{port}"
        query = f"?{urlencode(given, quote_via=quote, safe='/*,')}" if given else ""
        return f"postgresql://{f'{login}@' if login else ''}{address}/{quote(name, safe='')}{query}"

    def environ(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return the environment `base`, changed so that libpq programs use this database.

        Passwords go here and not into an argument list, which every local user can read.
        """
        names = _variables()
        others = {name: value for name, value in base.items() if name not in names.values()}
        return others | {names[k]: value for k, value in self.parameters.items() if k in names}


def locate(settings: Settings, *, create: bool = True, report: Report = silent) -> Target:
    """Return the database the settings mean; the embedded server is started for that.

    Raises what `resolve` raises; ServerError if the embedded server does not start,
    DatabaseUnreachable if `create` is false and it has no database yet.
    """
    if not settings.embedded:
        return resolve(settings)
    from runner import embedded  # noqa: PLC0415 - not needed for any other target

    # Its lock file exists since the first start; for root the data may be in another place.
    folder = settings.data_dir
    if not create and not embedded.exists(folder):
        raise DatabaseUnreachable(
            f"There is no embedded database yet in {folder}",
            hint="Make one: python -m runner up\nOr name another database in DATABASE_URL.",
            state=NO_CHANGES,
        )
    server = embedded.start(
        folder, version=settings.embedded_version, report=lambda text: report(Working(text))
    )
    return Target(parse(server.url()), settings.database_source, embedded=True)


def resolve(settings: Settings) -> Target:
    """Return the database that a URL or libpq's PG* variables name, without connecting to it.

    Raises UsageError for a URL, a service or a value that cannot be used.
    """
    environ = settings.environ
    try:
        parameters = parse(settings.database_url or "")
    except UsageError as error:
        error.hint += f"\nThe address came from {settings.database_source}."
        raise
    if service := parameters.pop("service", environ.get("PGSERVICE", "")):
        parameters = {**_service(service, environ), **parameters}
    for keyword, name in _variables().items():
        if name in environ and keyword != "service":
            parameters.setdefault(keyword, environ[name])
    for keyword, value in parameters.items():
        if value.encode("utf-8", "replace").decode() != value:
            raise UsageError(
                f"The {keyword} of the database is not UTF-8 in the environment or its file",
                hint="Write it as UTF-8.",
            )
    return Target(parameters, settings.database_source, embedded=False)


def parse(url: str) -> dict[str, str]:
    """Return libpq's keywords for a URL or a `key=value` string, in any common spelling.

    Accepts postgres://, postgresql://, the +psycopg and +psycopg2 of SQLAlchemy and yoyo, and
    Prisma's pool parameters, which are dropped. Raises UsageError, which never repeats a password.
    """
    url = url.strip()  # a secret is often stored with a line break at its end
    scheme = re.match(r"[A-Za-z][\w+.-]*://", url)
    if scheme and not _SCHEMES.fullmatch(scheme.group()):
        raise UsageError(
            f"Not a PostgreSQL URL: it begins with {scheme.group()}",
            hint="It looks like postgresql://user:password@host:5432/database",
        )
    if scheme:
        rest = url[scheme.end() :]
        login, _, path = rest.partition("/")
        query_begun = "?" in login and "@" not in login
        if login.count("@") > 1 or ("@" in path.partition("?")[0] and not query_begun):
            # libpq would read part of the password as the host or the database name.
            raise UsageError(
                "The database URL contains an unescaped @",
                hint="In a user name or password write @ as %40, : as %3A, / as %2F.",
            )
        plain = _PRISMAS.sub("", rest)
        url = "postgresql://" + (rest if plain == rest else plain.rstrip("?&"))
    try:
        parameters = conninfo.conninfo_to_dict(url)
    except (psycopg.ProgrammingError, UnicodeError) as error:
        # libpq quotes the part it cannot parse, which may be part of the password.
        reason = re.sub(r'".*"', '"…"', str(error), flags=re.DOTALL).strip()
        raise UsageError(
            f"The database URL cannot be understood: {reason}",
            hint="It looks like postgresql://user:password@host:5432/database, with @ : / % in "
            "the password written as %40 %3A %2F %25.",
        ) from None
    return {key: str(value) for key, value in parameters.items() if value is not None}


def _service(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of a service, which libpq ranks above the environment.

    Read here and not left to libpq, so that the database's host and name are known. Raises
    UsageError for a service that does not exist.
    """
    import configparser  # noqa: PLC0415 - only where a service is named

    path = Path(environ.get("PGSERVICEFILE") or Path.home() / ".pg_service.conf")
    services = configparser.RawConfigParser(
        delimiters="=", comment_prefixes="#", default_section="", strict=False, allow_no_value=True
    )
    services.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        # libpq ignores leading space, which configparser reads as the continuation of a value.
        lines = path.read_text("utf-8", "surrogateescape").splitlines()
        services.read_string("\n".join(line.strip() for line in lines))
        found = services[name]
    except configparser.Error as error:  # its text may repeat a password
        where = f", line {error.lineno}" if hasattr(error, "lineno") else ""
        raise UsageError(
            f"{path} is not a service file{where}", hint="Expected: [name], then key=value lines."
        ) from None
    except (OSError, KeyError):
        raise UsageError(
            f"The service {name!r} is not in {path}",
            hint="Write it there, or name another file in PGSERVICEFILE.",
        ) from None
    return {key: value for key, value in found.items() if value is not None}


def _variables() -> dict[str, str]:
    """Return libpq's keywords, each with its environment variable."""
    return {
        option.keyword.decode(): option.envvar.decode()
        for option in pq.Conninfo.get_defaults()
        if option.envvar
    }
