"""Reach a PostgreSQL server: target, connection, pooler, and the embedded server."""
