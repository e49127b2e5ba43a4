-- 30_org_id_column
-- A table that a tenant's role may use, without a column org_id of type text collate "C" not null.
-- source: a decision of this schema: org_id in every tenant table, text collate "C" not null
-- why: A row without an organization matches no policy and no reference; collation C compares
--   bytes.

select
    format('table %s', t.title) as object,
    case
        when t.key_number is null then format('it has no column %I', t.key)
        when not a.attnotnull then format('its column %I may be null', t.key)
        when a.atttypid <> 'text'::regtype
            then format('its column %I is %s, not text', t.key, a.atttypid::regtype)
        else format(
            'its column %I is collated %s, not "C"', t.key, a.attcollation::regcollation
        )
    end as problem,
    case
        when t.key_number is null
            then format('alter table %s add column %I text collate "C" not null;', t.title, t.key)
        when not a.attnotnull
            then format('alter table %s alter column %I set not null;', t.title, t.key)
        else format('alter table %s alter column %I type text collate "C";', t.title, t.key)
    end as fix
from client_table as t
left join pg_attribute as a on a.attrelid = t.oid and a.attnum = t.key_number
where t.key_number is null
    or not a.attnotnull
    or a.atttypid <> 'text'::regtype
    or a.attcollation <> '"C"'::regcollation
