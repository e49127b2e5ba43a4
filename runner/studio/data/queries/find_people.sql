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
    tenant_name,
    "user"::text,
    name,
    email,
    to_jsonb(roles)
from found
where strpos(lower(name), lower(%(text)s)) > 0
    or strpos(lower(email), lower(%(text)s)) > 0
    or strpos(lower(tenant_name), lower(%(text)s)) > 0
    or %(text)s in (id::text, "user"::text)
order by tenant_name, id, name, "user"
limit %(limit)s
