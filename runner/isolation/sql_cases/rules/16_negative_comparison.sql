-- 16_negative_comparison
-- A tenant's policy that compares with a helper by anything but a plain "=".
-- source: a decision of this schema: always a positive =
-- why: "<>" and NOT let everybody else's rows through; "is not distinct from" lets null be null.

select
    c.title as object,
    format('its %s compares by something else than "=": %s', c.clause, c.text) as problem,
    c.fix as fix
from condition as c
where c.is_for_tenants
    and (
        c.text ~ '(<>|!=|<|>|<=|>=|DISTINCT FROM|~~?\*?) \( SELECT app\.'
        or c.text ~ 'NOT \([^()]* = \( SELECT app\.'
    )
