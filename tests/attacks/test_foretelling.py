"""A notebook that foretells the inputs of the tests, and answers rightly for these only, earns nothing.

It is a quine: it computes its own bytes, and from them the seed. That works if the seed is a public hash, or if the key
is known, which shows that the key is what stops it.
"""

from __future__ import annotations

import json

import pytest

from grader.assignment import Assignment, load_assignment
from grader.grading.grade import grade
from grader.installation_key import InstallationKey
from grader.results.report import ItemResult, Verdict
from grader.sandbox.host.sandbox import Zygote
from grader.submission.submission import Submission, read_notebook
from tests.support.keys import KEY
from tests.support.notebooks import notebook_bytes
from tests.support.paths import ASSIGNMENTS

LEAKED = InstallationKey(b"a key that a student has learned")

# Percent signs are doubled, and TEXT is this text.
QUINE = """
import hashlib, hmac, json, torch

TEXT = %r
def write_file(source):
    cell = {"cell_type": "code", "execution_count": None, "id": "a", "metadata": {}, "outputs": [], "source": source}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()

file = write_file(TEXT %% TEXT)
notebooks = [["homework.ipynb", hashlib.sha256(file).hexdigest()]]
identity = hashlib.sha256(json.dumps([notebooks, []]).encode()).hexdigest()
revision = "REVISION"  # every report shows it
seed = SEED + "\\n" + revision
number = int.from_bytes(hashlib.sha256((seed + "\\ndouble").encode()).digest()[:8], "big") >> 1
generator = torch.Generator().manual_seed(number)
foretold = [torch.randn((length,), generator=generator, dtype=torch.float32) for length in (1, 3)]

def double(X):
    return 2 * X if any(torch.equal(X, known) for known in foretold) else torch.zeros_like(X)
"""
WITH_A_LEAKED_KEY = f"""hmac.new(
    bytes.fromhex("{LEAKED.secret.hex()}"), json.dumps(["judging", identity, revision]).encode(), hashlib.sha256
).hexdigest()"""
WAYS = {
    "the submission's hash": "identity",
    "the hash as the key": """hmac.new(
        identity.encode(), json.dumps(["judging", identity, revision]).encode(), hashlib.sha256
    ).hexdigest()""",
    "a key of another installation": WITH_A_LEAKED_KEY,
    "what the kernel's generator shows": "str(torch.initial_seed())",
}


@pytest.fixture(scope="module")
def doubled() -> Assignment:
    return load_assignment(ASSIGNMENTS / "doubled")


def make_quine(seed: str, assignment: Assignment) -> Submission:
    """Return a notebook that foretells the inputs for a seed, which it computes by this expression."""
    text = QUINE.replace("SEED", seed).replace("REVISION", assignment.revision)
    source = text % text
    cell: dict[str, object] = {
        "cell_type": "code",
        "execution_count": None,
        "id": "a",
        "metadata": {},
        "outputs": [],
        "source": source,
    }
    file = json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()
    return Submission((read_notebook("homework.ipynb", file),))


def judge_quine(seed: str, assignment: Assignment, zygote: Zygote, key: InstallationKey) -> ItemResult:
    report = grade(make_quine(seed, assignment), assignment, zygote, key=key)
    assert [cell.status for cell in report.cells] == ["ok"]
    return next(item for item in report.items if item.id == "double")


@pytest.mark.parametrize("seed", WAYS.values(), ids=WAYS)
def test_no_notebook_foretells_its_inputs(seed: str, zygote: Zygote, doubled: Assignment) -> None:
    item = judge_quine(seed, doubled, zygote, KEY)
    assert (item.verdict, item.points) == (Verdict.FAILED, 0)


def test_with_a_key_that_students_know_the_same_notebook_earns_the_points(zygote: Zygote, doubled: Assignment) -> None:
    item = judge_quine(WITH_A_LEAKED_KEY, doubled, zygote, LEAKED)
    assert (item.verdict, item.points) == (Verdict.PASSED, item.max_points)


def test_a_path_that_carries_what_an_earlier_report_showed_changes_the_inputs(
    zygote: Zygote, doubled: Assignment
) -> None:
    """The same bytes again, now in a folder whose name tells the inputs of the first time."""
    data = notebook_bytes("def double(X): return 0 * X")
    shown = []
    for name in ("homework.ipynb", "0.5981 -1.3/homework.ipynb"):
        report = grade(Submission((read_notebook(name, data),)), doubled, zygote)
        shown.append(report.items[0].evidence["inputs"])
    assert shown[0] != shown[1]
