-- Rows of one tenant for the cases, attacks and invariants, beside those that verify makes itself: the
-- tenant, and a user for each role. Runs for both tenants, in a transaction that is rolled back.

insert into public.users (org_id, id, email, name, roles, auth_user_id)
values
    (:'org', :'other_owner', :'other_owner' || '@proof.invalid', 'Second owner', '{OWNER}', null),
    (:'org', :'other_admin', :'other_admin' || '@proof.invalid', 'Second admin', '{ADMIN}', null),
    (:'org', :'other_member', :'other_member' || '@proof.invalid', 'Second member', '{MEMBER}', null),
    (:'org', :'unlinked', :'unlinked' || '@proof.invalid', 'Unlinked', '{MEMBER}', :'unlinked_uuid');

-- Signed in until now: the token is still valid, the link to the account is gone.
update public.users
set auth_user_id = null
where org_id = :'org' and id = :'unlinked';

insert into public.projects (org_id, id, name)
values
    (:'org', :'project', 'Project'),
    (:'org', :'idle_project', 'Project without workflows');

insert into public.workflows (org_id, id, project_id, gate, status, approver_id, approved_at)
values
    (:'org', :'workflow', :'project', 'G1', 'pending', null, null),
    (:'org', :'approved_workflow', :'project', 'G2', 'approved', :'other_owner', now());

insert into public.ai_agents (org_id, id, type)
values (:'org', :'agent', 'researcher');

insert into public.audit_logs (org_id, id, actor_id, action, target_type, target_id)
values (:'org', :'audit', :'other_owner', 'exported', 'projects', :'project');

-- On Citus, a user needs their account by the end of the transaction: see sql/citus/.
do $$
begin
    if to_regclass('app.accounts') is not null then
        insert into app.accounts (email, org_id, user_id, auth_user_id)
        select u.email, u.org_id, u.id, u.auth_user_id
        from public.users as u
        where u.org_id = :'org'
        on conflict do nothing;
    end if;
end
$$;
