"""The HW2 rubric, chapter 7: solutions of many kinds and typical mistakes, run in this process."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import reference
from grader.judging.loading import load_rubric
from grader.testing import Case, Mismatch
from tests.support.hw2_book import (
    BOOK,
    COMP,
    CONV2D,
    CORR2D,
    EDGES,
    HW2,
    IMAGE,
    IMPORTS,
    INIT,
    LEARN,
    LENET,
    MULTI_IN,
    MULTI_IN_OUT,
    NET,
    POINTWISE,
    POOL,
    graded,
    lost,
)


def plain_lenet(forward: str) -> str:
    return f"""
class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.c, self.d, self.e = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)
    def forward(self, x):
        {forward}
"""


LOOP_OF = "def corr2d(X, K):\n    h, w = K.shape\n    n, m = X.shape[0] - h + 1, X.shape[1] - w + 1\n    "
RIGHT = {
    "the book's": {},
    "unfold": {"corr2d": LOOP_OF + "return torch.einsum('ijab,ab->ij', X.unfold(0, h, 1).unfold(1, w, 1), K)"},
    "torch's convolution": {"corr2d": "def corr2d(X, K): return F.conv2d(X[None, None], K[None, None])[0, 0]"},
    "NumPy inside": {
        "corr2d": LOOP_OF + "A, B = X.detach().numpy(), K.detach().numpy()\n    "
        "return np.array([[(A[i:i+h, j:j+w] * B).sum() for j in range(m)] for i in range(n)])",
        "conv2d": CONV2D.replace("corr2d(x, self.weight)", "F.conv2d(x[None, None], self.weight[None, None])[0, 0]"),
        "learn": LEARN.replace("X, Y =", "Y = torch.from_numpy(Y)\nX, Y ="),
        "turned": "print(corr2d(X.t(), K))",
    },
    "extra defaults": {"corr2d": CORR2D.replace("(X, K):", "(X, K, stride=1, verbose=False):")},
    "keeps the dtype of integers": {
        "corr2d": CORR2D.replace("w + 1))", "w + 1), dtype=torch.result_type(X, K))"),
        "image": IMAGE.replace("(6, 8)", "(6, 8), dtype=torch.int64"),
        "edges": EDGES.replace("1.0, -1.0", "1, -1"),
        "learn": LEARN.replace("(conv2d(X) - Y)", "(conv2d(X.float()) - Y)"),
    },
    "float64 by default": {"imports": IMPORTS + "torch.set_default_dtype(torch.float64)"},
    "other attribute names": {"conv2d": CONV2D.replace("weight", "W").replace("bias", "b")},
    "other names for the edges": {
        "image": "img = torch.ones(6, 8)\nimg[:, 2:6] = 0",
        "edges": "K = torch.tensor([[1.0, -1.0]])\nedges = corr2d(img, K)",
        "turned": "corr2d(img.T, K)",
        "learn": LEARN.replace("X, Y = X.re", "X, Y = img.re").replace("Y.reshape", "edges.reshape"),
    },
    "a layer with a bias": {
        "learn": "conv2d = nn.LazyConv2d(1, kernel_size=(1, 2))\nwith torch.no_grad(): conv2d(X[None, None])\n"
        "optimizer = torch.optim.SGD(conv2d.parameters(), lr=1e-2)\n"
        "for _ in range(400):\n    optimizer.zero_grad()\n"
        "    ((conv2d(X[None, None]) - Y[None, None]) ** 2).sum().backward()\n    optimizer.step()"
    },
    "channels in loops": {
        "multi_in": "def corr2d_multi_in(X, K): return sum(corr2d(x, k) for x, k in zip(X, K))",
        "multi_in_out": "def corr2d_multi_in_out(X, K):\n    (c_i, n, m), (c_o, _, h, w) = X.shape, K.shape\n"
        "    Y = torch.zeros(c_o, n - h + 1, m - w + 1)\n    for o in range(c_o):\n"
        "        for i in range(c_i): Y[o] += corr2d(X[i], K[o, i])\n    return Y",
        "pointwise": "def corr2d_multi_in_out_1x1(X, K):\n"
        "    return torch.stack([sum(k[i, 0, 0] * X[i] for i in range(len(X))) for k in K])",
    },
    "channels by einsum, the 1x1 convolution first": {
        "multi_in": "def corr2d_multi_in_out_1x1(X, K): return torch.einsum('oc,chw->ohw', K[:, :, 0, 0], X)",
        "multi_in_out": MULTI_IN,
        "pointwise": MULTI_IN_OUT,
    },
    "channels in NumPy": {
        "multi_in": "def corr2d_multi_in(X, K):\n    A, B = X.numpy(), K.numpy()\n"
        "    return sum(corr2d(torch.from_numpy(a), torch.from_numpy(b)) for a, b in zip(A, B)).numpy()",
        "multi_in_out": "def corr2d_multi_in_out(X, K): return np.stack([corr2d_multi_in(X, k) for k in K])",
    },
    "init_cnn for a whole model": {
        "init": "def init_cnn(model):\n    for layer in model.modules():\n"
        "        if isinstance(layer, (nn.Linear, nn.Conv2d)):\n"
        "            nn.init.xavier_uniform_(layer.weight)\n            nn.init.zeros_(layer.bias)",
    },
    "init_cnn for the layers of a model": {
        "init": "def init_cnn(model):\n    for layer in model.children():\n"
        "        if type(layer) in (nn.Linear, nn.Conv2d): nn.init.xavier_uniform_(layer.weight)",
    },
    "init_cnn with a bound of its own": {
        "init": "def init_cnn(layer):\n    if isinstance(layer, (nn.Linear, nn.Conv2d)):\n"
        "        c_o, c_i = layer.weight.shape[:2]\n        area = layer.weight[0, 0].numel()\n"
        "        bound = (6 / (area * (c_i + c_o))) ** 0.5\n        layer.weight.data.uniform_(-bound, bound)",
    },
    "Conv2D before corr2d": {"corr2d": CONV2D, "conv2d": CORR2D},
    "redefined in an experiment": {
        "rebound": "def corr2d(X, K, stride): return X\ndef comp_conv2d(): pass\ndef pool2d(X): return X",
    },
    "broken cells": {"turned": "raise KeyError", "rebound": "undefined_name"},
    "plain LeNet, functional": {
        "lenet": plain_lenet("""x = F.avg_pool2d(torch.sigmoid(self.a(x)), 2)
        x = F.avg_pool2d(torch.sigmoid(self.b(x)), 2).view(-1, 400)
        return self.e(torch.sigmoid(self.d(torch.sigmoid(self.c(x)))))""")
    },
    "ReLU after max-pooling, softmax at the end": {
        "lenet": plain_lenet("""x = F.relu(F.max_pool2d(self.a(x), 2))
        x = F.relu(F.max_pool2d(self.b(x), 2)).flatten(1)
        return F.log_softmax(self.e(F.relu(self.d(F.relu(self.c(x))))), 1)""")
    },
    "padded by hand": {
        "lenet": plain_lenet("""x = F.avg_pool2d(torch.sigmoid(self.a(F.pad(x, (2, 2, 2, 2)))), 2)
        x = F.avg_pool2d(torch.sigmoid(self.b(x)), 2).flatten(1)
        return self.e(torch.sigmoid(self.d(torch.sigmoid(self.c(x)))))""").replace(", padding=2", "")
    },
    "in-place ReLU and dropout": {
        "lenet": LENET.replace("act=nn.Sigmoid", "act=lambda: nn.ReLU(inplace=True)").replace(
            "nn.Flatten(),", "nn.Flatten(), nn.Dropout(0.5),"
        )
    },
    "LeNet as a factory": {"lenet": NET.replace("def net(", "def LeNet(")},
    "LeNet with a required parameter": {"lenet": LENET.replace("lr=0.1, num_classes=10)", "num_classes)")},
    "LeNet as an instance": {"lenet": NET + "LeNet = net()"},
    "LeNet under another name": {"lenet": NET},
    "an instance under another name": {"lenet": NET + "my_model = net()\ndel net"},
}


@pytest.mark.parametrize("kind", RIGHT)
def test_a_right_solution_earns_everything(kind: str) -> None:
    results = graded(**RIGHT[kind])
    assert {name: results[name].message for name in lost(results)} == {}
    earned = sum(result.points for result in results.values())
    assert earned == sum(item.points for item in HW2.tested) == 76


CORR2D_LOST = {
    "corr2d.values": "failed",
    "conv2d_layer": "failed",
    "edge_detection": "failed",
    "learned_kernel": "failed",
}
NO_LEARNING = {"edge_detection": "failed", "learned_kernel": "absent"}  # Y.reshape raises before the layer is built
NOTHING_COMPUTED = {"edge_detection": "absent", "learned_kernel": "absent"}
POOL_LOST = {"pool2d.max": "failed", "pool2d.avg": "failed", "pool2d.shape": "failed"}

WRONG: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "flipped kernel": (
        {"corr2d": CORR2D.replace("* K)", "* K.flip(0, 1))")},
        CORR2D_LOST,
    ),
    "swapped height and width": (
        {"corr2d": CORR2D.replace("h, w = K", "w, h = K")},
        {"corr2d.values": "error", "corr2d.shape": "error", "conv2d_layer": "failed"} | NO_LEARNING,
    ),
    "off by one": (
        {"corr2d": CORR2D.replace("- h + 1", "- h").replace("- w + 1", "- w")},
        {"corr2d.values": "failed", "corr2d.shape": "failed", "conv2d_layer": "failed"} | NO_LEARNING,
    ),
    "zeros": ({"corr2d": CORR2D.replace("* K)", "* 0 * K)")}, CORR2D_LOST),
    "one number for every place": (
        {"corr2d": "def corr2d(X, K): return (X[:K.shape[0], :K.shape[1]] * K).sum().reshape(1, 1)"},
        {"corr2d.values": "failed", "corr2d.shape": "failed", "conv2d_layer": "failed"} | NO_LEARNING,
    ),
    "NaN": (
        {"corr2d": CORR2D.replace("* K)", "* K * float('nan'))")},
        CORR2D_LOST,
    ),
    "a tensor that says it equals everything": (
        {
            "corr2d": "class Friendly(torch.Tensor):\n    def __eq__(self, other): return True\n"
            "    def __sub__(self, other): return torch.zeros(())\n"
            + CORR2D.replace("return Y", "return torch.zeros_like(Y).as_subclass(Friendly)")
        },
        {"corr2d.values": "failed", "conv2d_layer": "failed", "edge_detection": "failed", "learned_kernel": "failed"},
    ),
    "input changed in place": (  # the notebook's own image too, so that its kernel is another one
        {"corr2d": CORR2D.replace("    h, w", "    X = X.mul_(2) / 2\n    h, w")},
        {"corr2d.values": "failed", "conv2d_layer": "failed", "learned_kernel": "failed"},
    ),
    "returns nothing": (
        {"corr2d": CORR2D.replace("return Y", "print(Y)")},
        {"corr2d.values": "failed", "corr2d.shape": "failed", "conv2d_layer": "error"} | NOTHING_COMPUTED,
    ),
    "returns a string": (
        {"corr2d": CORR2D.replace("return Y", "return str(Y)")},
        {"corr2d.values": "failed", "corr2d.shape": "failed", "conv2d_layer": "error"} | NOTHING_COMPUTED,
    ),
    "bias is no parameter": (
        {"conv2d": CONV2D.replace("nn.Parameter(torch.zeros(1))", "torch.zeros(1)")},
        {"conv2d_layer": "failed"},
    ),
    "bias is not added": ({"conv2d": CONV2D.replace(" + self.bias", "")}, {"conv2d_layer": "failed"}),
    "weight is cut off": (
        {"conv2d": CONV2D.replace("corr2d(x, self.weight)", "corr2d(x, self.weight.detach())")},
        {"conv2d_layer": "failed"},
    ),
    "Conv2D is a function": ({"conv2d": "def Conv2D(kernel_size): return None"}, {"conv2d_layer": "failed"}),
    "Conv2D is never written": ({"conv2d": ""}, {"conv2d_layer": "absent"}),
    "edges of another kernel": (
        {"edges": EDGES.replace("1.0, -1.0", "-1.0, 1.0")},
        {"edge_detection": "failed", "learned_kernel": "failed"},
    ),
    "no image": ({"image": "X = torch.rand(6, 8)"}, {"edge_detection": "absent", "learned_kernel": "failed"}),
    "no edges": ({"edges": "", "turned": ""}, {"edge_detection": "absent", "learned_kernel": "absent"}),
    "transposed result is not zero": ({"turned": "corr2d(X.t(), K) + 1"}, {"edge_detection": "failed"}),
    "learned too little": ({"learn": LEARN.replace("range(10)", "range(2)")}, {"learned_kernel": "failed"}),
    "padding ignored": (
        {"comp": COMP.replace("Y = conv2d(X", "conv2d.padding = (0, 0)\n    Y = conv2d(X")},
        {"comp_conv2d.shape": "partial"},
    ),
    "batch and channel kept": (
        {"comp": COMP.replace("return Y.reshape(Y.shape[2:])", "return Y")},
        {"comp_conv2d.shape": "failed"},
    ),
    "channels are not summed": (
        {"multi_in": "def corr2d_multi_in(X, K): return torch.stack([corr2d(x, k) for x, k in zip(X, K)])[-1]"},
        {"corr2d_multi_in": "failed", "corr2d_multi_in_out": "failed", "equivalence_1x1": "failed"},
    ),
    "channels on a flipped corr2d": (
        {
            "corr2d": CORR2D.replace("* K)", "* K.flip(0, 1))"),
            "multi_in": "def corr2d_multi_in(X, K): return sum(corr2d(x, k) for x, k in zip(X, K))",
        },
        # kernels of 1x1 are the same when they are flipped, so both ways agree
        CORR2D_LOST | {"corr2d_multi_in": "failed", "corr2d_multi_in_out": "failed"},
    ),
    "two channels written out": (
        {"multi_in": "def corr2d_multi_in(X, K): return corr2d(X[0], K[0]) + corr2d(X[1], K[1])"},
        {"corr2d_multi_in": "error", "corr2d_multi_in_out": "error", "equivalence_1x1": "failed"},
    ),
    "maps stacked along the last axis": (
        {"multi_in_out": MULTI_IN_OUT.replace(", 0)", ", -1)")},
        {"corr2d_multi_in_out": "failed", "equivalence_1x1": "failed"},
    ),
    "no corr2d_multi_in_out": (
        {"multi_in_out": ""},
        {"corr2d_multi_in_out": "absent", "equivalence_1x1": "absent"},
    ),
    "no 1x1 convolution": ({"pointwise": ""}, {"corr2d_1x1": "absent", "equivalence_1x1": "absent"}),
    "both ways wrong alike": (
        {
            "multi_in_out": MULTI_IN_OUT.replace("(X, k) for", "(X, 2 * k) for"),
            "pointwise": POINTWISE.replace("Y = K", "Y = 2 * K"),
        },
        {"corr2d_multi_in_out": "failed", "corr2d_1x1": "failed", "equivalence_1x1": "failed"},
    ),
    "both ways give zeros": (
        {
            "multi_in_out": MULTI_IN_OUT.replace("for k in K], 0)", "for k in K], 0) * 0"),
            "pointwise": POINTWISE.replace("Y = K", "Y = 0 * K"),
        },
        {"corr2d_multi_in_out": "failed", "corr2d_1x1": "failed", "equivalence_1x1": "failed"},
    ),
    "the kernel squeezed": (
        {"pointwise": POINTWISE.replace("K.reshape(c_o, c_i)", "K.squeeze()")},
        {"corr2d_1x1": "error", "equivalence_1x1": "error"},
    ),
    "the image resized in place": (
        {"pointwise": POINTWISE.replace("X.reshape(c_i, h * w)", "X.resize_(c_i, h * w)")},
        {"corr2d_1x1": "failed", "equivalence_1x1": "failed"},
    ),
    "init_cnn without convolutions": (
        {"init": INIT.replace(" or type(module) == nn.Conv2d", "")},
        {"init_cnn": "failed"},
    ),
    "init_cnn of normal numbers": ({"init": INIT.replace("uniform", "normal")}, {"init_cnn": "failed"}),
    "init_cnn is Kaiming's": ({"init": INIT.replace("xavier", "kaiming")}, {"init_cnn": "failed"}),
    "init_cnn fills with one number": (
        {"init": INIT.replace("xavier_uniform_(module.weight)", "constant_(module.weight, 0.01)")},
        {"init_cnn": "failed"},
    ),
    "init_cnn resets normalisations": (
        {"init": INIT + "    elif hasattr(module, 'weight'): nn.init.ones_(module.weight)"},
        {"init_cnn": "failed"},
    ),
    "init_cnn raises for other layers": (
        {"init": INIT + "    else: raise TypeError(module)"},
        {"init_cnn": "error"},
    ),
    "init_cnn is imported": ({"init": "from torch.nn.init import xavier_uniform_ as init_cnn"}, {"init_cnn": "absent"}),
    "running maximum from zero": (
        {"pool": POOL.replace("window.max()", "window.max().clamp(min=0)")},
        {"pool2d.max": "failed"},
    ),
    "maximum and mean swapped": (
        {"pool": POOL.replace("== 'max'", "!= 'max'")},
        {"pool2d.max": "failed", "pool2d.avg": "failed"},
    ),
    "mode ignored": ({"pool": POOL.replace("if mode == 'max'", "if True")}, {"pool2d.avg": "failed"}),
    "pool2d returns nothing": ({"pool": POOL.replace("return Y", "")}, POOL_LOST),
    "pool2d is only torch's layer": (
        {"pool": ""},
        {"pool2d.max": "absent", "pool2d.avg": "absent", "pool2d.shape": "absent"},
    ),
    "LeNet of 8 and 20 channels": (
        {"lenet": LENET.replace("c1=6, c2=16", "c1=8, c2=20")},
        {"lenet.shapes": "failed", "lenet.params": "failed"},
    ),
    "LeNet without padding": (
        {"lenet": LENET.replace("padding=2", "padding=0")},
        {"lenet.shapes": "failed", "lenet.params": "failed"},
    ),
    "LeNet that takes means before its sigmoids": (
        {"lenet": LENET.replace("act(), pool(2)", "pool(2), act()")},
        {"lenet.shapes": "failed"},
    ),
    "LeNet without a return": (
        {"lenet": LENET.replace("return self.net(X)", "self.net(X)")},
        {"lenet.shapes": "failed", "lenet.params": "failed"},
    ),
    "LeNet with tanh": ({"lenet": LENET.replace("act=nn.Sigmoid", "act=nn.Tanh")}, {"lenet.shapes": "failed"}),
    "LeNet without activations": (
        {"lenet": LENET.replace("act=nn.Sigmoid", "act=nn.Identity")},
        {"lenet.shapes": "failed"},
    ),
    "LeNet with strides for pooling": (
        {"lenet": LENET.replace("pool=nn.AvgPool2d", "pool=lambda n: nn.LazyConv2d(6, 2, stride=2)")},
        {"lenet.shapes": "failed", "lenet.params": "failed"},
    ),
    "LeNet without biases": (
        {"lenet": LENET.replace("nn.LazyLinear(84)", "nn.LazyLinear(84, bias=False)")},
        {"lenet.params": "failed"},
    ),
    "LeNet for 100 classes": (
        {"lenet": LENET.replace("num_classes=10", "num_classes=100")},
        {"lenet.shapes": "failed", "lenet.params": "failed"},
    ),
    "LeNet that cannot run": (
        {"lenet": LENET.replace("return self.net(X)", "return self.nets(X)")},
        {"lenet.shapes": "error", "lenet.params": "error"},
    ),
    "LeNet is a number": ({"lenet": "LeNet = 5"}, {"lenet.shapes": "absent", "lenet.params": "absent"}),
    "no LeNet by any name": (
        {"lenet": "def MLP(): return nn.LazyLinear(10)"},
        {"lenet.shapes": "absent", "lenet.params": "absent"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_loses_the_items_it_makes_wrong_and_no_other(mistake: str) -> None:
    changed, expected = WRONG[mistake]
    assert all(BOOK[cell] != source for cell, source in changed.items())
    assert lost(graded(**changed)) == expected


def test_a_wrong_result_is_shown_where_it_was_made() -> None:
    results = graded(corr2d=CORR2D.replace("* K)", "* 0 * K)"))
    assert results["edge_detection"].message == "the edges of the image are not right: all of them are 0"
    assert (results["edge_detection"].cell, results["learned_kernel"].cell) == (4, 6)
    assert results["edge_detection"].evidence["expected"]["shape"] == [6, 7]


@pytest.mark.slow
def test_the_first_layer_that_departs_is_named() -> None:
    message = graded(lenet=LENET.replace("c1=6", "c1=7"))["lenet.shapes"].message
    assert message == "the first convolution has 7 output channels (the book's: 6)"
    results = graded(lenet=LENET.replace("nn.LazyLinear(84)", "nn.LazyLinear(80)"))
    said = "the second fully connected layer has 80 units (the book's: 84)"
    assert results["lenet.shapes"].message == said
    assert results["lenet.params"].message == f"expected 61,706 parameters, found 61,182: {said}"
    message = graded(lenet=LENET.replace("act=nn.Sigmoid", "act=nn.Tanh"))["lenet.shapes"].message
    assert message.endswith(" stands after the first convolution (the book's: sigmoid) (and 3 more like it)")


def test_padding_ignored_keeps_the_points_of_the_layers_without_padding() -> None:
    changed, _ = WRONG["padding ignored"]
    result = graded(**changed)["comp_conv2d.shape"]
    assert "rong in 10 of 14 cases, first with an image of 8x8" in result.message  # after what is known of the mistake
    assert result.points == 2.25  # 8 points * 4 / 14, down to a quarter


def test_the_two_ways_to_a_1x1_convolution_agree_only_if_they_are_right() -> None:
    (module,) = [each for path, each in load_rubric(HW2).tests.items() if path.name == "test_7_4_channels.py"]
    agree = module.test_both_ways_to_a_1x1_convolution_agree.case_test
    right = reference.corr2d_multi_in_out

    def wrong(X: torch.Tensor, K: torch.Tensor) -> torch.Tensor:
        return 2 * right(X, K)

    K = torch.tensor([[-5.0, -4, 9], [-3, -4, 7]]).reshape(2, 3, 1, 1)  # its weights add up to nothing
    case = Case("kernels that add up to 0", X=torch.arange(27.0).reshape(3, 3, 3), K=K)
    agree(SimpleNamespace(corr2d_multi_in_out_1x1=right, corr2d_multi_in_out=right), case)
    for pointwise, general, message in (
        (wrong, wrong, "^the two ways agree, and both are wrong: corr2d_multi_in_out_1x1: expected"),
        (wrong, right, "_out gives 126, .*_1x1 gives 252 at .0, 0, 0.; corr2d_multi_in_out_1x1 is the wrong one$"),
        (right, wrong, r"^the two ways disagree: .*; corr2d_multi_in_out is the wrong one$"),
        (
            wrong,
            lambda *_: K,
            r"gives the shape \(2, 3, 1, 1\), corr2d_multi_in_out_1x1 gives the shape \(2, 3, 3\); both are wrong$",
        ),
        (wrong, lambda *_: None, "corr2d_multi_in_out gives nothing, corr2d_multi_in_out_1x1 gives the shape .*; both"),
        (
            lambda *_: None,
            lambda *_: None,
            "^the two ways agree, and both are wrong: corr2d_multi_in_out_1x1: expected",
        ),
        (lambda *_: torch.tensor(torch.nan).expand(2, 3, 3), right, r"_1x1 gives nan at \[0, 0, 0\]; corr2d_multi"),
    ):
        with pytest.raises(Mismatch, match=message):
            agree(SimpleNamespace(corr2d_multi_in_out_1x1=pointwise, corr2d_multi_in_out=general), case)
