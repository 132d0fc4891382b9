"""Measure the input of a service's sizing: `python -m benchmarks.service_limits`; see docs/scale.md."""
