-- People by part of a name, e-mail address or organization name, or by a whole id.
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
where strpos(lower(u.name), lower(%(text)s)) > 0
    or strpos(u.email, lower(%(text)s)) > 0
    or strpos(lower(o.name), lower(%(text)s)) > 0
    or %(text)s in (u.id, o.id, u.auth_user_id::text)
order by o.name, o.id, u.name, u.id
limit %(limit)s
