-- 62_rewrite_rule
-- A rewrite rule on a tenant table.
-- source: https://www.postgresql.org/docs/current/rules-privileges.html
-- why: Its actions are checked against the rights of the table's owner, who bypasses policies.

select
    format('rule %I on %s', r.rulename, t.title) as object,
    format('it rewrites statements: %s', pg_get_ruledef(r.oid)) as problem,
    format('drop rule %I on %s;', r.rulename, t.title) as fix
from pg_rewrite as r
inner join tenant_table as t on t.oid = r.ev_class
