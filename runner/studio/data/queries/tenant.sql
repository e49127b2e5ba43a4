-- One tenant.
select left(name, 200)
from {tenants} as tenants
where tenants.id = %(tenant)s
limit 1
