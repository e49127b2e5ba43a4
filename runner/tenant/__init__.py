"""Export, erase and import the rows of one tenant, on any schema with an isolation.toml."""
