"""Cells are kept within bounds, and survive being packed."""

from __future__ import annotations

from grader.results import source_cells
from grader.results.source_cells import SourceCell, collect_sources, pack_sources, unpack_sources
from grader.submission.submission import Submission, read_notebook
from tests.support.notebooks import notebook_bytes


def test_the_public_names_are_sorted() -> None:
    assert source_cells.__all__ == sorted(source_cells.__all__)


def test_a_submission_s_cells_are_collected_in_order() -> None:
    submission = Submission((read_notebook("하나.ipynb", notebook_bytes("x = 1", "y = 2")),))
    assert submission.sources == {"하나.ipynb": (SourceCell("code", "x = 1"), SourceCell("code", "y = 2"))}


def test_cells_are_packed_and_unpacked_whatever_their_text_is() -> None:
    sources = {"a": (SourceCell("code", "\ud800\x00<>"), SourceCell("markdown", ""))}
    assert unpack_sources(pack_sources(sources)) == sources
    pack_sources(sources).encode()


def test_what_is_kept_is_bounded() -> None:
    sources = collect_sources((name, [("code", "x" * 100_000)] * 3000) for name in ("a", "b"))
    assert len(pack_sources(sources)) < 1_200_000
    assert len(sources["a"][0].text) < 20_010
    assert sources["a"][0].text.endswith("\n…")
    assert [len(cells) for cells in sources.values()] == [2000, 2000]
