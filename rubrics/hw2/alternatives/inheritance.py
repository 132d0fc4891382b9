"""Layers and models that inherit from torch's own, and from one another."""

import torch
from torch import nn


class Conv2D(nn.Conv2d):
    """torch's layer whose weight is kept as the book has it."""

    def __init__(self, kernel_size):
        super().__init__(1, 1, kernel_size)
        self.weight = nn.Parameter(torch.rand(kernel_size))

    def forward(self, x):
        return self._conv_forward(x[None, None], self.weight[None, None], self.bias)[0, 0]


def init_cnn(net):
    """Initialise the layers of a network, and those of its parts."""
    for layer in net.children():
        if hasattr(layer, "in_channels") or isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
        else:
            init_cnn(layer)


class ConvThenPool(nn.Sequential):
    def __init__(self, convolutions, pool, activation):
        super().__init__(*(layer for conv in convolutions for layer in (conv, activation())), pool)


class LeNet(nn.Sequential):
    def __init__(self, num_classes=10):
        super().__init__(
            ConvThenPool([nn.LazyConv2d(6, 5, padding=2)], nn.MaxPool2d(2), nn.ReLU),
            ConvThenPool([nn.LazyConv2d(16, 5)], nn.MaxPool2d(2), nn.ReLU),
            *(nn.Flatten(), nn.LazyLinear(120), nn.ReLU(), nn.LazyLinear(84), nn.ReLU(), nn.LazyLinear(num_classes)),
        )


class vgg_block(ConvThenPool):  # noqa: N801
    def __init__(self, num_convs, out_channels):
        convolutions = (nn.LazyConv2d(out_channels, 3, padding=1) for _ in range(num_convs))
        super().__init__(convolutions, nn.MaxPool2d(2), nn.ReLU)


class VGG(nn.Sequential):
    def __init__(self, arch, num_classes=10):
        super().__init__(*(vgg_block(*entry) for entry in arch), nn.Flatten())
        for width in (4096, 4096):
            self.append(nn.LazyLinear(width)).append(nn.ReLU()).append(nn.Dropout(0.5))
        self.append(nn.LazyLinear(num_classes))


class Branch(nn.Sequential):
    def __init__(self, channels, strides):
        super().__init__()
        for number in range(2):
            self.append(nn.LazyConv2d(channels, 3, stride=1 if number else strides, padding=1))
            self.append(nn.LazyBatchNorm2d())
            if number == 0:
                self.append(nn.ReLU())


class Residual(Branch):
    def __init__(self, num_channels, use_1x1conv=False, strides=1):
        super().__init__(num_channels, strides)
        self.__dict__["has_shortcut"] = use_1x1conv
        if use_1x1conv:
            self.add_module("shortcut", nn.LazyConv2d(num_channels, 1, stride=strides))

    def forward(self, X):
        Y = X
        for name, layer in self.named_children():
            if name != "shortcut":
                Y = layer(Y)
        return torch.relu(torch.add(self.shortcut(X), Y) if self.has_shortcut else torch.add(X, Y))


class ResNet(nn.Sequential):
    def __init__(self, *numbers, num_classes=10):
        super().__init__(nn.LazyConv2d(64, 7, 2, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        for stage, number in enumerate(numbers):
            for block in range(number):
                first = bool(stage) and not block
                self.append(Residual(64 * 2**stage, use_1x1conv=first, strides=2 if first else 1))
        self.append(nn.AdaptiveAvgPool2d(1)).append(nn.Flatten()).append(nn.LazyLinear(num_classes))


class ResNet18(ResNet):
    def __init__(self, num_classes=10):
        super().__init__(2, 2, 2, 2, num_classes=num_classes)
