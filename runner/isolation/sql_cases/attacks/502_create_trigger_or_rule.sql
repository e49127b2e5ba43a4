-- 502_create_trigger_or_rule
-- An API role creates a trigger, a rule or a reference: code that others would run.
-- safe: They lack the privilege. It is checked, not tried: PostgreSQL locks the table before it
--   refuses.
-- source: https://www.postgresql.org/docs/current/ddl-priv.html (TRIGGER, REFERENCES)
-- each: table

-- as: one member, anonymous
-- expect: nothing, 42501
select 'may create a trigger' where has_table_privilege(':table', 'trigger')

-- as: one member, anonymous
-- expect: nothing, 42501
select 'may refer to it' where has_any_column_privilege(':table', 'references')

-- as: one member, anonymous
-- expect: nothing, 42501
select 'may create a rule'
from pg_class as c
where c.oid = ':table'::regclass and pg_has_role(c.relowner, 'usage')
