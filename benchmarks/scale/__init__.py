"""How many workers a service needs, and which part breaks first: `python -m benchmarks.scale`; see docs/scale.md."""
