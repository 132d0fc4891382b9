"""Submissions: bytes in, bounded and normalised cells out. No student code runs here."""
