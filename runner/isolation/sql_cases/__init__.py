"""Rules, attacks and invariants: one .sql case file each, and the code that runs them."""
