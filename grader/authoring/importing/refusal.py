"""Why a test cannot be run apart from the student's code."""

__all__ = ["NOT_PYTHON", "Untranslatable"]

# What Python raises where it cannot read code, be it that the code is nested too deeply.
NOT_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError)


class Untranslatable(Exception):
    """What judges a question needs more than data and calls; the text goes on after the question's name."""
