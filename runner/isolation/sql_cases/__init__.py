"""Rules, attacks and invariants, one .sql file each."""
