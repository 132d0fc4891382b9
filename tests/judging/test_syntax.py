"""A line that is no Python is told with the line itself, and with what may be meant."""

from __future__ import annotations

import pytest

from grader.judging.syntax import describe_syntax_error, is_syntax_error

CASES = {
    "colon": ("def f(X):\n    for i in range(3)\n        X", ("line 2: expected ':' (`for i in range(3)`)",)),
    "bracket": ("Y = zeros((3, 2)\nfor i in Y:\n    pass", ("line 1", "never closed", "`Y = zeros((3, 2)`")),
    "curly quotes": ("def f(mode=\u2018max\u2019): pass", ("\u2018 is a typographic quotation mark",)),
    "opening below": ("x = \u201eabc\u201d", ("typographic quotation mark",)),
    "copied space": ("def f(x):\n\u00a0\u00a0return x", ("U+00A0", "copied text")),
    "tabs": ("def f(x):\n    y = 1\n\treturn y", ("a TabError in line 3", "indent all lines with spaces")),
    "no body": ("def f(x):\n    # to do\ny = 3", ("an IndentationError", "no body, or nothing but comments")),
    "unindented": ("def f(x):\n    y = 1\n  return y", ("an IndentationError in line 3", "`return y`")),
    "pip": ("import torch\npip install d2l", ("line 2", "!pip install")),
    "print": ("print x", ("Missing parentheses in call to 'print'",)),
    "misspelt": ("def f(x):\n    retrun x", ("did you mean return?",)),
    "capital": ("Def f(x):\n    return x", ("did you mean def?",)),
    "else if": ("if x:\n    y = 1\nelse if z:\n    y = 2", ("elif",)),
    "operator": ("if a && b:\n    pass", ("Python writes and for &&",)),
    "placeholder": ("def f(x):\n    return <your code>", ("a placeholder is left in it",)),
    "return": ("return 3", ("not indented as the lines of the function are",)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_syntax_error_is_told_with_its_line_and_what_to_do(case: str) -> None:
    source, said = CASES[case]
    with pytest.raises(SyntaxError) as caught:
        compile(source, "cell", "exec")
    error = caught.value
    sentence = describe_syntax_error("cell 3", error.lineno or 0, f"{type(error).__name__}: {error.msg}", source)
    assert sentence.startswith(("cell 3 has a ", "cell 3 has an "))
    assert all(part in sentence for part in said), sentence


def test_a_line_that_does_not_exist_is_not_quoted() -> None:
    assert describe_syntax_error("cell 1", 7, "SyntaxError: invalid syntax", "x") == (
        "cell 1 has a SyntaxError in line 7: invalid syntax"
    )


def test_other_errors_are_no_syntax_errors() -> None:
    assert is_syntax_error("IndentationError: unexpected indent")
    assert not is_syntax_error("NameError: name 'SyntaxError' is not defined")
