"""The key with which known submissions are graded: the same everywhere, so that all machines find the same."""

from __future__ import annotations

from grader.installation_key import InstallationKey

__all__ = ["FIXED_KEY"]

# No secret: the submissions are ours, and nothing is earned. Reports for students are never made with it.
FIXED_KEY = InstallationKey(b"of our own submissions, in public")
