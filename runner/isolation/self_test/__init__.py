"""Mutation testing of verify: weakened schemas that it must detect."""
