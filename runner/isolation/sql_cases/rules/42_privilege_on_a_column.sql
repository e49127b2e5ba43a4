-- 42_privilege_on_a_column
-- A privilege on a column that the permission table does not give to a tenant's role.
-- source: a decision of this schema: grants explicit and by column
-- why: Who writes auth_user_id chooses who signs in; who writes approver_id signs for another.

select
    format('column %s.%I', p.title, p.column_name) as object,
    format('%s may %s it', p.grantee_name, lower(p.name_of_it)) as problem,
    format('revoke %s on %s from %s;', p.right_title, p.title, p.grantee_name) as fix
from privilege as p
inner join api_role as r on r.oid = p.grantee and r.name <> 'anon'
where p.exposed
    and p.column_name is not null
    and not exists (
        select from promised as w
        where w.role = r.name
            and w.relation = p.oid
            and w.privilege = p.name_of_it
            and coalesce(w.column_name, p.column_name) = p.column_name
    )
