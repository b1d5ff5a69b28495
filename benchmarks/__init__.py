"""Repeatable measurements of our code against a named peer, in one run: `python -m benchmarks`."""
