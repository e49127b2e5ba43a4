-- 16_negative_comparison
-- A tenant's permissive policy that compares with a helper by an operator other than "=".
-- source: a decision of this schema: only positive comparisons with =
-- why: "<>" and NOT admit the rows of all other tenants; "is not distinct from" makes null equal
--   null.

select
    c.title as object,
    format('its %s compares by an operator other than "=": %s', c.clause, c.text) as problem,
    c.fix as fix
from written_condition as c
where c.is_for_tenants
    and c.is_permissive
    and (
        c.text ~ '(<>|!=|<|>|<=|>=|DISTINCT FROM|~~?\*?) \( SELECT app\.'
        or c.text ~ 'NOT \([^()]* = \( SELECT app\.'
    )
