-- 41_privilege_on_a_whole_table
-- A privilege on a whole table that the permission table does not give to a tenant's role.
-- source: sql/0009_enable_row_level_security.sql;
--   https://www.postgresql.org/docs/current/ddl-priv.html (TRUNCATE, TRIGGER, MAINTAIN)
-- why: TRUNCATE passes policies, TRIGGER plants code, REFERENCES and UPDATE tell or lock too much.

select
    format('table %s', p.title) as object,
    format('%s may %s all of it', p.grantee_name, p.right_title) as problem,
    format('revoke %s on %s from %s;', p.right_title, p.title, p.grantee_name)
    || case
        -- PostgreSQL takes the grants by column away with it.
        when exists (
            select from promised as w
            where w.role = r.name
                and w.relation = p.oid
                and w.privilege = p.name_of_it
                and w.column_name is not null
        ) then e'\npsql -1 -f sql/0009_enable_row_level_security.sql  -- puts those by column back'
        else ''
    end as fix
from privilege as p
inner join api_role as r on r.oid = p.grantee and r.name <> 'anon'
where p.exposed
    and p.kind in ('r', 'p')
    and p.column_name is null
    and not exists (
        select from promised as w
        where w.role = r.name
            and w.relation = p.oid
            and w.privilege = p.name_of_it
            and w.column_name is null
    )
