"""Reads for the studio's pages, each in a session of the person being viewed as."""
