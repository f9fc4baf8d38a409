"""Run a program that knows nothing of us as a run."""
