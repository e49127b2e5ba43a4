"""Mutants: weakened schemas that verify has to notice."""
