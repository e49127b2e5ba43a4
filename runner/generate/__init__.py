"""Generate files from the catalog: row types and diagrams."""
