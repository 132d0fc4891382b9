"""The engine that runs a rubric's tests against a submission and gives a verdict for each item."""
