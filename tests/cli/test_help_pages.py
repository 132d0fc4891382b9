"""Help is plain text that breaks no word, on terminals of any width."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grader.cli import app
from tests.support.command_line import GRADER
from tests.support.pseudo_terminal import show_on_terminal

WORDS = ["check", "batch", "submit", "assignment import", "rubric verify", "key show", "completion"]


def show(words: str, columns: int, option: str = "--help") -> str:
    result = CliRunner().invoke(app, [*words.split(), option], env={"COLUMNS": str(columns)})
    assert result.exit_code == 0
    return result.stdout


def list_words(text: str) -> Iterator[str]:
    yield from (word for word in text.replace(" \\\n", "\n").split() if word)


@pytest.mark.parametrize("columns", [80, 60, 44, 40])
@pytest.mark.parametrize("words", ["", *WORDS])
def test_lines_fit_the_terminal_and_no_word_is_broken(words: str, columns: int) -> None:
    narrow, wide = show(words, columns), show(words, 1000)
    too_long = [line for line in narrow.splitlines() if len(line) > columns and len(line.split()) > 1]
    assert too_long == []
    assert sorted(list_words(narrow)) == sorted(list_words(wide))


@pytest.mark.parametrize("words", ["", *WORDS])
def test_nothing_of_a_programmers_is_shown(words: str) -> None:
    text = show(words, 80)
    assert not re.search(r"[│╭╰<>]|\blist\[|\bbool\b|\bstr\b|\bint\b|Optional|Path\b", text.replace("< hw2", ""))


def test_h_is_short_for_help_everywhere() -> None:
    for words in ("", *WORDS):
        assert show(words, 80, "-h") == show(words, 80)


def test_options_have_words_for_their_values_and_say_what_they_take() -> None:
    text = show("check", 80)
    assert "--training none|quick|full" in text
    assert "--format FORMAT[=FILE]" in text
    assert "--hint N" in text
    assert "Usage: grader check [OPTIONS] FILE...\n" in text
    assert " ".join(text.split()).count("after_due_date, after_published") == 1


def test_the_main_commands_have_examples_that_are_commands() -> None:
    for words in ("", "check", "batch", "submit", "rubric verify"):
        _, _, examples = show(words, 80).replace(" \\\n", " ").partition("Examples:\n")
        lines = [line.strip() for line in examples.split("\n\n")[0].splitlines()]
        assert lines
        assert all(line.startswith("grader ") for line in lines), lines


def test_commands_stand_in_sections_with_one_line_each() -> None:
    text = show("", 80)
    sections = re.findall(r"^(\w[\w ]*):$", text, re.MULTILINE)
    expected = ["One submission", "A class", "An assignment", "A server", "This machine", "Options", "Examples"]
    assert sections == expected
    assert "completion-words" not in text


@pytest.mark.parametrize(("variables", "is_bold"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_headings_are_bold_on_a_terminal_that_wants_it(
    tmp_path: Path, variables: dict[str, str | None], is_bold: bool
) -> None:
    shown = show_on_terminal([GRADER, "check", "-h"], tmp_path, 44, variables=variables)
    assert shown.code == 0
    assert ("\x1b[1mOptions:\x1b[0m" in shown.raw) is is_bold
    assert ("\x1b" in shown.raw) is is_bold
    assert max(map(len, shown.text.splitlines())) <= 44
