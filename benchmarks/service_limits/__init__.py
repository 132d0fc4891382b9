"""Measures what the sizing of a service rests on: `python -m benchmarks.service_limits`; see docs/scale.md."""
