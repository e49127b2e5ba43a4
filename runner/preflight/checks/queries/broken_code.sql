-- Create pg_temp.broken_code(): what fails because an object or column that it uses is not there.
-- It writes to every table with triggers and rows, and has PostgreSQL read the body of every
-- function in SQL again; all of it is undone.
create or replace function pg_temp.broken_code()
returns table (failing text, reason text)
language plpgsql
as $$
declare
    tried record;
begin
    for tried in
        select
            format('%s of %I.%I', w.word, n.nspname, c.relname) as what,
            format(w.statement, n.nspname, c.relname, a.columns, a.assignments) as statement
        from pg_catalog.pg_class as c
        inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        cross join lateral (
            select
                string_agg(quote_ident(a.attname), ', ' order by a.attnum) as columns,
                string_agg(format('%1$I = %1$I', a.attname), ', ') as assignments
            from pg_catalog.pg_attribute as a
            where a.attrelid = c.oid
                and a.attnum > 0
                and not a.attisdropped
                and a.attgenerated = ''
                and a.attidentity <> 'a'
        ) as a
        cross join (
            values
                (1, 'insert', 'insert into %1$I.%2$I (%3$s) select %3$s from %1$I.%2$I limit 1'),
                (2, 'update', 'update %1$I.%2$I set %4$s'),
                (3, 'delete', 'delete from %1$I.%2$I')
        ) as w (number, word, statement)
        where c.relkind in ('r', 'p')
            and n.nspname !~ '^pg_'
            and n.nspname not in ('information_schema', 'yoyo')
            and a.columns is not null
            and exists (
                select from pg_catalog.pg_trigger as t where t.tgrelid = c.oid and not t.tgisinternal
            )
        union all
        select
            format('function %I.%I', n.nspname, p.proname),
            pg_catalog.pg_get_functiondef(p.oid)
        from pg_catalog.pg_proc as p
        inner join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
        inner join pg_catalog.pg_language as l on l.oid = p.prolang
        where l.lanname = 'sql'
            and p.prosqlbody is null
            and p.prokind in ('f', 'p')
            and n.nspname !~ '^pg_'
            and n.nspname <> 'information_schema'
            and not exists (
                select from pg_catalog.pg_depend as d
                where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                    and d.objid = p.oid
                    and d.deptype = 'e'
            )
        order by 1
    loop
        begin
            execute tried.statement;
            set constraints all immediate;
            raise exception using errcode = 'ZZ000';
        exception
            when undefined_column or undefined_table or undefined_function or undefined_object
                or invalid_schema_name or invalid_text_representation
            then
                failing := tried.what;
                reason := sqlerrm;
                return next;
            when others then
                null;
        end;
    end loop;
end
$$
