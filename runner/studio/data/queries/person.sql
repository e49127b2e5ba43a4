-- One user; in one tenant, if it is named.
select
    tenants.id::text,
    tenants.name,
    people."user"::text,
    people.name,
    people.email,
    to_jsonb(people.roles)
from {people} as people
inner join {tenants} as tenants on tenants.id = people.tenant
where people."user" = %(user)s and (%(tenant)s::text is null or tenants.id::text = %(tenant)s)
order by tenants.at, tenants.id
limit 1
