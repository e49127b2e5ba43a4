-- 511_read_migration_tables
-- An API role reads or writes the migration tables, or the tables of schema app.
-- safe: Refused: they have no access to these schemas.
-- source: a decision of this schema: no grant on schema yoyo to any API role

-- as: OWNER, service_role, anon
-- expect: nothing
select n.nspname from pg_namespace as n
where n.nspname = 'yoyo' and has_schema_privilege(n.oid, 'usage')

-- as: OWNER, service_role, anon
-- expect: nothing
select c.relname from pg_class as c
inner join pg_namespace as n on n.oid = c.relnamespace
where n.nspname in ('yoyo', 'app') and c.relkind in ('r', 'p', 'v', 'm', 'S')
    and case c.relkind
        when 'S' then has_sequence_privilege(c.oid, 'usage, select, update')
        else has_table_privilege(c.oid, 'select, insert, update, delete')
            or has_any_column_privilege(c.oid, 'select, insert, update')
    end
