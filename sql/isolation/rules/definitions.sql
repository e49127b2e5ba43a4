-- Common table expressions for the rules of this schema, after those of the runner.

-- The fix of a policy whose condition has another form than the policies of sql/.
written_condition as (
    select
        c.*,
        case
            when exists (select from declared as w where w.relation = c.table_oid)
                then format(
                    'psql -1 -f sql/0009_enable_row_level_security.sql'
                    '  -- or, if it is not in that file: drop policy %I on %s;',
                    c.name, c.table_title
                )
            else format(
                'drop policy %I on %s;  -- and create it with %I = (select app.caller_org()) and ...',
                c.name, c.table_title, c.key
            )
        end as fix
    from condition as c
)
