-- 41_privilege_on_a_whole_table
-- A privilege on a whole table that permissions.toml does not give to a tenant role.
-- source: sql/0009_enable_row_level_security.sql;
--   https://www.postgresql.org/docs/current/ddl-priv.html (TRUNCATE, TRIGGER, MAINTAIN)
-- why: TRUNCATE bypasses policies, TRIGGER runs code, REFERENCES and UPDATE reveal or lock too
--   much.

select
    format('table %s', p.title) as object,
    format('%s may %s all of it', p.grantee_name, p.right_title) as problem,
    format('revoke %s on %s from %s;', p.right_title, p.title, p.grantee_name)
    || case
        -- The revoke also removes the column grants.
        when exists (
            select from declared as w
            where w.role = r.name
                and w.relation = p.oid
                and w.privilege = p.privilege_type
                and w.column_name is not null
        ) then e'\npsql -1 -f sql/0009_enable_row_level_security.sql  -- restores the column grants'
        else ''
    end as fix
from privilege as p
inner join api_role as r on r.oid = p.grantee and r.name <> 'anon'
where p.exposed
    and p.kind in ('r', 'p')
    and p.column_name is null
    and not exists (
        select from declared as w
        where w.role = r.name
            and w.relation = p.oid
            and w.privilege = p.privilege_type
            and w.column_name is null
    )
