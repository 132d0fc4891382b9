"""Mistakes in training loops: each is named, and the corrected loop gives no finding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.models.recipe import Mode
from grader.sandbox.host.sandbox import Zygote
from tests.support.sandbox_runs import Ran, ran

START = """
import copy, torch, torchvision
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from d2l import torch as d2l
train = torchvision.datasets.FashionMNIST('data', transform=torchvision.transforms.ToTensor(), download=True)
shuffled = torchvision.datasets.FashionMNIST('data', transform=torchvision.transforms.ToTensor(), download=True)
shuffled.targets = shuffled.targets[torch.randperm(60_000)]
renumbered = torchvision.datasets.FashionMNIST('data', transform=torchvision.transforms.ToTensor(), download=True)
renumbered.targets = 9 - renumbered.targets

def lenet(*end, activation=nn.ReLU):
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), activation(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), activation(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 84), activation(), nn.Dropout(0.1), nn.Linear(84, 10), *end)

class Features(nn.Module):
    def __init__(self, detached):
        super().__init__()
        self.features, self.head, self.detached = nn.Conv2d(1, 6, 5), nn.Linear(6 * 24 * 24, 10), detached
    def forward(self, X):
        Y = self.features(X)
        return self.head((Y.detach() if self.detached else Y).relu().flatten(1))

class Classifier(d2l.Classifier):
    def __init__(self, lr=0.1, *end):
        super().__init__()
        self.save_hyperparameters()
        self.net = lenet(*end, activation=nn.Sigmoid)
"""
LOOP = """
net = {model}
optimizer = {optimizer}
for X, y in DataLoader({data}, batch_size=128, shuffle=True):
    {body}
"""
RIGHT = "optimizer.zero_grad(); F.cross_entropy(net(X), y).backward(); optimizer.step()"
SGD = "torch.optim.SGD(net.parameters(), lr=0.1)"


def loop(body: str = RIGHT, model: str = "lenet()", optimizer: str = SGD, data: str = "train") -> str:
    return LOOP.format(model=model, optimizer=optimizer, data=data, body=body.replace("\n", "\n    "))


def with_loss(loss: str, **parts: str) -> str:
    return loop(f"optimizer.zero_grad(); {loss}.backward(); optimizer.step()", **parts)


def with_optimizer(made: str) -> str:
    return loop(optimizer=f"torch.optim.{made}")


def fitted(model: str, trainer: str = "max_epochs=1") -> str:
    return f"d2l.Trainer({trainer}).fit({model}, d2l.FashionMNIST(batch_size=128))"


def by_hand(zero: str) -> str:
    update = "with torch.no_grad():\n    for p in net.parameters(): p -= 0.1 * p.grad"
    return loop(f"{zero}F.cross_entropy(net(X), y).backward()\n{update}", optimizer="None")


ONE_HOT = "F.one_hot(y, 10).float()"
EVAL = "net.eval()\n" + RIGHT
# A mistake, the loop that makes it, the corrected loop.
MISTAKES = {
    "no_zero_grad": ("no_zero_grad", loop("F.cross_entropy(net(X), y).backward(); optimizer.step()"), loop()),
    "no zero_grad and steps by hand": ("no_zero_grad", by_hand(""), by_hand("net.zero_grad(); ")),
    "softmax in the model": ("softmax_before_loss", loop(model="lenet(nn.Softmax(dim=1))"), loop(model="lenet()")),
    "softmax in the loop": (
        "softmax_before_loss",
        with_loss("nn.CrossEntropyLoss()(net(X).softmax(1), y)"),
        with_loss("nn.CrossEntropyLoss()(net(X), y)"),
    ),
    "softmax imported by name": ("softmax_before_loss", with_loss("cross_entropy(net(X).softmax(1), y)"), loop()),
    "softmax in d2l": ("softmax_before_loss", fitted("Classifier(0.1, nn.Softmax(dim=1))"), fitted("Classifier(0.1)")),
    "nll of probabilities": (
        "softmax_before_loss",
        with_loss("F.nll_loss(net(X).softmax(1), y)"),
        with_loss("F.nll_loss(net(X).log_softmax(1), y)"),
    ),
    "nll of scores": ("wrong_loss", with_loss("F.nll_loss(net(X), y)"), loop(model="lenet(nn.LogSoftmax(dim=1))")),
    "relu at the end": ("activation_before_loss", loop(model="lenet(nn.ReLU())"), loop(model="lenet(nn.Identity())")),
    "sum of the losses": (
        "sum_loss",
        with_loss("F.cross_entropy(net(X), y, reduction='sum')"),
        with_loss("(F.cross_entropy(net(X), y, reduction='sum') / len(y))"),
    ),
    "squared error": ("wrong_loss", with_loss(f"F.mse_loss(net(X).softmax(1), {ONE_HOT})"), loop()),
    "squared error by hand": (
        "wrong_loss",
        with_loss(f"((net(X) - {ONE_HOT}) ** 2).mean()"),
        with_loss(f"(-(net(X).log_softmax(1) * {ONE_HOT}).sum(1)).mean()"),
    ),
    "minus": ("wrong_loss", with_loss("(-F.cross_entropy(net(X), y))"), loop()),
    "labels drawn at random": (
        "labels_not_of_images",
        with_loss("F.cross_entropy(net(X), torch.randint(10, y.shape))"),
        with_loss("F.cross_entropy(net((X - 0.5) / 0.5), y)"),
    ),
    "labels of other images": ("labels_not_of_images", loop(data="shuffled"), loop(data="renumbered")),
    "a part of the parameters": (
        "parameters_left_out",
        with_optimizer("SGD(net[-1].parameters(), lr=0.1)"),
        loop(optimizer="torch.optim.SGD([{'params': net[:5].parameters()}, {'params': net[5:].parameters()}], lr=0.1)"),
    ),
    "another model's parameters": ("parameters_left_out", with_optimizer("SGD(lenet().parameters(), lr=0.1)"), loop()),
    "frozen": (
        "frozen_parameters",
        loop(model="lenet()\nnet[0].requires_grad_(False)"),
        loop(model="lenet()\nnet[0].requires_grad_(False).requires_grad_(True)"),
    ),
    "detached": ("frozen_parameters", loop(model="Features(True)"), loop(model="Features(False)")),
    "no_step": ("no_step", loop("optimizer.zero_grad(); F.cross_entropy(net(X), y).backward()"), loop()),
    "no_backward": (
        "no_backward",
        loop("optimizer.zero_grad(); loss = F.cross_entropy(net(X), y); optimizer.step()"),
        loop("loss = F.cross_entropy(net(X), y); optimizer.zero_grad(); loss.backward(); optimizer.step()"),
    ),
    "zero_grad too late": (
        "no_gradient",
        loop("F.cross_entropy(net(X), y).backward(); optimizer.zero_grad(); optimizer.step()"),
        loop("F.cross_entropy(net(X), y).backward(); optimizer.step(); optimizer.zero_grad()"),
    ),
    "a loss cut off": (
        "no_gradient",
        with_loss("torch.tensor(F.cross_entropy(net(X), y).item(), requires_grad=True)"),
        loop(),
    ),
    "lr too small": ("learning_rate", with_optimizer("SGD(net.parameters(), lr=0.001)"), loop()),
    "lr too large": ("learning_rate", with_optimizer("SGD(net.parameters(), lr=10)"), loop()),
    "lr of Adam": (
        "learning_rate",
        with_optimizer("Adam(net.parameters(), lr=0.1)"),
        with_optimizer("Adam(net.parameters(), lr=0.001)"),
    ),
    "lr of d2l": ("learning_rate", fitted("Classifier(0.001)"), fitted("Classifier(0.01)")),
    "eval_mode": ("eval_mode", loop(EVAL), loop(f"{EVAL}\nnet.train()".replace("net.eval()", "net.train()"))),
    "weights put back": (
        "weights_not_changed",
        loop(f"{RIGHT}; net.load_state_dict(start)", model="lenet()\nstart = copy.deepcopy(net.state_dict())"),
        loop(f"{RIGHT}; net.load_state_dict(net.state_dict())"),
    ),
    "nan": ("nan", with_loss("(F.cross_entropy(net(X), y) + torch.tensor(0.0).log() * 0)"), loop()),
}
NO_MISTAKES = {
    "clipped gradients": loop(
        RIGHT.replace("optimizer.step()", "nn.utils.clip_grad_norm_(net.parameters(), 0.01); optimizer.step()")
    ),
    "clipping of d2l": fitted("Classifier(0.1)", "max_epochs=1, gradient_clip_val=0.01"),
    "a schedule": loop(
        f"{RIGHT}; scheduler.step()",
        optimizer=f"{SGD}\nscheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=500)",
    ),
    "a warm-up from nothing": loop(
        f"{RIGHT}; scheduler.step()",
        optimizer=f"{SGD}\nscheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: n / 5000)",
    ),
    "momentum, weight decay": with_optimizer("SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)"),
    "AdamW": with_optimizer("AdamW(net.parameters(), lr=3e-4)"),
    "gradients of two batches": loop(
        "(F.cross_entropy(net(X[:32]), y[:32]) / 2).backward(); (F.cross_entropy(net(X[32:]), y[32:]) / 2).backward()\n"
        "optimizer.step(); optimizer.zero_grad()"
    ),
    "zero_grad now and then": loop(
        "F.cross_entropy(net(X), y).backward(); optimizer.step()\nn = globals().get('n', 0) + 1\n"
        "if n % 2 == 0: optimizer.zero_grad()"
    ),
    "label smoothing": with_loss("F.cross_entropy(net(X), y, label_smoothing=0.1)"),
    "weights of classes": with_loss("F.cross_entropy(net(X), y, weight=torch.arange(1.0, 11))"),
    "a penalty": with_loss("(F.cross_entropy(net(X), y) + 0.01 * sum((p ** 2).sum() for p in net.parameters()))"),
    "one-hot labels": with_loss(f"F.cross_entropy(net(X), {ONE_HOT})"),
    "binary cross-entropy": with_loss(f"F.binary_cross_entropy_with_logits(net(X), {ONE_HOT})"),
    "the sum, a small lr": with_loss(
        "F.cross_entropy(net(X), y, reduction='sum')", optimizer="torch.optim.SGD(net.parameters(), lr=0.001)"
    ),
    "a squared error that is only shown": loop(
        f"out = net(X); loss = F.cross_entropy(out, y); shown = F.mse_loss(out.softmax(1), {ONE_HOT})\n"
        "optimizer.zero_grad(); loss.backward(); optimizer.step()"
    ),
    "an accuracy with gradients": loop(
        "loss = F.cross_entropy(net(X), y); accuracy = (net(X).argmax(1) == y).float().mean()\n"
        "optimizer.zero_grad(); loss.backward(); optimizer.step()"
    ),
    "other images in eval mode": loop(f"net.train()\n{RIGHT}\nnet.eval()\nF.cross_entropy(net(X), y).item()"),
    "a closure": loop(
        "def closure():\n    optimizer.zero_grad(); loss = F.cross_entropy(net(X), y); loss.backward(); return loss\n"
        "optimizer.step(closure)",
        optimizer="torch.optim.LBFGS(net.parameters(), lr=0.1, max_iter=2)",
    ),
    "compiled": loop(model="torch.compile(lenet(), backend='eager')"),
    "two optimisers": loop(
        RIGHT.replace("optimizer.zero", "net.zero").replace("optimizer.step()", "optimizer.step(); second.step()"),
        optimizer="torch.optim.SGD(net[:5].parameters(), lr=0.1)\nsecond = torch.optim.Adam(net[5:].parameters())",
    ),
    "the book's older loop": "data, _ = d2l.load_data_fashion_mnist(128)\nnet, loss = lenet(), nn.CrossEntropyLoss()\n"
    f"optimizer = {SGD}\nfor X, y in data:\n    optimizer.zero_grad(); loss(net(X), y).backward(); optimizer.step()",
    "sgd of d2l": loop(
        "F.cross_entropy(net(X), y, reduction='none').sum().backward(); d2l.sgd(net.parameters(), 0.1, 128)",
        optimizer="None",
    ),
    "no loop at all": "X, y = next(iter(DataLoader(train, 8)))\nout = lenet()(X)",
}
UNLABELLED = {
    "a kernel that is learned": "X, Y = torch.ones(1, 1, 6, 8), torch.zeros(1, 1, 6, 7)\n"
    "conv = nn.Conv2d(1, 1, (1, 2), bias=False)\nfor i in range(10):\n"
    "    l = (conv(X) - Y) ** 2; l.sum().backward(); conv.weight.data[:] -= 3e-2 * conv.weight.grad",
    "a kernel and an optimiser": "conv = nn.Conv2d(1, 1, (1, 2), bias=False)\n"
    "o = torch.optim.SGD(conv.parameters(), 50.0)\nfor i in range(100):\n    conv(X).sum().backward(); o.step()",
    "a model of numbers": "net = nn.Sequential(nn.Linear(50, 50), nn.Linear(50, 1))\n"
    "o = torch.optim.SGD(net.parameters(), 1e-4)\nfor i in range(10):\n"
    "    F.mse_loss(net(torch.ones(4, 50)), torch.ones(4, 1)).backward(); o.step()",
}


@pytest.fixture(scope="module")
def trained(zygote: Zygote, fashion_mnist: dict[str, Path]) -> Iterator[Ran]:
    """Run every loop of this file in one notebook: the mistakes, then the corrected loops, then the others."""
    mistakes = [wrong for _, wrong, _ in MISTAKES.values()]
    right = [right for _, _, right in MISTAKES.values()]
    cells = (START, *mistakes, *right, *NO_MISTAKES.values(), *UNLABELLED.values())
    with ran(zygote, *cells, mode=Mode.QUICK, data_sets=fashion_mnist) as made:
        assert set(made.messages()) == {""}
        yield made


def findings(made: Ran, cell: int) -> list[tuple[str, str]]:
    return [finding for each in made.work.trainings() if each.cell == cell for finding in each.findings]


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(trained: Ran, name: str) -> None:
    cell = 1 + list(MISTAKES).index(name)
    assert [found for found, _ in findings(trained, cell)] == [MISTAKES[name][0]]


@pytest.mark.parametrize("name", MISTAKES)
def test_the_corrected_loop_gives_no_finding(trained: Ran, name: str) -> None:
    cell = 1 + len(MISTAKES) + list(MISTAKES).index(name)
    assert findings(trained, cell) == []
    (training,) = [each for each in trained.work.trainings() if each.cell == cell]
    assert training.steps == 4


@pytest.mark.parametrize("name", NO_MISTAKES)
def test_a_correct_variant_gives_no_finding(trained: Ran, name: str) -> None:
    cell = 1 + 2 * len(MISTAKES) + list(NO_MISTAKES).index(name)
    assert findings(trained, cell) == []
    assert (name != "no loop at all") == any(each.cell == cell for each in trained.work.trainings())


def test_models_that_learn_no_classes_are_not_followed(trained: Ran) -> None:
    first = 1 + 2 * len(MISTAKES) + len(NO_MISTAKES)
    assert [each for each in trained.work.trainings() if each.cell >= first] == []
