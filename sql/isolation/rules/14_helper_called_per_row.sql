-- 14_helper_called_per_row
-- A tenant's policy that calls a helper without wrapping it in a sub-select.
-- source: sql/0009_enable_row_level_security.sql;
--   https://supabase.com/docs/guides/database/postgres/row-level-security (select)
-- why: Unwrapped, it is called once per row instead of once per statement: 82 to 130 times slower.

select
    c.title as object,
    format('its %s calls a helper for every row: %s', c.clause, c.text) as problem,
    c.fix as fix
from written_condition as c
where c.is_for_tenants
    and regexp_replace(c.text, '\( SELECT app\.\w+\([^()]*\) AS \w+\)', '', 'g') ~ '\mapp\.'
