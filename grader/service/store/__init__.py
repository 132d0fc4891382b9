"""Persistent storage of the service: tables in SQLite or PostgreSQL, notebooks and reports as blobs."""
