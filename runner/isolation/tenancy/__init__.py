"""Which tenant a row belongs to, in any schema: from isolation.toml and the catalog."""
