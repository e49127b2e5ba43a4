-- Whether the role that owns the schema, or would own it, passes the policies of a table that is not forced.
with
{scope}
select o.rolsuper or o.rolbypassrls
from me
inner join pg_roles as o on o.oid = me.oid
