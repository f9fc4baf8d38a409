"""Deliver runs: which there are, who delivers which, and the threads that do it."""
