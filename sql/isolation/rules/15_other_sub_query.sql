-- 15_other_sub_query
-- A tenant's permissive policy with a sub-query other than (select app.helper(...)).
-- source: sql/0009_enable_row_level_security.sql; CVE-2024-10976
--   (https://www.postgresql.org/support/security/CVE-2024-10976/)
-- why: It reads the rows of all tenants, recurses, or is planned for one role and run as another.

select
    c.title as object,
    format('its %s has a sub-query of another form: %s', c.clause, c.text) as problem,
    c.fix as fix
from written_condition as c
where c.is_for_tenants
    and c.is_permissive  -- a restrictive one reads as the caller, and admits nothing
    and regexp_replace(c.text, '\( SELECT app\.\w+\([^()]*\) AS \w+\)', '', 'g') ~ '\mSELECT\M'
