"""What the files in sql/ promise, tried on real servers."""
