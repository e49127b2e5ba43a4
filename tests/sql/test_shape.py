"""Structure of the schema in the catalog: rules for every table, function and policy."""

from __future__ import annotations

import re

import pytest
from conftest import API_ROLES
from promises import PROJECT
from psycopg import Connection
from psycopg.rows import TupleRow

from .fixture_rows import TABLES

TENANT_TABLES = tuple(table for table in TABLES if table != "organizations")
OURS = "('public', 'app')"

# The models of the specification; the comments in sql/ give the reason for additional columns.
COLUMNS = {
    "organizations": "id name billing_plan settings limits created_at",
    "users": "id org_id auth_user_id email name roles created_at updated_at",
    "projects": "id org_id name description status config created_at updated_at",
    "workflows": "id org_id project_id gate status approver_id approved_at metadata",
    "ai_agents": "id org_id type config performance created_at",
    "audit_logs": "id org_id actor_id action target_type target_id meta created_at",
}
WITHOUT_ORG_ID = {"users_email_key", "users_auth_user_id_key"}


def rows(conn: Connection[TupleRow], query: str, *values: object) -> list[TupleRow]:
    return conn.execute(query, values or None).fetchall()


def column(conn: Connection[TupleRow], query: str, *values: object) -> list[str]:
    return [row[0] for row in rows(conn, query, *values)]


def test_tables_of_the_specification_exist(conn: Connection[TupleRow]) -> None:
    """Later migrations add tables and columns; what each of them may be, the rules check."""
    found = column(
        conn,
        "select relname from pg_class"
        " where relnamespace = 'public'::regnamespace and relkind not in ('i', 'I')",
    )
    assert set(TABLES) <= set(found)


@pytest.mark.parametrize("table", TABLES)
def test_columns_of_the_specification_exist(conn: Connection[TupleRow], table: str) -> None:
    found = column(
        conn,
        "select attname from pg_attribute"
        " where attrelid = %s::regclass and attnum > 0 and not attisdropped",
        f"public.{table}",
    )
    assert set(COLUMNS[table].split()) <= set(found)


def test_enums_match_the_specification(conn: Connection[TupleRow]) -> None:
    labels = {
        name: values
        for name, values in rows(
            conn,
            "select a.attrelid::regclass || '.' || a.attname,"
            " (select array_agg(enumlabel::text order by enumsortorder)"
            "  from pg_enum where enumtypid in (t.oid, t.typelem))"
            " from pg_attribute as a join pg_type as t on t.oid = a.atttypid"
            " where attrelid = any (%s::text[]::regclass[]) and attnum > 0",
            [f"public.{table}" for table in TABLES],
        )
        if values
    }
    assert labels.pop("organizations.billing_plan")
    assert labels == {
        "users.roles": ["OWNER", "ADMIN", "MEMBER"],
        "workflows.gate": [f"G{n}" for n in range(9)],
    }


@pytest.mark.parametrize("table", TENANT_TABLES)
def test_org_id_is_not_null_and_has_c_collation(conn: Connection[TupleRow], table: str) -> None:
    assert rows(
        conn,
        "select atttypid::regtype::text, attnotnull, attcollation::regcollation::text"
        " from pg_attribute where attrelid = %s::regclass and attname = 'org_id'",
        f"public.{table}",
    ) == [("text", True, '"C"')]


@pytest.mark.parametrize("table", TABLES)
def test_primary_key_begins_with_the_organization(conn: Connection[TupleRow], table: str) -> None:
    key = "PRIMARY KEY (id)" if table == "organizations" else "PRIMARY KEY (org_id, id)"
    assert rows(
        conn,
        "select conname::text, pg_get_constraintdef(oid) from pg_constraint"
        " where conrelid = %s::regclass and contype = 'p'",
        f"public.{table}",
    ) == [(f"{table}_pkey", key)]


def test_foreign_keys_contain_org_id_on_both_sides(
    conn: Connection[TupleRow],
) -> None:
    references = rows(
        conn,
        "select conname::text, pg_get_constraintdef(oid), confrelid::regclass::text"
        " from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace",
    )
    assert len(references) >= 5 + 3  # five to organizations; project, approver and actor
    for name, definition, target in references:
        start = r"FOREIGN KEY \(org_id(, \w+)?\) REFERENCES (\w+\.)?" + target
        keys = r"\(id\)( DEFERRABLE)?" if target == "organizations" else r"\(org_id, id\)"
        assert re.fullmatch(start + keys, definition), f"{name}: {definition}"


def test_every_foreign_key_has_an_index(
    conn: Connection[TupleRow],
) -> None:
    missing = column(
        conn,
        "select c.conname::text from pg_constraint as c"
        " where c.contype = 'f' and c.connamespace = 'public'::regnamespace and not exists ("
        "  select from pg_index as i where i.indrelid = c.conrelid and i.indisvalid"
        "  and (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey)",
    )
    assert missing == []


def test_indexes_contain_org_id_except_two_global_unique_keys(
    conn: Connection[TupleRow],
) -> None:
    without = column(
        conn,
        "select i.indexrelid::regclass::text from pg_index as i"
        " where i.indrelid = any (%s::text[]::regclass[]) and not exists ("
        "  select from pg_attribute as a where a.attrelid = i.indrelid and a.attname = 'org_id'"
        "  and a.attnum = any (i.indkey::int2[]))",
        [f"public.{table}" for table in TENANT_TABLES],
    )
    assert set(without) == WITHOUT_ORG_ID


def test_indexes_match_the_specification(conn: Connection[TupleRow]) -> None:
    found = " ".join(
        column(
            conn,
            "select pg_get_indexdef(indexrelid) from pg_index"
            " where indrelid = any (%s::text[]::regclass[])",
            [f"public.{table}" for table in TABLES],
        )
    )
    assert "public.workflows USING btree (project_id, gate, org_id)" in found
    assert "public.organizations USING btree (created_at DESC, id DESC)" in found
    for table in TENANT_TABLES:
        assert f"public.{table} USING btree (org_id, id)" in found
        if "created_at" in COLUMNS[table]:
            assert f"public.{table} USING btree (org_id, created_at DESC, id DESC)" in found


def test_no_foreign_key_uses_a_global_key_or_references_audit_logs(
    conn: Connection[TupleRow],
) -> None:
    used = column(conn, "select conindid::regclass::text from pg_constraint where contype = 'f'")
    assert not WITHOUT_ORG_ID & set(used)
    assert "audit_logs_pkey" not in used


def test_functions_set_search_path_to_pg_catalog_and_pg_temp(
    conn: Connection[TupleRow],
) -> None:
    """Except SQL-standard bodies, whose names were resolved when the function was created."""
    unsafe = rows(
        conn,
        "select oid::regprocedure::text, proconfig from pg_proc"
        " where pronamespace::regnamespace::text in ('public', 'app', 'auth')"
        " and not coalesce('search_path=pg_catalog, pg_temp' = any (proconfig), false)"
        " and (prosecdef or prosqlbody is null)",
    )
    assert unsafe == []


def test_policy_helpers_have_the_required_attributes(
    conn: Connection[TupleRow],
) -> None:
    used = " ".join(column(conn, "select concat(qual, with_check) from pg_policies"))
    helpers = rows(
        conn,
        "select proname::text, lanname::text, provolatile::text, proparallel::text, prosecdef,"
        " (select array_agg(grantee::regrole::text) from aclexplode(proacl)"
        "  where grantee <> proowner and privilege_type = 'EXECUTE')"
        " from pg_proc join pg_language as l on l.oid = prolang"
        " where pronamespace = 'app'::regnamespace and prorettype <> 'trigger'::regtype",
    )
    helpers = [helper for helper in helpers if f"app.{helper[0]}(" in used]
    assert helpers
    for name, *attributes, granted in helpers:
        assert attributes == ["plpgsql", "s", "s", True], name
        assert granted, name
        assert set(granted) <= {"authenticated", "service_role"}, name


def test_only_expected_functions_are_security_definer(
    conn: Connection[TupleRow],
) -> None:
    definers = column(
        conn,
        "select proname::text from pg_proc"
        " where pronamespace::regnamespace::text in ('public', 'app') and prosecdef",
    )
    helpers = {"caller_org", "caller_org_as", "caller_user"}
    assert set(definers) == helpers | {
        "lock_caller_as",
        "keep_last_owner",
        "record_audit",
        "record_insert",
    }


def test_anon_and_public_cannot_execute_any_function(conn: Connection[TupleRow]) -> None:
    executable = column(
        conn,
        "select oid::regprocedure::text from pg_proc"
        " where pronamespace::regnamespace::text in ('public', 'app')"
        " and has_function_privilege('anon', oid, 'execute')",
    )
    assert executable == []


def test_api_roles_cannot_execute_trigger_functions(
    conn: Connection[TupleRow],
) -> None:
    executable = column(
        conn,
        "select oid::regprocedure::text from pg_proc, unnest(%s::text[]) as role"
        " where pronamespace = 'app'::regnamespace and prorettype = 'trigger'::regtype"
        " and has_function_privilege(role, oid, 'execute')",
        list(API_ROLES),
    )
    assert executable == []


def test_tenant_policies_compare_org_id_with_a_helper_subquery_only(
    conn: Connection[TupleRow],
) -> None:
    helper = r"= \( SELECT app\.\w+\([^()]*\) AS \w+\)"
    expressions = rows(
        conn,
        "select tablename, tablename || '.' || policyname,"
        " regexp_replace(expression, '\\s+', ' ', 'g')"
        " from pg_policies, unnest(array[qual, with_check]) as expression"
        " where 'authenticated' = any (roles) and expression is not null",
    )
    assert expressions
    for table, name, expression in expressions:
        key = "id" if table == "organizations" else "org_id"
        assert re.search(rf"\b{key} {helper}", expression), f"{name}: {expression}"
        rest = re.sub(rf"\b\w+ {helper}", "", expression)
        assert "app." not in rest, f"{name}: a helper is called for every row"
        assert "SELECT" not in rest, f"{name}: another kind of subquery"


def test_every_policy_names_an_api_role(conn: Connection[TupleRow]) -> None:
    named = rows(conn, "select tablename || '.' || policyname, roles::text[] from pg_policies")
    assert named
    for name, roles in named:
        assert roles in (["authenticated"], ["service_role"]), name


def test_at_most_one_permissive_policy_per_table_command_and_role(
    conn: Connection[TupleRow],
) -> None:
    duplicates = rows(
        conn,
        "select tablename, command, roles, count(*) from pg_policies,"
        " unnest(case cmd when 'ALL' then array['SELECT', 'INSERT', 'UPDATE', 'DELETE']"
        "  else array[cmd] end) as command"
        " where permissive = 'PERMISSIVE' group by 1, 2, 3 having count(*) > 1",
    )
    assert duplicates == []


@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_a_restrictive_policy_for_tenants(
    conn: Connection[TupleRow], table: str
) -> None:
    restrictive = rows(
        conn,
        "select cmd, qual is not null, coalesce(with_check, qual) = qual from pg_policies"
        " where tablename = %s and permissive = 'RESTRICTIVE' and roles = '{authenticated}'",
        table,
    )
    assert restrictive == [("ALL", True, True)]


@pytest.mark.parametrize("table", TABLES)
def test_row_security_is_enabled_and_forced_only_if_the_owner_bypasses_it(
    conn: Connection[TupleRow], table: str
) -> None:
    [(enabled, forced, bypassed)] = rows(
        conn,
        "select relrowsecurity, relforcerowsecurity, rolsuper or rolbypassrls"
        " from pg_class join pg_roles as r on r.oid = relowner where pg_class.oid = %s::regclass",
        f"public.{table}",
    )
    assert (enabled, forced) == (True, bypassed)


def test_update_policies_check_old_and_new_row(conn: Connection[TupleRow]) -> None:
    incomplete = column(
        conn,
        "select tablename || '.' || policyname from pg_policies"
        " where cmd = 'UPDATE' and (qual is null or with_check is null)",
    )
    assert incomplete == []


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_tenant_roles_have_no_table_wide_privilege_except_select(
    conn: Connection[TupleRow], role: str
) -> None:
    table_wide = rows(
        conn,
        "select relname, privilege_type from pg_class, aclexplode(relacl)"
        " where relnamespace = 'public'::regnamespace and grantee in (0, %s::regrole)"
        " and privilege_type <> 'SELECT'",
        role,
    )
    assert table_wide == []


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("command", ["insert", "update"])
def test_tenant_column_grants_match_the_permissions(
    conn: Connection[TupleRow], table: str, command: str
) -> None:
    granted = column(
        conn,
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0"
        " and has_column_privilege('authenticated', attrelid, attnum, %s)",
        f"public.{table}",
        command,
    )
    declared = {
        name
        for right in PROJECT.config.rights[table].get(command, ())
        if set(right.actors) & set(PROJECT.members)
        for name in right.columns or ()
    }
    assert set(granted) == declared


def test_service_role_grants_match_the_permissions(
    conn: Connection[TupleRow],
) -> None:
    granted = set(
        rows(
            conn,
            "select relname::text, privilege_type from pg_class, aclexplode(relacl)"
            " where relnamespace = 'public'::regnamespace and grantee = 'service_role'::regrole"
            " and relname = any (%s)",
            list(TABLES),
        )
    )
    writing = {(table, command) for table in TABLES for command in ("SELECT", "INSERT")}
    changing = {(t, c) for t in TABLES if t != "audit_logs" for c in ("UPDATE", "DELETE")}
    assert granted == writing | changing


def test_api_roles_have_no_memberships_or_role_attributes(conn: Connection[TupleRow]) -> None:
    """A platform may give service_role BYPASSRLS; other attributes are not allowed."""
    members = rows(
        conn,
        "select member::regrole::text, roleid::regrole::text from pg_auth_members"
        " where member::regrole::text = any (%s)",
        list(API_ROLES),
    )
    assert members == []
    elevated = rows(
        conn,
        "select rolname from pg_roles where rolname = any (%s) and (rolsuper or rolcreaterole"
        "  or rolcreatedb or rolreplication or rolcanlogin"
        "  or rolbypassrls and rolname <> 'service_role')",
        list(API_ROLES),
    )
    assert elevated == []


def test_anon_has_no_privilege_on_our_objects(conn: Connection[TupleRow]) -> None:
    granted = rows(
        conn,
        "select 'table', relname, privilege from pg_class, unnest(array['select', 'insert',"
        "  'update', 'delete', 'truncate', 'references', 'trigger']) as privilege"
        " where relnamespace::regnamespace::text in ('public', 'app', 'yoyo') and relkind <> 'i'"
        " and relkind <> 'S' and has_table_privilege('anon', oid, privilege)"
        " union all select 'column', attrelid::regclass::text, attname from pg_attribute"
        "  join pg_class as c on c.oid = attrelid and c.relnamespace = 'public'::regnamespace"
        " where attnum > 0 and relkind = 'r'"
        "  and (has_column_privilege('anon', c.oid, attnum, 'select')"
        "  or has_column_privilege('anon', c.oid, attnum, 'insert')"
        "  or has_column_privilege('anon', c.oid, attnum, 'update'))"
        " union all select 'schema', nspname, 'usage' from pg_namespace"
        " where nspname in ('app', 'yoyo') and has_schema_privilege('anon', oid, 'usage')",
    )
    assert granted == []


@pytest.mark.parametrize("role", API_ROLES)
def test_api_roles_cannot_create_objects_in_our_schemas(
    conn: Connection[TupleRow], role: str
) -> None:
    creatable = column(
        conn,
        "select nspname::text from pg_namespace"
        " where nspname in ('public', 'app', 'auth', 'yoyo')"
        " and has_schema_privilege(%s, oid, 'create')",
        role,
    )
    assert creatable == []


@pytest.mark.parametrize("role", API_ROLES)
def test_api_roles_cannot_create_temporary_tables(
    conn: Connection[TupleRow], template: str, role: str
) -> None:
    """Checked on the template, because cloning does not copy database privileges."""
    [(allowed,)] = rows(conn, "select has_database_privilege(%s, %s, 'temporary')", role, template)
    assert not allowed


@pytest.mark.parametrize(("kind", "thing"), [("r", "table"), ("f", "function"), ("S", "sequence")])
def test_new_objects_grant_nothing_to_api_roles(
    conn: Connection[TupleRow], kind: str, thing: str
) -> None:
    conn.execute(
        {
            "r": "create table public.next_one (id int)",
            "f": "create function public.next_one() returns int language sql return 1",
            "S": "create sequence public.next_one",
        }[kind]
    )
    privilege = {"r": "select", "f": "execute", "S": "usage"}[kind]
    name = "public.next_one()" if kind == "f" else "public.next_one"
    for role in API_ROLES:
        [(allowed,)] = rows(
            conn, f"select has_{thing}_privilege(%s, %s, %s)", role, name, privilege
        )
        assert not allowed, role


def test_every_object_has_a_comment(conn: Connection[TupleRow]) -> None:
    without_comment = column(
        conn,
        f"""
        select 'schema ' || nspname from pg_namespace
        where nspname = 'app' and obj_description(oid, 'pg_namespace') is null
        union all
        select 'type ' || oid::regtype from pg_type
        where typnamespace::regnamespace::text in {OURS} and typtype in ('e', 'd')
            and obj_description(oid, 'pg_type') is null
        union all
        select 'table ' || relname from pg_class
        where relnamespace::regnamespace::text in {OURS} and relkind in ('r', 'p', 'v')
            and obj_description(oid, 'pg_class') is null
        union all
        select 'function ' || oid::regprocedure from pg_proc
        where pronamespace::regnamespace::text in {OURS}
            and obj_description(oid, 'pg_proc') is null
        union all
        select 'policy ' || polname from pg_policy where obj_description(oid, 'pg_policy') is null
        """,
    )
    assert without_comment == []


def test_constraint_and_index_names_follow_the_convention(
    conn: Connection[TupleRow],
) -> None:
    suffixes = {"p": "_pkey", "u": "_key", "x": "_key", "f": "_fkey", "c": "_check"}
    constraints = rows(
        conn,
        "select conname::text, contype::text, conrelid::regclass::text from pg_constraint"
        " where connamespace = 'public'::regnamespace and contype <> 'n'",
    )
    for name, kind, table in constraints:
        assert name.startswith(f"{table}_"), name
        assert name.endswith(suffixes[kind]), name
    plain = column(
        conn,
        "select indexrelid::regclass::text from pg_index as i"
        " where indrelid::regclass::text = any (%s) and not exists ("
        "  select from pg_constraint where conindid = indexrelid and contype in ('p', 'u', 'x'))",
        list(TABLES),
    )
    assert all(name.endswith("_idx") for name in plain)


def test_json_columns_are_jsonb_and_not_null(
    conn: Connection[TupleRow],
) -> None:
    columns = rows(
        conn,
        "select attrelid::regclass::text, attname::text, atttypid::regtype::text, attnotnull"
        " from pg_attribute join pg_class as c on c.oid = attrelid"
        " where c.relnamespace = 'public'::regnamespace and relkind = 'r'"
        " and atttypid in ('json'::regtype, 'jsonb'::regtype)",
    )
    assert {f"{table}.{name}" for table, name, *_ in columns} >= {
        "organizations.settings",
        "organizations.limits",
        "projects.config",
        "workflows.metadata",
        "ai_agents.config",
        "ai_agents.performance",
        "audit_logs.meta",
    }
    assert {tuple(rest) for _, _, *rest in columns} == {("jsonb", True)}


def test_every_timestamp_has_a_time_zone(conn: Connection[TupleRow]) -> None:
    naive = column(
        conn,
        "select attname::text from pg_attribute join pg_class as c on c.oid = attrelid"
        " where c.relnamespace = 'public'::regnamespace and atttypid = 'timestamp'::regtype",
    )
    assert naive == []
