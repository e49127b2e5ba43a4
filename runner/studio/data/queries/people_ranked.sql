-- As people.sql, for a server that limits no lateral join: a coordinator of Citus.
with first_tenants as materialized (
    select *
    from {tenants} as each
    order by each.at, each.id
    limit %(tenants)s
)

select
    tenants.id::text,
    left(tenants.name, 200),
    people."user"::text,
    left(people.name, 200),
    left(people.email, 200),
    case when octet_length(to_jsonb(people.roles)::text) <= 2000 then to_jsonb(people.roles) end
from first_tenants as tenants
left join (
    select
        each.*,
        row_number() over (partition by each.tenant order by each.at, each."user") as place
    from {people} as each
    where each.tenant in (select first_tenants.id from first_tenants)
) as people on people.tenant = tenants.id and people.place <= %(each)s
order by tenants.at, tenants.id, people.at, people."user"
