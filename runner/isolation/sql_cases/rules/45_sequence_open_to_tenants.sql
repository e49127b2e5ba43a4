-- 45_sequence_open_to_tenants
-- A sequence, in a schema of ours or an exposed one, that an API role may read or advance.
-- source: https://www.postgresql.org/docs/current/ddl-priv.html (sequences)
-- why: Sequences have no policies: one reveals how active other tenants are, and can be exhausted.

select
    format('sequence %s', p.title) as object,
    format('%s may use it: %s', p.grantee_name, p.right_title) as problem,
    format('revoke all on sequence %s from %s;', p.title, p.grantee_name) as fix
from privilege as p
where p.kind = 'S'
    and (p.grantee = 0 or p.grantee in (select r.oid from api_role as r))
