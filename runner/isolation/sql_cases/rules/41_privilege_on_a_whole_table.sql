-- 41_privilege_on_a_whole_table
-- A privilege on a whole table that isolation.toml does not give to a tenant role.
-- source: https://www.postgresql.org/docs/current/ddl-priv.html (TRUNCATE, TRIGGER, MAINTAIN)
-- why: TRUNCATE bypasses policies, TRIGGER runs code, REFERENCES and UPDATE reveal or lock too
--   much.

select
    format('table %s', p.title) as object,
    format('%s may %s all of it', p.grantee_name, p.right_title) as problem,
    format('revoke %s on %s from %s;', p.right_title, p.title, p.grantee_name)
    -- The revoke also removes the column grants.
    || coalesce(
        (
            select format(
                e'\ngrant %s (%s) on %s to %s;',
                lower(p.privilege_type),
                string_agg(quote_ident(w.column_name), ', ' order by w.column_name),
                p.title,
                p.grantee_name
            )
            from declared as w
            where w.role = r.name
                and w.relation = p.oid
                and w.privilege = p.privilege_type
                and w.column_name is not null
            having count(*) > 0
        ),
        ''
    ) as fix
from privilege as p
inner join api_role as r
    on r.oid = p.grantee
    and r.oid not in (select a.oid from actor_role as a where a.kind = 'anonymous')
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
