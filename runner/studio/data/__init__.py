"""What the studio reads, as the person viewed as."""
