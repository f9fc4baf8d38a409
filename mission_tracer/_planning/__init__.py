"""Decide, without any I/O, which request comes next: from facts and from what the server is known to have."""
