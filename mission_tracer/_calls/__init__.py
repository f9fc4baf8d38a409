"""Record the calls of any callable."""
