update yoyo._yoyo_migration
set
    migration_id = %(id)s,
    content_sha256 = %(sha256)s,
    code_sha256 = %(code_sha256)s,
    content = %(content)s
where migration_hash = %(hash)s
