-- People to view the database as: a few from each of the oldest organizations.
select
    o.id,
    o.name,
    u.id,
    u.name,
    u.email,
    u.roles::text[],
    u.auth_user_id::text
from (
    select
        id,
        name,
        created_at
    from public.organizations
    order by created_at, id
    limit %(organizations)s
) as o
cross join lateral (
    select *
    from public.users
    where org_id = o.id
    order by created_at, id
    limit %(each)s
) as u
order by o.created_at, o.id, u.created_at, u.id
