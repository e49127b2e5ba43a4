-- One user; in one tenant, if it is named.
select
    tenants.id::text,
    left(tenants.name, 200),
    people."user"::text,
    left(people.name, 200),
    left(people.email, 200),
    case when octet_length(to_jsonb(people.roles)::text) <= 2000 then to_jsonb(people.roles) end
from {people} as people
inner join {tenants} as tenants on tenants.id = people.tenant
where people."user" = %(user)s and (%(tenant)s::text is null or tenants.id::text = %(tenant)s)
order by tenants.at, tenants.id
limit 1
