"""What each project of Supabase has from the start, which no file makes."""

from __future__ import annotations

from runner.schema.snapshot import Fact

_ROLES = ("anon", "authenticated", "authenticator", "service_role")
_MEMBERSHIPS = {f"{role} to authenticator" for role in ("anon", "authenticated", "service_role")}
_ATTRIBUTES = {
    ("role", "authenticator", "login"),
    ("role", "dashboard_user", "createdb"),
    ("role", "dashboard_user", "createrole"),
    ("role", "dashboard_user", "replication"),
    ("role", "service_role", "bypassrls"),
}
_EXTENSIONS = (
    *("pg_graphql", "pg_net", "pg_stat_statements", "pgcrypto", "pgjwt", "pgsodium"),
    *("supabase_vault", "uuid-ossp"),
)
_TIMEOUTS = ("lock_timeout", "session_preload_libraries", "statement_timeout")


def ships(fact: Fact) -> bool:
    """Whether each project of Supabase has a fact: its API's login, extensions and settings."""
    what = (fact.kind, fact.name, fact.trait)
    if fact.kind == "setting" and fact.trait == "search_path":
        return "".join(fact.value.split()).replace("\\", "") == '"$user",public,extensions'
    return (
        (fact.kind == "membership" and fact.name in _MEMBERSHIPS and fact.trait != "admin")
        or (fact.kind == "extension" and fact.name.strip('"') in _EXTENSIONS)
        or (fact.kind == "setting" and fact.name in _ROLES and fact.trait in _TIMEOUTS)
        or what in _ATTRIBUTES
    )
