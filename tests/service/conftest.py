"""A database with all tables, made once and copied by tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.service.settings import Settings
from grader.service.store.database import migrate


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with tables and nothing in them."""
    path = tmp_path_factory.mktemp("migrated") / "grader.sqlite"
    migrate(Settings(database=f"sqlite:///{path}"))
    return path
