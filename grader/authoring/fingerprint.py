"""Make the fingerprints of a book, from its Markdown and its notebooks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from grader.errors import InputError, SubmissionError
from grader.submission.notebook_json import DEFAULT_BOUNDS, parse
from grader.submission.written.fingerprints import make_fingerprints

__all__ = ["FingerprintedBook", "fingerprint"]

_SUFFIXES = (".md", ".ipynb")
_MAX_FILES = 5_000
_FENCED = re.compile(r"^ {0,3}(```+|~~~+).*?^ {0,3}\1[`~]*\s*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class FingerprintedBook:
    """What was written: how many files were read, how many fingerprints they have, and the bytes of the file."""

    files: int
    fingerprints: int
    bytes: int


def fingerprint(sources: Iterable[Path], out: Path) -> FingerprintedBook:
    """Write the fingerprints of all Markdown and notebooks in some files and folders. No text is kept, only hashes.

    Args:
        sources: files, and folders that are searched with their subfolders.
        out: the file to write.

    Raises:
        InputError: there is no text, or a file cannot be read or written.
    """
    paths = [path for source in sources for path in _list_files(source)]
    if len(paths) > _MAX_FILES:
        raise InputError(
            f"{len(paths):,} files are more than {_MAX_FILES:,}: give the chapters of this assignment only"
        )
    made = make_fingerprints(text for path in paths for text in _read_texts(path))
    if not len(made):
        raise InputError("there is no text in these: give the book's Markdown files or notebooks, or their folders")
    content = made.to_bytes()
    try:
        out.write_bytes(content)
    except OSError as error:
        raise InputError(f"cannot write {out} ({error.strerror}): give another file with --out") from None
    return FingerprintedBook(len(paths), len(made), len(content))


def _list_files(source: Path) -> list[Path]:
    if source.is_dir():
        return sorted(path for path in source.rglob("*") if path.suffix in _SUFFIXES and path.is_file())
    if source.suffix in _SUFFIXES and source.is_file():
        return [source]
    raise InputError(f"{source} is no folder and no .md or .ipynb file: check its name")


def _read_texts(path: Path) -> Iterator[str]:
    """Yield the Markdown of a file, without code."""
    try:
        data = path.read_bytes()
        if path.suffix == ".md":
            yield _FENCED.sub("\n", data.decode())
            return
        cells = parse(path.name, data, DEFAULT_BOUNDS).cells
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check its permissions") from None
    except (SubmissionError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): leave it out") from None
    yield from (str(cell["source"]) for cell in cells if cell.get("cell_type") == "markdown")
