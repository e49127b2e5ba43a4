-- 13_policy_not_bound_to_organization
-- A tenant's permissive policy whose condition can be true for a row of another organization.
-- source: sql/citus/0002_write_policies_for_shards.sql (the only form: org_id =
--   app.shard_helper(constants))
-- why: Each policy must be correct on its own, regardless of the others.

-- Each "org_id = app.shard_helper(...)" is replaced by F (false). Then, from the inside out,
-- each pair of parentheses becomes F if each of its OR alternatives has an F among its AND terms,
-- and otherwise T (may be true). What does not reduce to F is not bound to the organization.
select
    c.title as object,
    format('its %s can be true for a row of another organization: %s', c.clause, c.text) as problem,
    c.fix as fix
from written_condition as c
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
                            '\(%s = app\.shard_\w+\('
                            '(?:VARIADIC ARRAY\[)?(?:''[^'']*''::[\w. ]+(?:, )?)*\]?'
                            '\)\)',
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
