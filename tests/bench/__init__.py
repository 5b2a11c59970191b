"""Benchmarks: `python -m tests.bench` runs all of them; each module can be run by itself."""
