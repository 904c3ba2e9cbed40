"""Measurements of edge-build, run by hand: `python -m benchmarks.build`, `… .overlay`."""
