-- One tenant.
select name
from {tenants} as tenants
where tenants.id = %(tenant)s
limit 1
