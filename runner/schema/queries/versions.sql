-- The rows of the catalog from which facts come: a number for each version of a row, and to which
-- relation, function or type it belongs. The number is computed from the row's place and the
-- transaction that wrote it, so nothing has to be deparsed. An owner is 0 for what belongs to the
-- database as a whole, and 1 for what may change how every other object is shown.
versions (owner, version) as (
    select
        r.owner,
        -- The transaction as its distance from a fixed one; those that made the database have none.
        hashtidextended(
            r.place,
            (r.class::bigint << 32)
            + coalesce(nullif(age(r.writer), 2147483647) - (select age('3'::xid)), 0)
        )
    from (
        select oid, tableoid, ctid, xmin from pg_class where oid >= 16384
        union all
        select indrelid, tableoid, ctid, xmin from pg_index where indexrelid >= 16384
        union all
        select attrelid, tableoid, ctid, xmin
        from pg_attribute
        where attrelid >= 16384 and (attnum > 0 or attacl is not null)
        union all
        select adrelid, tableoid, ctid, xmin from pg_attrdef
        union all
        select seqrelid, tableoid, ctid, xmin from pg_sequence
        union all
        select inhrelid, tableoid, ctid, xmin from pg_inherits
        union all
        select partrelid, tableoid, ctid, xmin from pg_partitioned_table
        union all
        select ftrelid, tableoid, ctid, xmin from pg_foreign_table
        union all
        select greatest(conrelid, contypid), tableoid, ctid, xmin from pg_constraint where oid >= 16384
        union all
        select tgrelid, tableoid, ctid, xmin from pg_trigger
        union all
        -- A foreign key has triggers on both tables.
        select tgconstrrelid, tableoid, ctid, xmin
        from pg_trigger
        where tgconstrrelid not in (0, tgrelid)
        union all
        -- A trigger of a partition is compared with that of its parent.
        select t.tgrelid, p.tableoid, p.ctid, p.xmin
        from pg_trigger as t
        inner join pg_trigger as p on p.oid = t.tgparentid
        union all
        select polrelid, tableoid, ctid, xmin from pg_policy
        union all
        select ev_class, tableoid, ctid, xmin from pg_rewrite where oid >= 16384
        union all
        select oid, tableoid, ctid, xmin from pg_proc where oid >= 16384
        union all
        select aggfnoid, tableoid, ctid, xmin from pg_aggregate where aggfnoid >= 16384
        union all
        select coalesce(nullif(typrelid, 0), oid), tableoid, ctid, xmin
        from pg_type
        where oid >= 16384 and typcategory <> 'A'
        union all
        -- Base types are read with what belongs to the database as a whole.
        select 0, tableoid, ctid, xmin from pg_type where oid >= 16384 and typtype in ('b', 'p') and typelem = 0
        union all
        select enumtypid, tableoid, ctid, xmin from pg_enum
        union all
        select rngtypid, tableoid, ctid, xmin from pg_range where rngtypid >= 16384
        union all
        select objoid, tableoid, ctid, xmin
        from pg_description
        where objoid >= 16384
        union all
        select 0, tableoid, ctid, xmin
        from pg_description
        where objoid >= 16384
            and classoid not in (
                'pg_class'::regclass, 'pg_constraint'::regclass, 'pg_policy'::regclass,
                'pg_proc'::regclass, 'pg_trigger'::regclass
            )
        union all
        select 0, d.tableoid, d.ctid, d.xmin
        from pg_namespace as n
        inner join pg_description as d on d.objoid = n.oid and d.classoid = n.tableoid
        where n.oid < 16384
        union all
        -- Which table a sequence belongs to.
        select objid, tableoid, ctid, xmin
        from pg_depend
        where deptype in ('a', 'i')
            and classid = 'pg_class'::regclass
            and refclassid = 'pg_class'::regclass
            and refobjsubid > 0
            and objid >= 16384
        union all
        select refobjid, tableoid, ctid, xmin
        from pg_depend
        where deptype in ('a', 'i')
            and classid = 'pg_class'::regclass
            and refclassid = 'pg_class'::regclass
            and refobjsubid > 0
            and objid >= 16384
        union all
        select 0, tableoid, ctid, xmin from pg_auth_members
        union all
        select 0, tableoid, ctid, xmin from pg_cast where oid >= 16384
        union all
        select 0, tableoid, ctid, xmin from pg_database where datname = current_database()
        union all
        select 0, tableoid, ctid, xmin from pg_default_acl
        union all
        select 0, tableoid, ctid, xmin from pg_event_trigger
        union all
        select 0, tableoid, ctid, xmin from pg_namespace where nspname !~ '^pg_(toast_)?temp_'
        union all
        select 0, tableoid, ctid, xmin from pg_publication
        union all
        select 0, tableoid, ctid, xmin from pg_publication_namespace
        union all
        select 0, tableoid, ctid, xmin from pg_publication_rel
        union all
        select 0, tableoid, ctid, xmin from pg_statistic_ext
        union all
        select 1, tableoid, ctid, xmin from pg_am where oid >= 16384
        union all
        select 1, tableoid, ctid, xmin from pg_amop where oid >= 16384
        union all
        select 1, tableoid, ctid, xmin from pg_amproc where oid >= 16384
        union all
        select 1, tableoid, ctid, xmin from pg_collation where oid >= 16384
        union all
        select 1, tableoid, ctid, xmin from pg_conversion where oid >= 16384
        union all
        select 1, tableoid, ctid, xmin
        from pg_depend
        where refclassid = 'pg_extension'::regclass and deptype = 'e'
        union all
        select 1, tableoid, ctid, xmin from pg_extension
        union all
        select 1, tableoid, ctid, xmin from pg_foreign_data_wrapper
        union all
        select 1, tableoid, ctid, xmin from pg_foreign_server
        union all
        select 1, tableoid, ctid, xmin from pg_language
        union all
        select 1, tableoid, ctid, xmin from pg_opclass where oid >= 16384
        union all
        select 1, tableoid, ctid, xmin from pg_operator where oid >= 16384
        union all
        select 1, tableoid, ctid, xmin from pg_opfamily where oid >= 16384
        union all
        select 1, tableoid, ctid, xmin from pg_transform
        union all
        select 1, tableoid, ctid, xmin from pg_ts_config where oid >= 16384
        union all
        select 1, tableoid, ctid, xmin from pg_ts_config_map where mapcfg >= 16384
        union all
        select 1, tableoid, ctid, xmin from pg_ts_dict where oid >= 16384
        union all
        select 1, tableoid, ctid, xmin from pg_ts_parser where oid >= 16384
        union all
        select 1, tableoid, ctid, xmin from pg_ts_template where oid >= 16384
    ) as r (owner, class, place, writer)
    where r.owner not in (select oid from pg_class where relpersistence = 't')
    union all
    -- The tables of roles and user mappings are for superusers only.
    select
        0,
        hash_record_extended(
            row(oid, rolcreaterole, rolcreatedb, rolinherit, rolreplication, rolconnlimit), 0
        )
    from pg_roles
    union all
    select 1, hash_record_extended(row(oid, rolname, rolsuper, rolbypassrls, rolcanlogin), 0)
    from pg_roles
    union all
    select 0, hash_record_extended(row(umid, srvname, usename, umoptions), 0) from pg_user_mappings
    union all
    select 1, hash_record_extended(row(oid, nspname, nspowner), 0)
    from pg_namespace
    where nspname !~ '^pg_(toast_)?temp_'
)
