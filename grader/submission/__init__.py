"""Submissions: bytes in, bounded and normalised cells out. Nothing of them runs here."""
