-- 25_leakproof_function
-- A function, in a schema of ours or an exposed one, that is marked LEAKPROOF.
-- source: https://www.postgresql.org/docs/current/rules-privileges.html (LEAKPROOF)
-- why: It runs before the policies, on the rows of every tenant.

select
    format('function %s', f.title) as object,
    'it runs before the policies, on every row' as problem,
    format('alter routine %s not leakproof;', f.title) as fix
from routine as f
where f.is_leakproof
