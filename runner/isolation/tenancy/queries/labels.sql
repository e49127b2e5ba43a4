-- The columns of a table that hold a few words: an enum, an array of one, or a text with a check.

select
    a.attname::text as column_name,
    case
        when coalesce(element.typtype, t.typtype) = 'e'
            then array(
                select e.enumlabel::text
                from pg_catalog.pg_enum as e
                where e.enumtypid = coalesce(element.oid, t.oid)
                order by e.enumsortorder
            )
        else array(
            select word[1]
            from pg_catalog.pg_constraint as k
            cross join lateral pg_catalog.regexp_matches(
                pg_catalog.pg_get_constraintdef(k.oid), '''((?:[^'']|'''')*)''::', 'g'
            ) as word
            where k.conrelid = a.attrelid
                and k.contype = 'c'
                and k.conkey = array[a.attnum]
                and pg_catalog.pg_get_constraintdef(k.oid) ~ '= ANY \(+ARRAY\['
        )
    end as labels
from pg_catalog.pg_attribute as a
inner join pg_catalog.pg_type as t on t.oid = a.atttypid
left join pg_catalog.pg_type as element on element.oid = t.typelem and t.typcategory = 'A'
where a.attrelid = %(table)s and a.attnum > 0 and not a.attisdropped
order by a.attnum
