"""Queries and changes, one module for each kind of record. They return plain values, never rows of an open session."""
