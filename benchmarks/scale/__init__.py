"""How many workers a service needs, and what of it breaks first: `python -m benchmarks.scale`; see docs/scale.md."""
