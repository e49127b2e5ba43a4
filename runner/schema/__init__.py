"""What a database contains: catalog snapshot, differences, fingerprint."""
