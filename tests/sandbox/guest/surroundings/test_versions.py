"""Names that another version of a package has, and functions of Python that an import hides."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

import pytest

from grader.results.notice import NoticeKind
from grader.sandbox.host.sandbox import Zygote
from tests.support.sandbox_runs import Ran, ran

CELLS = (
    "import numpy as np\nimport torch\nx = np.float",
    "from torch._six import string_classes",
    "import scipy.misc\nscipy.misc.imread('x')",
    "from torchvision.models.utils import load_state_dict_from_url",
    "torch.zeross(3)",
    "x = np.float",
    "class A: pass\nA().size",
    "import math\nmath.tau_",
    "from collections import Iterable",
    "import os\nfrom numpy import *",
    "from math import *",
    "from os.path import *",
)


@pytest.fixture(scope="module")
def made(zygote: Zygote) -> Iterator[Ran]:
    with ran(zygote, *CELLS) as run:
        yield run


def test_a_name_that_a_package_lacks_is_named_once_and_a_misspelt_one_is_not(made: Ran) -> None:
    notices = [notice for notice in made.execution.notices if notice.kind is NoticeKind.VERSION]
    assert [notice.subject for notice in notices] == [
        "numpy: float",
        "torch: _six",
        "scipy: imread",
        "torchvision: utils",
        "Python: collections.Iterable",
    ]
    assert notices[0].text.startswith(f"numpy {version('numpy')} has no `float`")
    assert notices[0].cell == 0


def test_a_star_import_that_hides_python_s_functions_is_named(made: Ran) -> None:
    hidden = [notice for notice in made.execution.notices if notice.kind is NoticeKind.HIDDEN_NAME]
    assert [(notice.subject, notice.cell) for notice in hidden] == [("sum", 9), ("pow", 10)]
    assert "`from numpy import *` in line 2 replaces Python's" in hidden[0].text
