-- Common table expressions for the rules of this schema, after those of the runner.

-- The fix of a policy whose condition has another form than the policies of sql/.
written_condition as (
    select
        c.*,
        format('-- compare %s', c.title) as fix
    from condition as c
)
