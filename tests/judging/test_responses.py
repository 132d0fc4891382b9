"""What a student's work answers is kept, and compared up to rounding."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from grader.judging.local import LocalStudent
from grader.judging.responses import RecordingStudent, are_alike
from grader.student import Fault, Recorded, StudentFault
from grader.testing import Layer

NAN, INF = float("nan"), float("inf")


def raises() -> None:
    raise ValueError


class Net(nn.Module):
    """A convolution and a layer; one parameter is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
        self.unused = nn.Parameter(torch.ones(1))

    def forward(self, X: Tensor) -> Tensor:
        result: Tensor = self.net(X)
        return result


NAMESPACE = {
    "doubled": lambda X: X * 2,
    "both": lambda: (torch.ones(2), [Net(), 3]),
    "raises": raises,
    "Net": Net,
    "given_back": lambda layer: layer,
    "kinds": lambda *things, **more: [type(thing).__name__ for thing in (*things, *more.values())],
}


@pytest.fixture
def student() -> Any:
    records = [Recorded("homework.ipynb", 0, "x", torch.ones(1))]
    return RecordingStudent(LocalStudent(NAMESPACE, recorded=records))


def test_results_are_kept_in_order(student: Any) -> None:
    assert student.doubled(torch.ones(2)).tolist() == [2, 2]
    assert student.doubled(3) == 6
    assert [str(each) for each in student.responses] == ["tensor([2., 2.])", "6"]


def test_faults_are_kept_and_go_on(student: Any) -> None:
    with pytest.raises(StudentFault):
        student.raises()
    with pytest.raises(StudentFault):
        _ = student.nothing
    assert len(student.responses) == 2
    assert not are_alike(*student.responses)


@pytest.mark.parametrize(("raised", "expected"), [("ValueError('a')", True), ("KeyError('a')", False)])
def test_what_raises_another_exception_answers_otherwise(raised: str, expected: bool) -> None:
    answers = []
    for exception in ("ValueError('a')", raised):
        namespace: dict[str, Any] = {}
        exec(f"def f(): raise {exception}", namespace)
        student = RecordingStudent(LocalStudent(namespace))
        with pytest.raises(StudentFault):
            student.f()
        answers.append(student.responses)
    assert are_alike(*answers) is expected


def test_remotes_are_no_answers_but_what_they_answer_is_kept_too(student: Any) -> None:
    net = student.Net()
    assert net.kind == "module"
    assert student.responses == []
    found = net.gradients(torch.ones(2, 1, 4, 4))
    assert found["unused"] is None
    assert len(student.responses) == 1
    assert are_alike(student.responses[0], found)


def test_a_forward_passs_answer_is_its_layers(student: Any) -> None:
    net = student.Net()
    operations = net.operations(torch.ones(2, 1, 4, 4))
    assert operations[0].name == "convolution"
    assert student.responses == [
        (Layer("convolution", (2, 2, 2), (2, 1, 3, 3), "relu"), Layer("linear", (3,), (3, 8))),
    ]


def test_a_sketchs_layers_are_kept_as_well(student: Any) -> None:
    student.Net.sketch().operations(torch.ones(2, 1, 4, 4))
    student.Net().operations(torch.ones(2, 1, 4, 4))
    first, second = student.responses
    assert are_alike(first, second)


def test_what_is_random_or_says_nothing_is_not_kept(student: Any) -> None:
    net = student.Net()
    assert list(net.parameters()) == list(net.parameter_shapes())
    net.load({"unused": torch.zeros(1)})
    assert student.Net.signature() == ()
    assert student.layer("Linear", 3, 2).kind == "module"
    assert [each.name for each in student.recorded()] == ["x"]
    assert student.responses == []


def test_remotes_can_be_handed_back_wherever_they_stand(student: Any) -> None:
    net, layer = student.Net(), student.layer("Linear", 3, 2)
    assert student.kinds(net, more=layer) == ("Net", "Linear")
    assert student.given_back(layer)(torch.ones(1, 3)).shape == (1, 2)
    assert student.layer("Sequential", layer)(torch.ones(1, 3)).shape == (1, 2)
    assert student.given_back((net, {"layer": layer}))[1]["layer"].kind == "module"


def test_remotes_among_a_results_parts_are_listened_to(student: Any) -> None:
    _, (net, three) = student.both()
    assert three == 3
    before = len(student.responses)
    net(torch.ones(2, 1, 4, 4))
    assert len(student.responses) == before + 1


def test_two_students_that_answer_alike_have_alike_answers() -> None:
    def asked(namespace: dict[str, Any]) -> list[Any]:
        torch.manual_seed(0)
        student = RecordingStudent(LocalStudent(namespace))
        student.both()
        student.doubled(torch.ones(3))
        with suppress(StudentFault):
            student.raises()
        return student.responses

    assert are_alike(asked(NAMESPACE), asked(NAMESPACE))
    assert are_alike(asked(NAMESPACE), asked(NAMESPACE | {"doubled": lambda X: X + X}))
    assert not are_alike(asked(NAMESPACE), asked(NAMESPACE | {"doubled": lambda X: X * X}))
    assert not are_alike(asked(NAMESPACE), asked(NAMESPACE | {"raises": lambda: None}))


ONES = torch.ones(2, 2)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (ONES, ONES + 1e-5, True),
        (ONES, ONES.double(), True),
        (ONES, ONES.long(), True),
        (ONES * 1e6, ONES * 1e6 + 10, True),
        (ONES, ONES + 1e-3, False),
        (ONES, torch.ones(2, 1), False),
        (ONES, torch.ones(4), False),
        (torch.tensor([NAN, INF, -INF]), torch.tensor([NAN, INF, -INF]), True),
        (torch.tensor([NAN, 1.0]), torch.tensor([1.0, 1.0]), False),
        (torch.tensor([INF, 1.0]), torch.tensor([-INF, 1.0]), False),
        (torch.tensor([1.0, INF]), torch.tensor([1.0, 1e30]), False),
        (torch.zeros(0), torch.zeros(0), True),
        (ONES > 0, ONES > 0, True),
        (ONES.to(torch.complex64), ONES.to(torch.complex64), True),
        (ONES.to(torch.complex64), ONES, False),
        (ONES, 1.0, False),
        (1.0, ONES, False),
        (1.0, 1.0, True),
        (1, 1.0, False),
        (None, None, True),
        (None, 0, False),
        ("max", "max", True),
        ((ONES, 2), [ONES + 1e-6, 2], True),
        ((ONES, 2), (ONES,), False),
        ({"weight": ONES, "bias": None}, {"kernel": ONES, "b": None}, True),
        ({"weight": ONES}, {"weight": ONES * 2}, False),
        ({"weight": ONES}, {"weight": None}, False),
        (Fault.RAISED, Fault.RAISED, True),
        (Fault.RAISED, Fault.TIMED_OUT, False),
        (Fault.RAISED, "raised", False),
        ("raised", Fault.RAISED, False),
        (Fault.RAISED, ONES, False),
        ((Layer("linear", (3,)),), (Layer("linear", (3,)),), True),
        ((Layer("linear", (3,)),), (Layer("linear", (4,)),), False),
    ],
)
def test_answers_are_alike_up_to_rounding_and_dtype(one: Any, other: Any, expected: bool) -> None:
    assert are_alike(one, other) is expected
    assert are_alike(other, one) is expected


@pytest.mark.parametrize("answer", [torch.zeros(101, 100), "x" * 20_000, {"weight": torch.zeros(20_000)}])
def test_what_is_larger_than_any_right_answer_is_not_kept(answer: Any) -> None:
    student = RecordingStudent(LocalStudent({"flood": lambda: answer}))
    student.flood()
    (kept,) = student.responses
    assert len(str(kept)) < 100
    assert not are_alike(kept, answer)
