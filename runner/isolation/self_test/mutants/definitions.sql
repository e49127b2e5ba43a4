-- What the mutants are made from: the roles of the actors, and the tables within reach of one.
create temporary view api_role as
select
    part.kind,  -- member, anonymous or platform
    role.name
from jsonb_each(:'actor_roles'::jsonb) as part (kind, names)
cross join jsonb_array_elements_text(part.names) as role (name);

create temporary view client_role as
select name from api_role where kind in ('member', 'anonymous');

create temporary view project_table as
select
    rel.oid,
    rel.oid::regclass as name,
    rel.relowner as owner,
    rel.relrowsecurity as is_secured,
    rel.relforcerowsecurity as is_forced,
    space.nspname as schema_name
from pg_class as rel
inner join pg_namespace as space on space.oid = rel.relnamespace
where rel.relkind in ('r', 'p')
    and space.nspname !~ '^pg_'
    and space.nspname not in ('information_schema', 'yoyo')
    and exists (
        select from api_role as r where has_schema_privilege(r.name, space.oid, 'usage')
    )
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_class'::regclass and d.objid = rel.oid and d.deptype = 'e'
    );
