-- 42_privilege_on_a_column
-- A privilege on a column that isolation.toml does not give to a tenant role.
-- source: https://www.postgresql.org/docs/current/ddl-priv.html (privileges on columns)
-- why: What isolation.toml does not declare is not tried. Some columns decide more than a value:
--   who signs in as a user, or which plan is paid for.

select
    format('column %s.%I', p.title, p.column_name) as object,
    format('%s may %s it', p.grantee_name, lower(p.privilege_type)) as problem,
    format('revoke %s on %s from %s;', p.right_title, p.title, p.grantee_name) as fix
from privilege as p
inner join api_role as r
    on r.oid = p.grantee
    and r.oid not in (select a.oid from actor_role as a where a.kind = 'anonymous')
where p.exposed
    and p.column_name is not null
    and not exists (
        select from declared as w
        where w.role = r.name
            and w.relation = p.oid
            and w.privilege = p.privilege_type
            and coalesce(w.column_name, p.column_name) = p.column_name
    )
