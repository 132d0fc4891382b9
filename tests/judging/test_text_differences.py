"""Two texts differ in one place, in a few, or in too many; names and forms do not matter."""

from __future__ import annotations

import ast

import pytest

from grader.judging.text_differences import TextDifference, compare_texts

RIGHT = """\
def corr2d(X, K):
    h, w = K.shape
    Y = torch.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i:i + h, j:j + w] * K).sum()
    return Y
"""
IF = "def f(x):\n    if x > 2 or x == 3:\n        return g(x, 1)\n    return h(x, 2, [x, x])"
NET = """\
class Net(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 6, kernel_size=5, padding=2),
            nn.Sigmoid(),
            nn.AvgPool2d(kernel_size=2, stride=2),
            nn.Flatten(),
            nn.Linear(400, classes),
        )

    def forward(self, X):
        return self.net(X)
"""


def compare(ours: str, right: str) -> list[TextDifference] | None:
    one, two = (ast.parse(text).body[0] for text in (ours, right))
    assert isinstance(one, ast.FunctionDef | ast.ClassDef)
    assert isinstance(two, ast.FunctionDef | ast.ClassDef)
    return compare_texts(one, two)


@pytest.mark.parametrize(
    ("right", "old", "new", "kind", "line", "text"),
    [
        (RIGHT, "range(Y.shape[1])", "range(Y.shape[0])", "replaced", 5, "0"),
        (RIGHT, "i + h", "i * h", "replaced", 6, "i * h"),
        (RIGHT, "h, w = K.shape", "w, h = K.shape", "swapped", 2, "w"),
        (RIGHT, "(X, K)", "(K, X)", "swapped", 1, "K"),
        (RIGHT, "    return Y", "        return Y", "moved", 7, "return Y"),
        (RIGHT, "    return Y\n", "", "missing", 6, None),
        (RIGHT, "* K).sum()", "* K).mean()", "replaced", 6, None),
        (RIGHT, "X.shape[1] - w + 1", "X.shape[1] - w", "replaced", 3, "X.shape[1] - w"),
        (IF, "x == 3", "x != 3", "replaced", 2, "x != 3"),
        (NET, ", padding=2", "", "missing", 5, None),
        (NET, "            nn.Sigmoid(),\n", "", "missing", 5, None),
        (NET, "nn.Sigmoid()", "nn.ReLU()", "replaced", 6, "nn.ReLU"),
        (NET, "nn.AvgPool2d(kernel_size=2, stride=2)", "nn.AvgPool2d(2, stride=1)", "extra", 7, None),
        (NET, "nn.Linear(400", "nn.Linear(256", "replaced", 9, "256"),
        (NET, "        super().__init__()\n", "", "missing", 2, None),
        (NET, "classes=10", "classes", "missing", 2, None),
    ],
)
def test_one_place_is_found(right: str, old: str, new: str, kind: str, line: int, text: str | None) -> None:
    found = compare(right.replace(old, new, 1), right)
    assert found is not None
    (difference,) = found
    assert (difference.kind, difference.line) == (kind, line)
    assert text is None or ast.unparse(difference.ours) == text


@pytest.mark.parametrize(
    ("right", "changes"),
    [
        (RIGHT, {"h, w": "k_h, k_w", "+ h": "+ k_h", "- h": "- k_h", "+ w": "+ k_w", "- w": "- k_w"}),
        (RIGHT, {"Y": "output"}),
        (RIGHT, {"corr2d(X, K):": 'corr2d(X: Tensor, K: Tensor) -> Tensor:\n    """Slide K over X."""'}),
        (RIGHT, {"    return Y": "    assert Y.dim() == 2\n    print(Y)\n    return Y"}),
        (RIGHT, {"range(Y.shape[0])": "range(0, Y.size(0))"}),
        (RIGHT, {"zeros((X": "zeros(X", "- w + 1))": "- w + 1)"}),
        (NET, {"nn.Conv2d(1, 6,": "nn.Conv2d(in_channels=1, out_channels=6, stride=1,"}),
        (NET, {"nn.AvgPool2d(kernel_size=2, stride=2)": "nn.AvgPool2d(2)"}),
        ("def f(X, K):\n    return [g(x.reshape(1, *x.shape), k) for x, k in zip(X, K, strict=True)]",
         {"(1, *x.shape)": "((1,) + x.shape)", ", strict=True": ""}),
        (NET, {"self.net": "self.layers", "super()": "super(Net, self)"}),
        (NET, {"return self.net(X)": "Y = self.net(X)\n        return Y"}),
    ],
)  # fmt: skip
def test_another_form_is_no_difference(right: str, changes: dict[str, str]) -> None:
    ours = right
    for old, new in changes.items():
        assert old in ours
        ours = ours.replace(old, new)
    assert compare(ours, right) == []


def test_two_places_are_found() -> None:
    found = compare(RIGHT.replace("range(Y.shape[1])", "range(Y.shape[0])").replace("i + h", "i * h"), RIGHT)
    assert found is not None
    assert [difference.line for difference in found] == [5, 6]


def test_another_way_to_write_it_is_not_compared() -> None:
    other = "def corr2d(X, K):\n    return F.conv2d(X[None, None], K[None, None])[0, 0]"
    assert compare(other, RIGHT) is None
    assert compare(RIGHT, other) is None


def test_a_function_is_not_compared_with_a_class() -> None:
    assert compare("def Net(classes=10):\n    return nn.Sequential()", NET) is None
