-- The names and owners of some objects that definitions of others show; the name of the facts of an
-- object; and a number for all that a function is, which `create or replace` may leave as it was.
with
{whole}
select
    'relation ' || c.oid as object,
    c.oid,
    concat_ws('.', c.relnamespace, c.relowner, c.relname) as name,
    quote_ident(s.nspname) || '.' || quote_ident(c.relname) as shown,
    null::bigint as content
from whole as w
inner join pg_class as c on c.oid = w.oid
inner join pg_namespace as s on s.oid = c.relnamespace
where c.relkind in ('c', 'f', 'm', 'p', 'r', 'S', 'v')
union all
select concat_ws(' ', 'column', a.attrelid, a.attnum), a.attrelid, a.attname, null, null
from whole as w
inner join pg_class as c on c.oid = w.oid and c.relkind in ('c', 'f', 'm', 'p', 'r', 'v')
inner join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
union all
select
    'function ' || p.oid, p.oid, concat_ws('.', p.pronamespace, p.proowner, p.proname),
    case p.pronamespace when 'pg_catalog'::regnamespace then 'pg_catalog.' else '' end
    || p.oid::regprocedure::text,
    case
        when p.prokind <> 'a'
            then hashtextextended(concat(p, obj_description(p.oid, 'pg_proc')), 0)
    end
from whole as w
inner join pg_proc as p on p.oid = w.oid
union all
select
    'type ' || t.oid, t.oid, concat_ws('.', t.typnamespace, t.typowner, t.typname),
    quote_ident(s.nspname) || '.' || quote_ident(t.typname),
    null
from whole as w
inner join pg_type as t on t.oid = w.oid and t.typtype in ('b', 'c', 'd', 'e', 'm', 'p', 'r')
inner join pg_namespace as s on s.oid = t.typnamespace
union all
select 'label ' || e.oid, e.enumtypid, e.enumlabel, null, null
from whole as w
inner join pg_enum as e on e.enumtypid = w.oid
