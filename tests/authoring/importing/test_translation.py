"""How tests are translated, and which are refused because they need more than data and calls."""

from __future__ import annotations

import ast

import pytest

from grader.authoring.importing.names import Bindings
from grader.authoring.importing.questions import Question, QuestionKind
from grader.authoring.importing.refusal import Untranslatable
from grader.authoring.importing.translation import TranslatedTest
from grader.authoring.importing.translation import translate as translate_part

NOTEBOOK = """
import math, os
import numpy as np, pandas as pd
from collections import Counter
%matplotlib inline
data = [1, 2]
table = pd.DataFrame()
model = Model(1)
def square(x): return x * x
def noisy(x): return np.random.rand() + x
def says(x): print(x)
def many(): return {}
class Model:
    def fit(self, X): return self
class Wrong(Exception): pass
"""


def translate(code: str, *before: str, kind: QuestionKind = QuestionKind.STATEMENTS) -> TranslatedTest:
    question = Question("q", "", 1, "here", kind, (code,), before)
    return translate_part(code, question, Bindings([NOTEBOOK]))


def session(code: str) -> TranslatedTest:
    return translate(code, kind=QuestionKind.EXAMPLES)


def statements(made: TranslatedTest) -> list[str]:
    return [
        line for each in (*made.copied, *made.body) for line in ast.unparse(ast.fix_missing_locations(each)).split("\n")
    ]


@pytest.mark.parametrize(
    ("code", "names", "variables"),
    [
        ("assert square(2) == 4", ("square",), ()),
        ("assert data == [1, 2]", ("data",), ("data",)),
        ("assert square(data[0]) == len(data)", ("square", "data"), ("data",)),
        ("x = square(2)\nassert x == 4", ("square",), ()),
        ("data = data + [3]\nassert data", ("data",), ("data",)),
        ("data += [3]\nassert data", ("data",), ("data",)),
        ("data = [1]\nassert square(data[0])", ("square",), ()),
        ("assert [x for x in data] == [1, 2]", ("data",), ("data",)),
        ("def check(f):\n    assert f(2) == square(2)\ncheck(abs)", ("square",), ()),
        ("assert not_yet_there == 1", ("not_yet_there",), ("not_yet_there",)),
        ("assert to_write(1) == 1", ("to_write",), ()),
        ("assert isinstance(model, Model)", ("Model", "model"), ("model",)),
    ],
)
def test_names_of_the_notebook_are_the_student_s(code: str, names: tuple[str, ...], variables: tuple[str, ...]) -> None:
    made = translate(code)
    assert (set(made.names), made.variables) == (set(names), variables)


def test_imports_are_repeated_one_name_at_a_time() -> None:
    made = translate("assert math.isclose(square(2), np.pi) or Counter()")
    assert set(statements(made)[:3]) == {"import math", "import numpy as np", "from collections import Counter"}
    assert made.names == ("square",)


def test_earlier_definitions_of_the_author_are_copied() -> None:
    before = (
        "import numpy as np\nTOLERANCE = 1e-6\nwanted = [TOLERANCE]",
        "def near(a, b):\n    return abs(a - b) < TOLERANCE",
    )
    made = translate("assert near(square(2), 4)", *before)
    assert made.names == ("square",)
    assert statements(made)[:3] == ["TOLERANCE = 1e-06", "def near(a, b):", "    return abs(a - b) < TOLERANCE"]


def test_values_that_the_author_made_from_the_student_s_work_are_the_student_s() -> None:
    before = ("result = square(3)\ngrown = []\ngrown.append(1)\ncount = 0\ncount += 1",)
    made = translate("assert (result, grown, count) == (9, [1], 1)", *before)
    assert made.copied == ()
    assert set(made.names) == set(made.variables) == {"result", "grown", "count"}


def test_a_session_shows_what_its_expressions_give() -> None:
    made = session(">>> x = square(2)\n>>> x\n4\n>>> for each in (1, 2):\n...     each\n1\n2\n")
    assert made.names == ("square",)
    assert statements(made) == [
        "x = square(2)",
        "with Shown('4') as show:",
        "    show(x)",
        "with Shown('1\\n2') as show:",
        "    for each in (1, 2):",
        "        show(each)",
    ]


def test_a_session_has_options_and_exceptions() -> None:
    made = session(
        ">>> square(2)  # doctest: +ELLIPSIS\n4...\n>>> square()  # doctest: +SKIP\n1\n"
        ">>> square('a')\nTraceback (most recent call last):\n    ...\nTypeError: no\n"
    )
    assert [line for line in statements(made) if line.startswith("with")] == [
        "with Shown('4...', 'ELLIPSIS') as show:",
        "with Shown('', raises='TypeError: no') as show:",
    ]


@pytest.mark.parametrize(
    ("code", "readable"),
    [
        ("assert Model(1).size == 1", ("size",)),
        ("a = Model(1)\na.fit([1]).score\nassert a.count(1) == 1", ("count", "fit", "score")),
        ("assert model.weight is None", ("weight",)),
        ("assert square(np.eye(2)).sum() == 2", ()),
        ("assert data.count(1) == 1", ()),
        ("b = Thing_to_write()\nassert b.name == 'a'", ("name",)),
    ],
)
def test_attributes_are_read_of_objects_of_the_student_s_classes(code: str, readable: tuple[str, ...]) -> None:
    assert translate(code).readable == readable


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("%timeit square(2)", "is not plain Python"),
        ("assert square(", "is not plain Python"),
        ("x = 1\nx", "ends in a value, which nbgrader takes for a partial score"),
        ("assert open('a')", "uses open"),
        ("assert 'square' in globals()", "uses globals"),
        ("global data\nassert data", "declares `global data`"),
        ("import os\nassert os.path.exists('a')", "imports os: it is about the student's files"),
        ("assert os.path.exists('a')", "imports os: it is about the student's files"),
        ("import inspect\nassert inspect.getsource(square)", "it is about the student's source"),
        ("from unittest.mock import patch\nassert square(2)", "imports unittest.mock"),
        ("from contextlib import redirect_stdout\nassert square(2)", "reads printed output"),
        ("from math import *\nassert square(2)", "is not plain Python"),
        ("import no_such_package\nassert square(2)", "imports no_such_package, which is not installed here"),
        ("from .mine import x\nassert square(x)", "has the relative import `from .mine import x`"),
        ("assert table.shape == (0, 0)", "uses table, which is made with pandas"),
        ("assert pd.DataFrame(many()).empty", "imports pandas"),
        ("assert many().columns == []", r"reads `many\(\).columns`, which no plain value has"),
        ("x = many()\nassert x.columns == []", "reads `x.columns`, which no plain value has"),
        ("assert Model(1)[0] == 1", r"indexes an object of the student: `Model\(1\)\[0\]`"),
        ("a = Model(1)\na.size = 2\nassert a", "changes `a.size`"),
        ("assert square(lambda x: x)", "gives `lambda x: x` to `square`, and functions do not cross"),
        ("assert square(np.sin)", "gives `np.sin` to `square`"),
        ("assert square(x=[len])", "gives `len` to `square`"),
        ("def f(): pass\nassert square(f)", "gives `f` to `square`"),
        ("np.random.seed(1)\nassert noisy(1) == 2", "seeds random numbers that noisy draws"),
        ("try:\n    square(2)\nexcept Wrong:\n    pass", "catches Wrong, an exception of the student"),
    ],
)
def test_tests_that_cannot_cross_are_refused(code: str, message: str) -> None:
    with pytest.raises(Untranslatable, match=message):
        translate(code)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (">>> says(1)\n1", "may compare what says prints"),
        (">>> show(1)\n1", "it uses the name 'show'"),
        (">>>square(1)\n1", "is not plain Python"),
        (">>> square(\n1", "is not plain Python"),
    ],
)
def test_sessions_that_cannot_cross_are_refused(code: str, message: str) -> None:
    with pytest.raises(Untranslatable, match=message):
        session(code)


@pytest.mark.parametrize(
    "code", ["assert square(np.pi)", "np.random.seed(1)\nassert square(2)", "assert square(square)"]
)
def test_similar_tests_that_can_cross_are_accepted(code: str) -> None:
    assert "square" in translate(code).names
