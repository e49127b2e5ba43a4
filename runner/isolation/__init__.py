"""Proofs that the schema keeps its promises, and the table of what it promises."""
