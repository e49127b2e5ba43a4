-- The first tenants, in the order in which they were made, and some people of each.
select
    tenants.id::text,
    tenants.name,
    people."user"::text,
    people.name,
    people.email,
    to_jsonb(people.roles)
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
