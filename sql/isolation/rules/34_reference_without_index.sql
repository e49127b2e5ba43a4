-- 34_reference_without_index
-- A foreign key of a tenant table without an index that begins with its columns.
-- source: sql/0003_create_organizations_and_users.sql;
--   https://www.postgresql.org/docs/current/ddl-constraints.html (index the referencing columns)
-- why: Changing a row of one organization scans the rows of all organizations to check the
--   reference.
-- level: warning

select
    format('constraint %I on %s', k.conname, k.table_title) as object,
    'no index begins with its columns' as problem,
    format(
        'create index concurrently on %s (%s);',
        k.table_title,
        (
            select string_agg(quote_ident(a.attname), ', ' order by c.position)
            from unnest(k.conkey) with ordinality as c (number, position)
            inner join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = c.number
        )
    ) as fix
from reference as k
where k.is_bound  -- otherwise rule 32 reports it
    and not exists (
        select from pg_index as i
        where i.indrelid = k.conrelid
            and i.indisvalid
            and (
                i.indpred is null
                -- A null reference is never looked up.
                or pg_get_expr(i.indpred, i.indrelid) in (
                    select format('(%I IS NOT NULL)', a.attname)
                    from pg_attribute as a
                    where a.attrelid = k.conrelid and a.attnum = any (k.conkey)
                )
            )
            and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
    )
