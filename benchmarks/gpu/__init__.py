"""Check the grader on a machine with a GPU: `python -m benchmarks.gpu FOLDER` (docs/gpu.md)."""
