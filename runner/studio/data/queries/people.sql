-- The first tenants, in the order in which they were made, and some people of each.
select
    tenants.id::text,
    left(tenants.name, 200),
    people."user"::text,
    left(people.name, 200),
    left(people.email, 200),
    case when octet_length(to_jsonb(people.roles)::text) <= 2000 then to_jsonb(people.roles) end
from (
    select *
    from {tenants} as each
    order by each.at, each.id
    limit %(tenants)s
) as tenants
left join lateral (
    select *
    from {people} as each
    where each.tenant = tenants.id
    order by each.at, each."user"
    limit %(each)s
) as people on true
order by tenants.at, tenants.id, people.at, people."user"
