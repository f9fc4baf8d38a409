"""Measure mission_tracer against its peers: `python -m benchmarks` makes `docs/benchmarks.md`."""
