"""Why a test cannot be run apart from the student's code."""

__all__ = ["NOT_PYTHON", "Untranslatable"]

# What Python raises if it cannot parse code, deep nesting included.
NOT_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError)


class Untranslatable(Exception):
    """A test needs more than data and calls; the message continues a sentence that begins with the question's name."""
