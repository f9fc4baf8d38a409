"""Small things that the rest stands on: kernel locks, the one guard, checks, our own log lines."""
