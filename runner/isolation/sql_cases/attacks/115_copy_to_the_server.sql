-- 115_copy_to_the_server
-- A tenant copies a table to a file or a program on the server.
-- safe: Refused: they may not access the server's files.
-- source: https://www.postgresql.org/docs/current/predefined-roles.html (pg_write_server_files)

-- as: one member, platform, anonymous
-- expect: nothing
select rolname from pg_roles
where rolname ~ '^pg_(write|read)_server_files$|^pg_execute_server_program$'
    and pg_has_role(oid, 'member')

-- as: one member, platform, anonymous
-- expect: 42501
-- if: pg_has_role('pg_execute_server_program', 'member')
copy (select 1) to program 'true'
