"""Tests of the migrations in sql/ on real PostgreSQL servers."""
