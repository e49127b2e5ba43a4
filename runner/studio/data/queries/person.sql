-- The person whose token has this "sub".
select
    o.id,
    o.name,
    u.id,
    u.name,
    u.email,
    u.roles::text[],
    u.auth_user_id::text
from public.users as u
inner join public.organizations as o on o.id = u.org_id
where u.auth_user_id = %(sub)s::uuid
