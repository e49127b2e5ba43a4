-- 18_update_without_check
-- A policy for UPDATE or ALL that lacks USING or WITH CHECK.
-- source: https://www.postgresql.org/docs/current/sql-createpolicy.html (UPDATE)
-- why: Which rows may be changed and what they may become are two conditions; one for both hides an
--   error.

select
    p.title as object,
    format('it has no %s', missing.clause) as problem,
    case
        when other.text is null
            then format('-- compare policy %I on %s', p.name, p.table_title)
        else format(
            'alter policy %I on %s %s (%s);', p.name, p.table_title, missing.clause, other.text
        )
    end as fix
from policy as p
cross join (values ('using'), ('with check')) as missing (clause)
left join condition as other on other.oid = p.oid and other.clause <> missing.clause
where p.command in ('w', '*')
    and not exists (
        select from condition as c
        where c.oid = p.oid and c.clause = missing.clause
    )
