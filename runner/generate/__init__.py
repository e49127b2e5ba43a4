"""Texts and pictures written from the catalog: row types, diagrams."""
