"""Apply, seed and inspect a PostgreSQL schema that is written by hand in numbered SQL files.

The files in `sql/` are the truth. Each package answers a question about them: what is applied
(migrate), what would happen and are the files sound (preflight), is the database what they say, and
are its tenants isolated (isolation).
"""

__version__ = "0.1.0"
