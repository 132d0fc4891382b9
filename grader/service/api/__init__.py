"""The HTTP API: submit notebooks, follow their grading, fetch reports. The workers grade, not the API."""
