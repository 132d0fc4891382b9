"""Several reports at once: each format has its file, and only one goes to standard output."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.cli.report_targets import choose_targets
from grader.errors import InputError


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def choose(*formats: str, out: tuple[str, ...] = (), json: str = "", html: str = "") -> list[tuple[str, str]]:
    return [(str(target.form), target.file) for target in choose_targets(json, html, formats, out)]


def test_a_format_goes_to_its_file_or_to_standard_output() -> None:
    assert choose() == []
    assert choose("junit") == [("junit", "-")]
    assert choose("junit", out=("a.xml",)) == [("junit", "a.xml")]
    assert choose("junit=a.xml") == [("junit", "a.xml")]
    assert choose("html=a=b.html") == [("html", "a=b.html")]


def test_several_formats_are_written_each_to_its_own_file() -> None:
    assert choose("html=r.html", "junit=j.xml", json="r.json") == [
        ("json", "r.json"),
        ("html", "r.html"),
        ("junit", "j.xml"),
    ]
    assert choose("html", "junit", out=("r.html", "j.xml")) == [("html", "r.html"), ("junit", "j.xml")]
    assert choose("html=r.html", "github") == [("html", "r.html"), ("github", "-")]
    assert choose("html", "junit=j.xml", out=("r.html",)) == [("html", "r.html"), ("junit", "j.xml")]


@pytest.mark.parametrize(
    ("formats", "others", "message"),
    [
        (("htm",), {}, "--format: 'htm' is not one of json, html, .*; did you mean html?"),
        (("html=",), {}, "--format html= has no file after the =: give --format html=FILE"),
        ((), {"out": ("a",)}, "--out needs --format"),
        (("html", "junit"), {"out": ("a",)}, "2 formats and 1 --out: .*--format html=FILE --format junit=FILE"),
        (("html=a",), {"out": ("b",)}, "--out needs --format"),
        (
            ("junit",),
            {"json": "-"},
            "--json - and --format junit would both go to standard output: ",
        ),
        (("junit", "github"), {}, "--format junit and --format github would both go to standard output"),
        (("junit=a", "html=./a"), {}, "two reports would go to a: give each a file of its own"),
        (("junit=no/folder",), {}, "cannot write the report to no/folder: there is no folder"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    formats: tuple[str, ...], others: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        choose(*formats, **others)  # type: ignore[arg-type]
