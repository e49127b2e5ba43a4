-- The names and owners that other objects' definitions show: of all objects (null), or of those that
-- this transaction has written to from a command on. Objects below 16384 are PostgreSQL's own.
select n.object, n.name
from (
    select 'relation ' || oid, oid, concat_ws('.', relnamespace, relowner, relname), xmin, cmin
    from pg_class
    union all
    select concat_ws(' ', 'column', attrelid, attnum), attrelid, attname, xmin, cmin
    from pg_attribute
    where attnum > 0 and not attisdropped
    union all
    select 'function ' || oid, oid, concat_ws('.', pronamespace, proowner, proname), xmin, cmin
    from pg_proc
    union all
    select 'type ' || oid, oid, concat_ws('.', typnamespace, typowner, typname), xmin, cmin from pg_type
    union all
    select 'label ' || oid, oid, enumlabel, xmin, cmin from pg_enum
) as n (object, oid, name, written_by, command)
where n.oid >= 16384 and ($1 is null or (age(n.written_by) <= 0 and n.command::text::bigint >= $1))
