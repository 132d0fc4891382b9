"""Sections 7.2.3 and 7.2.4 of HW2: results that were computed in unusual ways, and results that were typed in."""

from __future__ import annotations

import pytest

from grader.judging.judge import judge
from tests.support.hw2_book import CONV2D, CORR2D, EDGES, HW2, IMAGE, IMPORTS, LEARN
from tests.support.in_process_work import InProcessWork

ITEMS = ("edge_detection", "learned_kernel")
PASSED = dict.fromkeys(ITEMS, "passed")
FOUR_D = "A, B = X.reshape((1, 1, 6, 8)), Y.reshape((1, 1, 6, 7))\n"
LAYER = "layer = nn.Conv2d(1, 1, (1, 2), bias=False)\n"
STEP = "    layer.zero_grad()\n    l.backward()\n    layer.weight.data -= 0.03 * layer.weight.grad\n"
TYPED = "Y = torch.zeros(6, 7)\nY[:, 1] = 1\nY[:, 5] = -1\nY"


def verdicts(*cells: str) -> dict[str, str]:
    """Judge a notebook of these cells below the imports."""
    results = judge(HW2, InProcessWork(IMPORTS, *cells), "a submission", only=ITEMS)
    return {result.id: result.verdict.value for result in results}


def optimised(optimizer: str, steps: int, layer: str = "nn.Conv2d(1, 1, (1, 2))") -> str:
    return (
        f"{FOUR_D}layer = {layer}\noptimizer = torch.optim.{optimizer}\nfor _ in range({steps}):\n"
        "    optimizer.zero_grad()\n    F.mse_loss(layer(A), B).backward()\n    optimizer.step()"
    )


LEARNED = {
    "the book's loop": LEARN,
    "Adam, with a bias": optimised("Adam(layer.parameters(), lr=0.1)", 200),
    "momentum": optimised("SGD(layer.parameters(), lr=0.05, momentum=0.9)", 100),
    "the student's own layer": CONV2D + "layer = Conv2D((1, 2))\nfor _ in range(60):\n"
    "    l = ((layer(X) - Y) ** 2).sum()\n    layer.zero_grad()\n    l.backward()\n"
    "    with torch.no_grad():\n        for p in layer.parameters(): p -= 0.01 * p.grad",
    "a bare tensor": FOUR_D + "w = torch.randn(1, 1, 1, 2, requires_grad=True)\nfor _ in range(20):\n"
    "    ((F.conv2d(A, w) - B) ** 2).sum().backward()\n    w.data -= 0.03 * w.grad\n    w.grad = None",
    "gradients by hand": "x, y = X.numpy(), Y.numpy()\nw = np.array([[0.1, 0.2]])\nfor _ in range(50):\n"
    "    e = x[:, :-1] * w[0, 0] + x[:, 1:] * w[0, 1] - y\n"
    "    w = w - 0.02 * np.array([[(e * x[:, :-1]).sum(), (e * x[:, 1:]).sum()]])",
    "a function that is given the data": f"def learn(X, Y):\n    {LAYER}    for _ in range(10):\n"
    "        l = ((layer(X) - Y) ** 2).sum()\n        layer.zero_grad()\n        l.backward()\n"
    f"        layer.weight.data -= 0.03 * layer.weight.grad\n    return layer\n{FOUR_D}layer = learn(A, B)",
    "an object that holds the data": "class Trainer:\n    def __init__(self):\n"
    f"        self.A, self.B = X.reshape(1, 1, 6, 8), Y.reshape(1, 1, 6, 7)\n        self.{LAYER}"
    "    def fit(self):\n        for _ in range(10):\n            l = ((self.layer(self.A) - self.B) ** 2).sum()\n"
    "            self.layer.zero_grad()\n            l.backward()\n"
    "            self.layer.weight.data -= 0.03 * self.layer.weight.grad\n"
    "trainer = Trainer()\ntrainer.fit()\nw = trainer.layer.weight.data",
    "until the loss is small": f"{FOUR_D}{LAYER}l = torch.tensor(9.)\nwhile l > 1e-3:\n"
    f"    l = ((layer(A) - B) ** 2).sum()\n{STEP}",
    "targets made in each step": f"{FOUR_D}{LAYER}for _ in range(10):\n"
    f"    l = ((layer(A) - corr2d(X, K)) ** 2).sum()\n{STEP}",
    "targets made by torch": f"{FOUR_D}{LAYER}for _ in range(10):\n"
    f"    l = ((layer(A) - (A[..., :-1] - A[..., 1:])) ** 2).sum()\n{STEP}",
    "random images": f"{LAYER}for _ in range(60):\n    A = torch.rand(9, 9)\n"
    f"    l = 0.3 * ((layer(A[None, None]) - corr2d(A, K)) ** 2).sum()\n{STEP}",
    "the cell run again": f"{FOUR_D}{LAYER}for _ in range(3):\n    for _ in range(10):\n"
    f"        l = ((layer(A) - B) ** 2).sum()\n" + STEP.replace("    ", "        "),
}


@pytest.mark.parametrize("way", LEARNED)
def test_a_kernel_that_was_learned_counts_however_it_was_learned(way: str) -> None:
    rebound = "X = Y = K = conv2d = layer = None"
    assert verdicts(CORR2D, IMAGE, EDGES, LEARNED[way], rebound) == PASSED


FOUND = {
    "a one-line function": ["def edges(x): return x[:, :-1] - x[:, 1:]", IMAGE, "Y = edges(X)"],
    "torch's convolution in a function": [
        "corr2d = lambda x, k: F.conv2d(x[None, None], k[None, None])[0, 0]",
        IMAGE,
        EDGES,
    ],
    "the student's own layer": [
        CORR2D + CONV2D,
        IMAGE,
        "e = Conv2D((1, 2))\ne.weight.data = torch.tensor([[1., -1.]])\ne(X)",
    ],
    "an image of whole numbers": [CORR2D, "X = torch.tensor([[1, 1, 0, 0, 0, 0, 1, 1]] * 6)", EDGES],
    "rows that share memory": [CORR2D, "X = torch.tensor([1., 1, 0, 0, 0, 0, 1, 1]).expand(6, 8)", EDGES],
    "an array": [
        CORR2D.replace("torch", "np"),
        "X = np.ones((6, 8))\nX[:, 2:6] = 0",
        "Y = corr2d(X, np.array([[1., -1.]]))",
    ],
    "an image made pixel by pixel": [
        CORR2D,
        "X = torch.ones(6, 8)\nfor i in range(6):\n    for j in range(8): X[i, j] = float(not 2 <= j < 6)",
        EDGES,
    ],
    "the section in one function": [
        CORR2D,
        "def main():\n    X = torch.ones(6, 8)\n    X[:, 2:6] = 0\n    return X, corr2d(X, torch.tensor([[1., -1.]]))\n"
        "image, edges = main()",
    ],
    "a corr2d that is another function later": [CORR2D, IMAGE, EDGES, "def corr2d(X, K): return None"],
}


@pytest.mark.parametrize("way", FOUND)
def test_edges_that_a_function_found_count_however_it_finds_them(way: str) -> None:
    assert verdicts(*FOUND[way])["edge_detection"] == "passed"


TYPED_EDGES = {
    "typed in": [CORR2D, IMAGE, TYPED],
    "typed in beside a call with other data": [CORR2D, IMAGE, f"corr2d(torch.rand(6, 8), torch.rand(1, 2))\n{TYPED}"],
    "typed into the function": ["def corr2d(X, K): return torch.tensor([[0., 1, 0, 0, 0, -1, 0]] * 6)", IMAGE, EDGES],
    "added to nothing of the image": [CORR2D, IMAGE, f"{TYPED[:-2]}\nY = Y + 0 * corr2d(X, torch.zeros(1, 2))"],
    "found by torch alone": [CORR2D, IMAGE, "Y = F.conv2d(X[None, None], torch.tensor([[[[1., -1.]]]]))[0, 0]"],
}


@pytest.mark.parametrize("way", TYPED_EDGES)
def test_edges_that_no_function_of_the_student_s_found_are_wrong(way: str) -> None:
    assert verdicts(*TYPED_EDGES[way])["edge_detection"] == "failed"


SET = "weight.copy_(torch.tensor([[[[0.95, -0.95]]]]))"
TYPED_KERNELS = {
    "a tensor": "weight = torch.tensor([[0.95, -0.95]])\nweight",
    "copied into a layer": f"{LAYER}with torch.no_grad(): layer.{SET}",
    "written into a layer's data": f"{LAYER}layer.weight.data[:] = torch.tensor([0.95, -0.95])",
    "loaded into a layer": f"{LAYER}layer.load_state_dict(dict(weight=torch.tensor([[[[0.95, -0.95]]]])))",
    "initialised entry by entry": f"{LAYER}nn.init.constant_(layer.weight[..., 0], 0.95)\n"
    "nn.init.constant_(layer.weight[..., 1], -0.95)",
    "made of the edge kernel": f"{LAYER}layer.weight.data = 0.95 * K.reshape(1, 1, 1, 2)",
    "with gradients that change nothing": f"{FOUR_D}{LAYER}layer.weight.data[:] = torch.tensor([0.95, -0.95])\n"
    "for _ in range(10):\n    l = ((layer(A) - B) ** 2).sum()\n    layer.zero_grad()\n    l.backward()",
    "with steps too small to lead anywhere": f"{FOUR_D}{LAYER}layer.weight.data[:] = torch.tensor([0.9, -0.9])\n"
    f"for _ in range(10):\n    l = 1e-5 * ((layer(A) - B) ** 2).sum()\n{STEP}",
    "approached in a loop without data": "w = torch.rand(1, 2)\nfor _ in range(9):\n"
    "    w = w + 0.3 * (torch.tensor([[1., -1.]]) - w)",
    "approached from the edge kernel": "w = torch.rand(1, 2)\nfor _ in range(9): w = w + 0.3 * (K - w)",
    "put in place of what a loop learned": LEARN.replace("range(10)", "range(1)")
    + f"with torch.no_grad(): conv2d.{SET}",
    "the edge kernel itself": f"{LAYER}layer.weight.data = K.reshape(1, 1, 1, 2).clone()",
}


@pytest.mark.parametrize("way", TYPED_KERNELS)
def test_a_kernel_that_was_typed_in_is_absent(way: str) -> None:
    assert verdicts(CORR2D, IMAGE, EDGES, TYPED_KERNELS[way]) == {
        "edge_detection": "passed",
        "learned_kernel": "absent",
    }


def test_a_typed_kernel_is_absent_without_edges_and_without_an_image_too() -> None:
    typed = TYPED_KERNELS["a tensor"]
    assert verdicts(typed)["learned_kernel"] == verdicts(IMAGE, typed)["learned_kernel"] == "absent"


def test_results_whose_cells_cannot_be_run_again_wait_for_a_person() -> None:
    work = InProcessWork(IMPORTS, CORR2D, IMAGE, EDGES, LEARN)
    work.files = InProcessWork(IMPORTS).files  # what is run again shows nothing
    results = judge(HW2, work, "a submission", only=ITEMS)
    assert [result.verdict.value for result in results] == ["pending", "pending"]
    assert all("could not be seen" in result.message for result in results)


def messages(*cells: str) -> dict[str, str]:
    """Return what is said of a notebook of these cells below the imports."""
    results = judge(HW2, InProcessWork(IMPORTS, *cells), "a submission", only=ITEMS)
    return {result.id: result.message for result in results}


def loop(step: str = STEP, layer: str = LAYER, loss: str = "((layer(A) - B) ** 2).sum()", steps: int = 10) -> str:
    return f"{FOUR_D}{layer}for _ in range({steps}):\n    l = {loss}\n{step}"


BACKWARD = "    layer.zero_grad()\n    l.backward()\n"
UPHILL = f"{BACKWARD}    layer.weight.data += 0.03 * layer.weight.grad\n"
STEPS = {
    "uphill": (loop(UPHILL), "each step adds the gradient (0.03 times), which goes uphill"),
    "uphill in two steps": (loop(UPHILL, steps=2), "goes uphill"),
    "uphill without a sign": (
        loop(f"{BACKWARD}    layer.weight.data = layer.weight.data - (-0.01) * layer.weight.grad\n"),
        "each step adds the gradient (0.01 times)",
    ),
    "a rate ten times too large": (loop(STEP.replace("0.03", "0.3")), "the learning rate, 0.3, is too large"),
    "a rate a little too large": (loop(STEP.replace("0.03", "0.05")), "the learning rate, 0.05, is too large"),
    "a rate too large for an optimiser": (
        f"{FOUR_D}{LAYER}optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)\nfor _ in range(10):\n"
        "    optimizer.zero_grad()\n    ((layer(A) - B) ** 2).sum().backward()\n    optimizer.step()",
        "the learning rate, 0.1, is too large",
    ),
    "never cleared": (loop(STEP.replace("    layer.zero_grad()\n", "")), "the gradients of all steps add up"),
    "no step": (loop(BACKWARD), "the gradient is computed and no step follows"),
    "too few steps": (loop(steps=2), "there are too few steps"),
    "a rate too small": (loop(STEP.replace("0.03", "0.0003")), "the learning rate, 0.0003, is too small"),
    "the mean": (loop(loss="((layer(A) - B) ** 2).mean()"), "the loss is the mean of 42 squared errors"),
    "a bias": (
        loop(
            f"{BACKWARD}    for p in layer.parameters(): p.data -= 0.03 * p.grad\n",
            layer="layer = nn.Conv2d(1, 1, (1, 2))\n",
        ),
        "the learning rate, 0.03, is too large for a layer with a bias",
    ),
    "without end": (loop(STEP.replace("0.03", "9"), steps=90), "the loss grows without bound"),
}


@pytest.mark.parametrize("way", STEPS)
def test_steps_that_lead_to_no_kernel_are_told_how_they_go(way: str) -> None:
    cell, said = STEPS[way]
    found = messages(CORR2D, IMAGE, EDGES, cell)
    assert said in found["learned_kernel"], found
    assert found["edge_detection"] == "right"


def test_steps_toward_other_targets_are_not_named() -> None:
    cell = loop(loss="((layer(A) - 2 * B ** 2) ** 2).sum()")
    assert messages(CORR2D, IMAGE, EDGES, cell)["learned_kernel"].endswith("not within 0.15 of (1, -1)")


IMAGES = {
    "X = torch.ones(8, 6)\nX[2:6, :] = 0": "it is 8x6, and has to have 6 rows and 8 columns",
    "X = torch.ones(6, 8)": "it is all white",
    "X = torch.zeros(6, 8)\nX[:, 2:6] = 1": "it is black where it should be white",
    "X = torch.ones(6, 8)\nX[:, 1:6] = 0": "its black columns are 1, 2, 3, 4, 5, and have to be 2 to 5",
    "X = torch.ones(6, 8)\nX[2:6, :] = 0": "rows are black instead of columns",
    "X = torch.rand(6, 8)": "the 6x8 image with four black columns is not in this submission",
}


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_that_is_nearly_right_is_compared_with_it(image: str) -> None:
    assert IMAGES[image] in messages(CORR2D, image, EDGES)["edge_detection"]


RESULTS = {
    "Y = corr2d(X, torch.tensor([[-1., 1.]]))": "the edges have the other sign",
    "Y = corr2d(X, torch.tensor([[1.], [-1.]]))": "the kernel is vertical",
    "Y = corr2d(X, torch.tensor([[1., 1.]]))": "the kernel adds neighbours",
    "Y = corr2d(X, torch.tensor([[1., -1.]])).abs()": "the edges have lost their sign",
    "Y = corr2d(X, torch.tensor([[1., 0., -1.]]))": "their shape is (6, 6), expected (6, 7)",
    "Y = 0 * corr2d(X, torch.tensor([[1., -1.]]))": "all of them are 0",
}


@pytest.mark.parametrize("result", RESULTS)
def test_edges_that_are_wrong_are_told_in_what(result: str) -> None:
    assert RESULTS[result] in messages(CORR2D, IMAGE, result)["edge_detection"]


PARTIAL = {
    "the last column left out": CORR2D.replace("range(Y.shape[1])", "range(Y.shape[1] - 1)"),
    "the first column left out": CORR2D.replace("range(Y.shape[1])", "range(1, Y.shape[1])"),
    "the first row for all": CORR2D.replace("X[i:i + h", "X[0:h"),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("corr2d", PARTIAL)
def test_edges_that_are_right_for_the_book_s_image_only_are_not_called_typed_in(corr2d: str, seed: int) -> None:
    assert PARTIAL[corr2d] != CORR2D
    work = InProcessWork(IMPORTS, PARTIAL[corr2d], IMAGE, EDGES)
    (result,) = judge(HW2, work, f"a submission {seed}", only=["edge_detection"])
    assert result.message == "these edges are right for this image only: with another image in its place they are wrong"


def test_a_kernel_that_is_shown_is_no_result_for_the_image() -> None:
    found = messages(IMAGE, "torch.tensor([[0.3, 0.2]])")["edge_detection"]
    assert found.startswith("no result for the 6x8 image was computed")
