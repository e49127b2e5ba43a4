"""Tests of the proofs: that they find what is wrong, and nothing else."""
