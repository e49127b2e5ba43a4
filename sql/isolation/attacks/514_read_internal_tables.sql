-- 514_read_internal_tables
-- A tenant's role reads or writes the tables of schema app.
-- safe: Refused: they have no privileges on them.
-- source: sql/0001_create_schemas_and_roles.sql

-- as: OWNER, anon
-- expect: nothing
select c.relname from pg_class as c
inner join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'app' and c.relkind in ('r', 'p', 'v', 'm', 'S')
    and case c.relkind
        when 'S' then has_sequence_privilege(c.oid, 'usage, select, update')
        else has_table_privilege(c.oid, 'select, insert, update, delete')
            or has_any_column_privilege(c.oid, 'select, insert, update')
    end
