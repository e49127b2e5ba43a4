-- Names that functions have in their text outside of comments, with these functions. A column counts
-- where the function names its table too, or is run by a trigger of it.
select
    gone.name,
    string_agg(distinct format('%%I.%%I', n.nspname, p.proname), ', ')
from unnest(%(names)s::text [], %(patterns)s::text [], %(tables)s::text [])
    as gone (name, pattern, of_table)
inner join pg_catalog.pg_proc as p
    on regexp_replace(p.prosrc, '--[^\n]*', '', 'g') ~ gone.pattern
inner join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
inner join pg_catalog.pg_language as l on l.oid = p.prolang
where l.lanname not in ('c', 'internal')
    and n.nspname !~ '^pg_'
    and n.nspname <> 'information_schema'
    and (
        gone.of_table = ''
        or strpos(p.prosrc, (parse_ident(gone.of_table))[2]) > 0
        or exists (
            select from pg_catalog.pg_trigger as t
            where t.tgfoid = p.oid and t.tgrelid = to_regclass(gone.of_table)
        )
    )
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
            and d.objid = p.oid
            and d.deptype = 'e'
    )
group by gone.name
order by gone.name
