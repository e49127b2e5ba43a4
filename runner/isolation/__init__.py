"""Verify that the schema isolates tenants: permission table, rules, attacks, invariants, drift."""
