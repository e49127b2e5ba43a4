-- 62_rewrite_rule
-- A rewrite rule on a tenant's table.
-- source: https://www.postgresql.org/docs/current/rules-privileges.html
-- why: What it does is checked against the rights of the table's owner, whom policies do not hold.

select
    format('rule %I on %s', r.rulename, t.title) as object,
    format('it rewrites what is done there: %s', pg_get_ruledef(r.oid)) as problem,
    format('drop rule %I on %s;', r.rulename, t.title) as fix
from pg_rewrite as r
inner join tenant_table as t on t.oid = r.ev_class
