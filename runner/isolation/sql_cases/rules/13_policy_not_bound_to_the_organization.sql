-- 13_policy_not_bound_to_the_organization
-- A tenant's permissive policy whose condition can be true for a row of another organization.
-- source: sql/0009_enable_row_level_security.sql (the one form: org_id = (select
--   app.helper(constants)))
-- why: Each policy has to be right on its own, whatever stands beside it.

-- Every "org_id = (select app.helper(...))" is set to F, for false; then, from the inside out, each
-- pair of brackets is F if in each of its alternatives something is F that all else is ANDed with,
-- and T, for "may be true", if not. What does not end as F does not depend on the organization.
select
    c.title as object,
    format('its %s can be true for a row of another organization: %s', c.clause, c.text) as problem,
    c.fix as fix
from condition as c
where c.is_permissive
    and c.is_for_tenants
    and (
        with recursive reduced (step, skeleton) as (
            select
                0,
                regexp_replace(
                    regexp_replace(
                        c.text,
                        format(
                            '\(%s = \( SELECT app\.\w+\('
                            '(?:VARIADIC ARRAY\[)?(?:''[^'']*''::[\w. ]+(?:, )?)*\]?'
                            '\) AS \w+\)\)',
                            c.key
                        ),
                        'F', 'g'
                    ),
                    '''[^'']*''', '''''', 'g'
                )
            union all
            select
                r.step + 1,
                regexp_replace(
                    r.skeleton,
                    '\([^()]*\)',
                    case when (
                        select bool_and('F' = any (string_to_array(alternative, ' AND ')))
                        from unnest(
                            string_to_array(substring(r.skeleton from '\(([^()]*)\)'), ' OR ')
                        ) as alternative
                    ) then 'F' else 'T' end
                )
            from reduced as r
            where r.skeleton ~ '\([^()]*\)'
        )
        select r.skeleton
        from reduced as r
        order by r.step desc
        limit 1
    ) <> 'F'
