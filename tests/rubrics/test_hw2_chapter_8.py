"""The HW2 rubric, chapter 8: solutions of many kinds and typical mistakes, run in this process."""

from __future__ import annotations

import pytest

from grader.results.report import Verdict
from tests.support.hw2_book import BOOK, RESIDUAL, RESNET, RESNET18, VGG, VGG_BLOCK, graded, lost

EXPLICIT_BLOCK = """
def vgg_block(num_convs, in_channels, out_channels):
    layers = []
    for _ in range(num_convs):
        layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU(inplace=True)]
        in_channels = out_channels
    return nn.Sequential(*layers, nn.MaxPool2d(2))
"""
BLOCK_CLASS = """
class Block(nn.Module):
    def __init__(self, num_convs, out_channels):
        super().__init__()
        self.convs = nn.ModuleList(nn.LazyConv2d(out_channels, 3, padding=1) for _ in range(num_convs))
    def forward(self, X):
        for conv in self.convs:
            X = conv(X).relu()
        return F.max_pool2d(X, 2)
"""
VGG11 = """
class VGG11(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        for width in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0):
            layers += [nn.LazyConv2d(width, 3, padding=1), nn.ReLU()] if width else [nn.MaxPool2d(2)]
        self.net = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(4096), nn.ReLU(), nn.LazyLinear(4096), nn.ReLU(),
            nn.LazyLinear(10))
    def forward(self, X):
        return self.net(X)
"""
DECIDES_BY_ITSELF = """
class Residual(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False), nn.BatchNorm2d(out_channels))
        self.shortcut = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))
    def forward(self, X):
        return torch.relu(self.branch(X) + self.shortcut(X))
"""
OF_ONE_FUNCTION = """
def ResNet18(num_classes=10, in_channels=1):
    layers = [nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    c_i = 64
    for c_o in (64, 128, 256, 512):
        layers += [Residual(c_i, c_o, 1 if c_i == c_o else 2), Residual(c_o, c_o)]
        c_i = c_o
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, num_classes))
"""
RIGHT: dict[str, dict[str, str]] = {
    "the book's": {},
    "explicit channels": {
        "vgg_block": EXPLICIT_BLOCK,
        "vgg": VGG.replace("[vgg_block(n, c) for n, c in arch]", "self.blocks(arch)").replace(
            "    def forward",
            "    def blocks(self, arch, c_i=1):\n        for n, c in arch:\n"
            "            yield vgg_block(n, c_i, c)\n            c_i = c\n    def forward",
        ),
    },
    "triples": {
        "vgg_block": EXPLICIT_BLOCK,
        "vgg": VGG.replace("[vgg_block(n, c) for n, c in arch]", "[vgg_block(*each) for each in arch]"),
    },
    "VGG as a factory": {
        "vgg": "def VGG(conv_arch):\n    head = [nn.LazyLinear(4096), nn.ReLU(), nn.LazyLinear(4096), nn.ReLU()]\n"
        "    blocks = [vgg_block(*each) for each in conv_arch]\n"
        "    return nn.Sequential(*blocks, nn.Flatten(), *head, nn.LazyLinear(10))",
    },
    "a block class under another name": {"vgg_block": BLOCK_CLASS, "vgg": VGG.replace("vgg_block", "Block")},
    "VGG-11 without arguments under another name": {"vgg": VGG11},
    "an adaptive pooling that changes nothing": {
        "vgg": VGG.replace("nn.Flatten()", "nn.AdaptiveAvgPool2d((7, 7)), nn.Flatten()")
    },
    "batch normalisation on demand": {
        "vgg_block": VGG_BLOCK.replace("out_channels)", "out_channels, norm=False)", 1).replace(
            "padding=1), nn", "padding=1)] + [nn.LazyBatchNorm2d()] * norm + [nn"
        )
    },
    "a block that decides by itself, as torchvision has it": {
        "residual": DECIDES_BY_ITSELF,
        "resnet18": OF_ONE_FUNCTION,
    },
    "ResNet under other names": {
        "residual": RESIDUAL.replace("class Residual", "class ResidualBlock"),
        "resnet": RESNET.replace("Residual(", "ResidualBlock("),
        "resnet18": RESNET18.replace("class ResNet18", "class Resnet18"),
    },
    "ResNet with an architecture only": {"resnet18": ""},
    "ResNet18 as an instance": {"resnet18": RESNET18 + "ResNet18 = ResNet18()"},
    "ResNet18 as an instance of another name": {
        "resnet18": "model = ResNet(((2, 64), (2, 128), (2, 256), (2, 512)))\ndel ResNet"
    },
    "Residual put right after ResNet18": {
        "residual": RESIDUAL.replace("strides=1):", "strides=1):\n        strides = 1"),
        "resnet18": RESNET18 + RESIDUAL,
    },
    "redefined in an experiment": {
        "resnet18": RESNET18,
        "rebound": "class Residual(nn.Module): pass\ndef vgg_block(): return None\ndef VGG(n): raise ValueError(n)",
    },
}


@pytest.mark.parametrize("kind", RIGHT)
def test_a_right_solution_loses_nothing(kind: str) -> None:
    results = graded(**RIGHT[kind])
    assert {name: results[name].message for name in lost(results)} == {}


WRONG: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "blocks without pooling": (
        {"vgg_block": VGG_BLOCK.replace(", nn.MaxPool2d(kernel_size=2, stride=2)", "")},
        {"vgg_block": "failed", "vgg11.shapes": "failed"},
    ),
    "blocks that pool first": (
        {
            "vgg_block": VGG_BLOCK.replace("layers = []", "layers = [nn.MaxPool2d(2)]").replace(
                ", nn.MaxPool2d(kernel_size=2, stride=2)", ""
            )
        },
        {"vgg_block": "failed", "vgg11.shapes": "failed"},
    ),
    "kernels of 5x5": (
        {"vgg_block": VGG_BLOCK.replace("kernel_size=3, padding=1", "kernel_size=5, padding=2")},
        {"vgg_block": "failed", "vgg11.shapes": "failed"},
    ),
    "blocks without ReLU": (
        {"vgg_block": VGG_BLOCK.replace(", nn.ReLU()]", "]")},
        {"vgg_block": "failed", "vgg11.shapes": "failed"},
    ),
    "average pooling in blocks": ({"vgg_block": VGG_BLOCK.replace("MaxPool", "AvgPool")}, {"vgg_block": "failed"}),
    "blocks with batch normalisation": (
        {"vgg_block": VGG_BLOCK.replace("padding=1), nn", "padding=1), nn.LazyBatchNorm2d(), nn")},
        {"vgg_block": "failed"},
    ),
    "one fully connected layer too few": (
        {"vgg": VGG.replace(" nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5),\n", "\n")},
        {"vgg11.shapes": "failed"},
    ),
    "a head of 1000 units": ({"vgg": VGG.replace("4096", "1000")}, {"vgg11.shapes": "failed"}),
    "the narrow VGG only": (
        {"vgg": "def narrow():\n    return nn.Sequential(*[vgg_block(n, c) for n, c in ((1, 16), (1, 32), (2, 64))])"},
        {"vgg11.shapes": "absent"},
    ),
    "a VGG that ignores its architecture": (
        {"vgg": VGG.replace("in arch]", "in ((1, 16), (1, 32), (2, 64), (2, 128), (2, 128))]")},
        {"vgg11.shapes": "failed"},
    ),
    "VGG without forward": ({"vgg": VGG[: VGG.index("    def forward")]}, {"vgg11.shapes": "error"}),
    "no shortcut": ({"residual": RESIDUAL.replace("Y + X", "Y")}, {"residual": "failed"}),
    "ReLU before the sum": (
        {"residual": RESIDUAL.replace("F.relu(Y + X)", "F.relu(Y) + X")},
        {"residual": "failed"},
    ),
    "no ReLU at the end": ({"residual": RESIDUAL.replace("F.relu(Y + X)", "Y + X")}, {"residual": "failed"}),
    "no ReLU in the middle": (
        {"residual": RESIDUAL.replace("F.relu(self.bn1(self.conv1(X)))", "self.bn1(self.conv1(X))")},
        {"residual": "failed"},
    ),
    "one normalisation for both convolutions": (
        {"residual": RESIDUAL.replace("self.bn2(self.conv2", "self.bn1(self.conv2")},
        {"residual": "failed"},
    ),
    "strides of the shortcut only": (
        {"residual": RESIDUAL.replace("padding=1, stride=strides", "padding=1")},
        {"residual": "error", "resnet18.shapes": "error"},
    ),
    "a block without strides": (
        {"residual": RESIDUAL.replace("strides=1):", "strides=1):\n        strides = 1")},
        {"residual": "failed", "resnet18.shapes": "failed"},
    ),
    "Residual is imported": (
        {"residual": "from torch.nn import Identity as Residual"},
        {"residual": "absent", "resnet18.shapes": "failed"},
    ),
    "stages without strides": ({"resnet": RESNET.replace(", strides=2", "")}, {"resnet18.shapes": "failed"}),
    "every stage halves": ({"resnet": RESNET.replace("i or first", "i")}, {"resnet18.shapes": "failed"}),
    "no pooling in the stem": (
        {"resnet": RESNET.replace("nn.MaxPool2d(kernel_size=3, stride=2, padding=1)", "nn.Identity()")},
        {"resnet18.shapes": "failed"},
    ),
    "no global pooling": (
        {"resnet": RESNET.replace("nn.AdaptiveAvgPool2d((1, 1)), ", "")},
        {"resnet18.shapes": "failed"},
    ),
    "ResNet-34 for ResNet-18": (
        {
            "resnet18": RESNET18.replace(
                "(2, 64), (2, 128), (2, 256), (2, 512)", "(3, 64), (4, 128), (6, 256), (3, 512)"
            )
        },
        {"resnet18.shapes": "failed"},
    ),
    "no ReLU in the stem": (
        {"resnet": RESNET.replace("nn.LazyBatchNorm2d(), nn.ReLU(),", "nn.LazyBatchNorm2d(),")},
        {"resnet18.shapes": "failed"},
    ),
    "no normalisation in the stem": (
        {"resnet": RESNET.replace(" nn.LazyBatchNorm2d(), nn.ReLU(),", " nn.ReLU(),")},
        {"resnet18.shapes": "failed"},
    ),
    "means in the stem": (
        {"resnet": RESNET.replace("nn.MaxPool2d(", "nn.AvgPool2d(")},
        {"resnet18.shapes": "failed"},
    ),
    "a pre-activation block": (
        {
            "residual": RESIDUAL.replace(
                "self.bn2(self.conv2(F.relu(self.bn1(self.conv1(X)))))",
                "self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(X))))))",
            ).replace("F.relu(Y + X)", "Y + X")
        },
        {"residual": "failed"},
    ),
    "use_1x1conv=True by default": (
        {"residual": RESIDUAL.replace("use_1x1conv=False", "use_1x1conv=True")},
        {"residual": "failed"},
    ),
    "strides=2 by default": (
        {"residual": RESIDUAL.replace("strides=1)", "strides=2)")},
        {"residual": "error", "resnet18.shapes": "error"},
    ),
    "no ResNet by any name": ({"resnet": "", "resnet18": ""}, {"resnet18.shapes": "absent"}),
    "nothing of the chapter": (
        dict.fromkeys(("vgg_block", "vgg", "residual", "resnet", "resnet18"), ""),
        dict.fromkeys(("vgg_block", "vgg11.shapes", "residual", "resnet18.shapes"), "absent"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_loses_the_items_it_makes_wrong_and_no_other(mistake: str) -> None:
    changed, expected = WRONG[mistake]
    assert all(BOOK[cell] != source for cell, source in changed.items())
    assert lost(graded(**changed)) == expected


def test_what_was_found_by_search_is_named() -> None:
    assert graded(**RIGHT["ResNet under other names"])["residual"].message.startswith("found as ResidualBlock in cell ")
    results = graded(**RIGHT["ResNet18 as an instance of another name"])
    assert results["resnet18.shapes"].message == f"found as ResNet in cell {len(BOOK) - 1}"


def test_a_model_that_needs_real_numbers_is_built_with_them() -> None:
    printing = RESNET18.replace(
        "    def", "    def forward(self, X):\n        print(X.mean().item())\n        return self.net(X)\n    def"
    )
    assert lost(graded(resnet18=printing)) == {}


def test_the_first_layer_that_departs_is_named() -> None:
    message = graded(resnet=RESNET.replace(", strides=2", ""))["resnet18.shapes"].message
    assert message.endswith(
        ". The first convolution of stage 2, block 1 has stride 1 (the book's: 2) (and 5 more like it)"
    )


def test_a_mistake_is_not_named_for_a_network_if_its_block_is_right() -> None:
    results = graded(resnet=RESNET.replace("use_1x1conv=True, ", ""))
    assert results["residual"].verdict is Verdict.PASSED
    assert results["resnet18.shapes"].misconception == "one_by_one_convolutions_not_asked_for"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("self.bn1(self.conv1(X))", "self.conv1(X)", "first_normalisation_missing"),
        ("self.bn2(self.conv2(", "(self.conv2(", "second_normalisation_missing"),
        ("kernel_size=1, stride=strides", "kernel_size=1", "shortcut_without_stride"),
        ("use_1x1conv=False", "use_1x1conv=True", "one_by_one_convolution_by_default"),
        ("self.conv3(X)", "self.conv3(Y)", "one_by_one_convolution_on_the_branch"),
    ],
)
def test_mistakes_with_a_residual_block_are_told_apart(old: str, new: str, named: str) -> None:
    assert old in RESIDUAL
    assert graded(residual=RESIDUAL.replace(old, new))["residual"].misconception == named
