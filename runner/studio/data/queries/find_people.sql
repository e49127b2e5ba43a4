-- People, and tenants, by part of a name, or by a whole id.
with found as (
    select
        tenants.id,
        tenants.name as tenant_name,
        people.*
    from {tenants} as tenants
    left join {people} as people on people.tenant = tenants.id
)

select
    id::text,
    left(tenant_name, 200),
    "user"::text,
    left(name, 200),
    left(email, 200),
    case when octet_length(to_jsonb(roles)::text) <= 2000 then to_jsonb(roles) end
from found
where strpos(lower(name), lower(%(text)s)) > 0
    or strpos(lower(email), lower(%(text)s)) > 0
    or strpos(lower(tenant_name), lower(%(text)s)) > 0
    or %(text)s in (id::text, "user"::text)
order by tenant_name, id, name, "user"
limit %(limit)s
