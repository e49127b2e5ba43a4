-- 511_read_migration_tables
-- An API role reads or writes the migration tables.
-- safe: Refused: they have no access to this schema.
-- source: docs/migrations.md: no grant on schema yoyo to any API role

-- as: one member, platform, anonymous
-- expect: nothing
select n.nspname from pg_namespace as n
where n.nspname = 'yoyo' and has_schema_privilege(n.oid, 'usage')

-- as: one member, platform, anonymous
-- expect: nothing
select c.relname from pg_class as c
inner join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'yoyo' and c.relkind in ('r', 'p', 'v', 'm', 'S')
    and case c.relkind
        when 'S' then has_sequence_privilege(c.oid, 'usage, select, update')
        else has_table_privilege(c.oid, 'select, insert, update, delete')
            or has_any_column_privilege(c.oid, 'select, insert, update')
    end
