"""The pages of the studio over HTTP and as files."""
