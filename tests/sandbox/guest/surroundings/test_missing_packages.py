"""A module that is missing can be imported, and says its name when it is used."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from grader.results.notice import NoticeKind
from grader.sandbox.host.sandbox import Zygote
from tests.support.sandbox_runs import Ran, fault_of, ran

FINE = {
    "first lines": "import torch, nntools\nfrom nntools.layers import Conv as C, pool\nimport nntools.deep.er as deep\n"
    "from nntools import *\nprint(nntools, nntools.__version__, bool(nntools), {nntools: 1})",
    "names": "def f(x: nntools.T | None, *shape: nntools.Float[torch.Tensor, 'a b']) -> 'nntools.U':\n    return 1",
    "a use in a function": "def g():\n    return nntools.compute()\ndef h():\n    import timm\n"
    "    return timm.create_model('x')",
    "truth": "import importlib.util, sys\nassert importlib.util.find_spec('nntools') is None\n"
    "assert importlib.util.find_spec('tensorflow') is None\nassert 'nntools' not in sys.modules",
    "a guard": "try:\n    import nntools as tools\nexcept ImportError:\n    tools = None\nassert tools is None",
    "a wide guard": "try:\n    from wandb import init\nexcept Exception as error:\n    name = error.name\n"
    "assert name == 'wandb'",
    "a bare guard": "try:\n    import wandb.sub\nexcept:\n    wandb = 7\nassert wandb == 7",
    "suppress": "import contextlib\nwith contextlib.suppress(ModuleNotFoundError):\n    import wandb\n    wandb = 8\n"
    "assert wandb == 7",
    "a guard around a call": "def load():\n    import jax\n    return jax\ntry:\n    jax = load()\n"
    "except ImportError:\n    jax = 3\nassert jax == 3",
    "a guard of something else": "try:\n    import jax\nexcept ValueError:\n    pass\nassert 'not here' in str(jax)",
    "the handler itself": "try:\n    import jax\nexcept ImportError:\n    import flax\nassert 'not here' in str(flax)",
    "a package's own guard": "import tensorflow as tf\nfrom torch.utils import tensorboard",
    "an own module": "%%writefile blocks.py\nimport nnblocks\nsize = 3",
    "an own module's import": "import blocks\nassert blocks.size == 3 and 'not here' in str(blocks.nnblocks)",
    "another framework of d2l": "from d2l import mxnet as d2lmx",
    "another part of google": "import google.generativeai as genai\nimport google.colab",
    "a file that was not handed in": "from my_layers import corr2d, Residual",
    "shown, listed and copied": "import copy\nassert nntools in [nntools]\n"
    "assert 'not here' in str(copy.deepcopy([nntools]))\nnntools",
}
USES = {
    "a call": "nntools.make(3)",
    "a loop": "for x in pool: pass",
    "a subclass": "class A(nntools.Base): pass",
    "a decorator": "@nntools.jit\ndef fast(): pass",
    "with": "with nntools.no_grad: pass",
    "await": "await nntools.later",
    "an order": "nntools.version > 3",
    "a sum": "1 + nntools.pi",
    "a type": "isinstance(1, nntools.T)",
    "length": "len(nntools.names)",
    "an assigned item": "nntools.options['a'] = 1",
}
STILL_WRONG = {
    "a misspelt submodule": ("import torch.nnn", "ModuleNotFoundError: No module named 'torch.nnn'"),
    "a misspelt name": ("from torch import conv2dd", "ImportError: cannot import name 'conv2dd' from 'torch'"),
    "by name": (
        "import importlib\nimportlib.import_module('nntools')",
        "ModuleNotFoundError: No module named 'nntools'",
    ),
}


@pytest.fixture(scope="module")
def made(zygote: Zygote) -> Iterator[Ran]:
    cells = [*FINE.values(), *USES.values(), *(cell for cell, _ in STILL_WRONG.values())]
    with ran(zygote, *cells, names=("f", "g", "h", "corr2d", "Residual"), deferred_snapshots=True) as run:
        yield run


@pytest.mark.parametrize("name", FINE)
def test_a_missing_module_can_be_imported_and_code_that_handles_its_absence_does(made: Ran, name: str) -> None:
    cell = list(FINE).index(name)
    assert (made.statuses()[cell], made.messages()[cell]) == ("ok", "")


@pytest.mark.parametrize("name", USES)
def test_a_use_raises_with_the_package_s_name(made: Ran, name: str) -> None:
    message = made.messages()[len(FINE) + list(USES).index(name)]
    assert "ModuleNotFoundError: nntools is not installed in this grader" in message


@pytest.mark.parametrize("name", STILL_WRONG)
def test_what_belongs_to_an_installed_package_raises_as_always(made: Ran, name: str) -> None:
    message = made.messages()[len(FINE) + len(USES) + list(STILL_WRONG).index(name)]
    assert STILL_WRONG[name][1] in message


def test_definitions_beside_a_missing_package_are_judged(made: Ran) -> None:
    assert made.call("f", 1) == 1


@pytest.mark.parametrize(("name", "package"), [("g", "nntools"), ("h", "timm")])
def test_a_function_that_needs_the_package_fails_with_its_name(made: Ran, name: str, package: str) -> None:
    with made.student(name) as student:
        _, message = fault_of(getattr(student, name))
    assert f"ModuleNotFoundError: {package} is not installed in this grader" in message


def test_what_is_imported_from_a_missing_module_is_no_definition(made: Ran) -> None:
    assert made.defined("corr2d") == made.defined("Residual") == []
    assert made.execution.imported["corr2d"] == "my_layers"


def test_each_package_is_named_once_with_its_cell(made: Ran) -> None:
    notices = [notice for notice in made.execution.notices if notice.kind is NoticeKind.MISSING_PACKAGE]
    named = [notice.subject for notice in notices]
    expected = ["nntools", "jax", "flax", "tensorflow", "nnblocks", "mxnet", "google.generativeai", "my_layers"]
    assert named == expected
    assert notices[0].cell == 0
    assert "tensorflow is not installed here: code that uses it does not run" in [n.text for n in notices]
    assert re.search("hand in my_layers.py beside the notebook", notices[-1].text)
