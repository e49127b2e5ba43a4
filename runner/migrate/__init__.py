"""Compare, apply, roll back, record and seed: the only package that changes a database."""
