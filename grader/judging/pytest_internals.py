"""The private parts of pytest on which the engine relies, in one place.

tests/contracts/test_pytest.py fails if a release of pytest moves one of them.
"""

from __future__ import annotations

import pytest
from _pytest.config import default_plugins

__all__ = ["NEEDED_PLUGINS", "UNUSED_PLUGINS", "prepare_for_rerun"]

NEEDED_PLUGINS = frozenset({"fixtures", "helpconfig", "main", "mark", "python", "runner"})
# Load only the plugins that collect and call tests. Plugins that a later release of pytest adds are not loaded either.
UNUSED_PLUGINS = sorted(set(default_plugins) - NEEDED_PLUGINS)


def prepare_for_rerun(test: pytest.Function) -> None:
    """Drop the fixture values of a test that ran, so that its next run makes new ones."""
    test._initrequest()
