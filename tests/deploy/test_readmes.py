"""The pages beside the files in `deploy/`: their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PAGES = sorted((ROOT / "deploy").rglob("README.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.parent.name))
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    links = [page.parent / link.partition("#")[0] for link in re.findall(r"\]\((?!https:)([^)]+)\)", text)]
    named = [ROOT / path for path in re.findall(r"`((?:deploy|docs|grader|tests)/[\w./-]+)`", text)]
    for path in (*links, *named):
        assert path.exists(), path
