-- The fingerprint of the catalog: the number of its format, major version, SHA-256 of the facts. Those
-- of another format or version are not compared. The braces stand for the query catalog.sql.
--
-- A job may make and drop partitions: what several partitions of a table have in common is one fact,
-- without their names and bounds, and what they have from their parent is none; what only some of
-- them have is another fact. Where no role has a privilege on a partition itself, its own row
-- security protects nothing.
with recursive facts as materialized (
    select f.kind, f.name, f.trait, f.value, coalesce(f.of, f.name) as whole
    from (
{catalog}
    ) as f
    where f.kind not like '% of another role'
),
partitions (name, parent) as (
    select b.name, i.value
    from facts as b
    inner join facts as i on (i.kind, i.name, i.trait) = (b.kind, b.name, 'inherits')
    where b.trait = 'partition'
),
roots (name, root) as (
    select p.name, p.parent
    from partitions as p
    where p.parent not in (select q.name from partitions as q)
    union all
    select p.name, r.root
    from partitions as p
    inner join roots as r on r.name = p.parent
),
-- Facts of partitioned tables and their partitions, under one name.
common (kind, root, whole, part, trait, value, is_partition) as (
    select
        f.kind,
        coalesce(r.root, f.whole),
        f.whole,
        case when f.kind not in ('constraint', 'index') then substr(f.name, length(f.whole) + 1) end,
        f.trait,
        case
            when f.kind = 'index'
                then regexp_replace(f.value, '^(CREATE (?:UNIQUE )?INDEX ).*? USING ', '\1')
            -- A trigger's and a policy's text may have the name of its table.
            when f.kind in ('policy', 'trigger') then replace(f.value, f.whole, '')
            else f.value
        end,
        r.root is not null
    from facts as f
    left join roots as r on r.name = f.whole
    where (r.root is not null or f.whole in (select o.root from roots as o))
        and not (
            r.root is not null
            and (
                (f.kind in ('table', 'foreign table') and f.trait in ('partition', 'inherits'))
                or (
                    (f.trait, f.value) = ('row security', 'off')
                    and not exists (
                        select from facts as g where g.whole = f.whole and g.trait like '% to %'
                    )
                )
            )
        )
),
counted (kind, name, trait, value) as (
    select f.kind, f.name, f.trait, f.value
    from facts as f
    where f.whole not in (select r.name from roots as r)
    union all
    select
        c.kind, c.root || ' partition' || coalesce(c.part, ''), c.trait,
        c.value || case
            when c.trait not in ('row security', 'force') and count(distinct c.whole) < n.partitions
                then ' of some'
            else ''
        end
    from common as c
    inner join (select r.root, count(*) as partitions from roots as r group by r.root) as n
        on n.root = c.root
    group by c.kind, c.root, c.part, c.trait, c.value, n.partitions
    having bool_and(c.is_partition)
)
select '5:' || current_setting('server_version_num')::int / 10000 || ':' || encode(
    sha256(convert_to(
        string_agg(
            format('%s|%s|%s|%s', kind, name, trait, value),
            E'\n'
            order by kind collate "C", name collate "C", trait collate "C", value collate "C"
        ),
        'UTF8'
    )),
    'hex'
)
from counted
