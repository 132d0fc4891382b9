"""Why a test cannot be run apart from the student's code."""

__all__ = ["Untranslatable"]


class Untranslatable(Exception):
    """What judges a question needs more than data and calls; the text goes on after the question's name."""
