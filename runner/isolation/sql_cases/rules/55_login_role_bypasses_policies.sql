-- 55_login_role_bypasses_policies
-- A login role of the API that bypasses policies, or may become the tables' owner.
-- source: https://docs.postgrest.org/en/stable/references/auth.html (authenticator)
-- why: A single request without a role, or one "reset role", bypasses all policies.

-- On Supabase the tables' owner is itself a member of the API roles, but does not serve the API.
select
    format('role %I', r.rolname) as object,
    format(
        'it logs in, may become %s, and %s',
        member.names,
        case
            when r.rolsuper then 'is a superuser'
            when r.rolbypassrls then 'has BYPASSRLS'
            else format('may become %s', owner.names)
        end
    ) as problem,
    case
        when r.rolsuper then format('alter role %I nosuperuser;', r.rolname)
        when r.rolbypassrls then format('alter role %I nobypassrls;', r.rolname)
        else format('revoke %s from %I;', owner.steps, r.rolname)
    end as fix
from pg_roles as r
cross join lateral (
    select string_agg(distinct a.name, ', ') as names
    from membership as m
    inner join api_role as a on a.oid = m.roleid
    where m.member = r.oid and m.can_set
) as member
cross join lateral (
    -- The roles that bypass policies, and the memberships that lead to them.
    select
        string_agg(distinct quote_ident(g.rolname), ', ') as names,
        string_agg(distinct quote_ident(s.rolname), ', ') as steps
    from membership as m
    inner join pg_roles as g on g.oid = m.roleid
    inner join pg_roles as s on s.oid = m.step
    where m.member = r.oid
        and g.oid not in (select p.oid from platform_role as p)
        and (
            g.rolsuper
            or g.rolbypassrls
            or g.oid in (select o.oid from table_owner as o)
        )
) as owner
where r.rolcanlogin
    and member.names is not null
    and r.rolname !~ '^supabase_'
    and r.oid not in (select o.oid from table_owner as o)
    -- The administrator of another database of this server does not serve the API either.
    and not (
        r.rolcreaterole
        and exists (
            select from pg_shdepend as d
            inner join pg_database as other on other.oid = d.dbid
            where d.refclassid = 'pg_authid'::regclass
                and d.refobjid = r.oid
                and d.deptype = 'o'
                and other.datname <> current_database()
        )
    )
    and (r.rolsuper or r.rolbypassrls or owner.names is not null)
