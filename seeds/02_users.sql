-- 02_users
-- Users of both organizations: an owner, an admin and members in each.
--
-- auth_user_id is the "sub" claim of a user's token. To act as Maren in psql, as the API does:
--     begin;
--     set local request.jwt.claims = '{"sub": "5ea51de0-0000-4000-8000-000000000001"}';
--     set local role authenticated;
--
-- updated_at is set on insert only; afterwards the database maintains it.

insert into public.users as person
    (org_id, id, email, name, roles, auth_user_id, created_at, updated_at)
values
    -- Skerry Line
    (
        'cskerryline00000000000000', 'cskerryuser01maren0000000',
        'maren@skerryline.example', 'Maren Skaill', '{OWNER}',
        '5ea51de0-0000-4000-8000-000000000001',
        '2025-01-13 08:05:00+00', '2025-01-13 08:05:00+00'
    ),
    (
        'cskerryline00000000000000', 'cskerryuser02tobias000000',
        'tobias@skerryline.example', 'Tobias Marrable', '{ADMIN}',
        '5ea51de0-0000-4000-8000-000000000002',
        '2025-01-13 09:30:00+00', '2025-01-13 09:30:00+00'
    ),
    (
        'cskerryline00000000000000', 'cskerryuser03dag000000000',
        'dag@skerryline.example', 'Dag Rønningsund', '{MEMBER}',
        '5ea51de0-0000-4000-8000-000000000003',
        '2025-01-20 07:15:00+00', '2025-01-20 07:15:00+00'
    ),
    (
        'cskerryline00000000000000', 'cskerryuser04isbel0000000',
        'isbel@skerryline.example', 'Isbel Farrowmere', '{MEMBER}',
        '5ea51de0-0000-4000-8000-000000000004',
        '2025-02-03 08:00:00+00', '2025-06-17 10:20:00+00'
    ),
    -- Odd Loaf. Pip is invited but has never signed in, so auth_user_id is null.
    (
        'coddloaf00000000000000000', 'coddloafuser01odalys00000',
        'odalys@oddloaf.example', 'Odalys Krume', '{OWNER}',
        '0dd10af0-0000-4000-8000-000000000001',
        '2025-03-04 04:40:00+00', '2025-03-04 04:40:00+00'
    ),
    (
        'coddloaf00000000000000000', 'coddloafuser02benno000000',
        'benno@oddloaf.example', 'Benno Hartroggen', '{ADMIN,MEMBER}',
        '0dd10af0-0000-4000-8000-000000000002',
        '2025-03-04 05:10:00+00', '2025-03-31 13:00:00+00'
    ),
    (
        'coddloaf00000000000000000', 'coddloafuser03wilma000000',
        'wilma@oddloaf.example', 'Wilma Tansy-Okoro', '{MEMBER}',
        '0dd10af0-0000-4000-8000-000000000003',
        '2025-03-11 05:00:00+00', '2025-03-11 05:00:00+00'
    ),
    (
        'coddloaf00000000000000000', 'coddloafuser04pip00000000',
        'pip@oddloaf.example', 'Pip Sorrel', '{MEMBER}',
        null,
        '2025-09-26 14:45:00+00', '2025-09-26 14:45:00+00'
    )
on conflict (org_id, id) do update
set
    email = excluded.email,
    name = excluded.name,
    roles = excluded.roles,
    auth_user_id = excluded.auth_user_id,
    created_at = excluded.created_at
where (
    person.email,
    person.name,
    person.roles,
    person.auth_user_id,
    person.created_at
) is distinct from (
    excluded.email,
    excluded.name,
    excluded.roles,
    excluded.auth_user_id,
    excluded.created_at
);

-- On Citus, a user needs their account by the end of the transaction: see sql/citus/.
do $$
begin
    if to_regprocedure('app.sync_accounts()') is not null then
        perform app.sync_accounts();
    end if;
end
$$;
