"""Everything that sums products is an einsum.

Models made by functions that return nn.Sequential.
"""

import torch
from torch import einsum, nn


def corr2d(X, K):
    return einsum("ijab,ab->ij", X.unfold(0, K.size(0), 1).unfold(1, K.size(1), 1), K)


class Conv2D(nn.Module):
    def __init__(self, kernel_size):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(kernel_size))
        self.bias = nn.Parameter(torch.empty(1, 1))
        nn.init.uniform_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x):
        return self.bias + einsum(
            "ijab,ab->ij", x.unfold(0, self.weight.size(0), 1).unfold(1, self.weight.size(1), 1), self.weight
        )


def comp_conv2d(layer, X):
    return einsum("bchw->hw", layer(X.view(1, 1, *X.shape)))


def corr2d_multi_in(X, K):
    return einsum("cijab,cab->ij", X.unfold(1, K.size(1), 1).unfold(2, K.size(2), 1), K)


def corr2d_multi_in_out(X, K):
    return einsum("cijab,ocab->oij", X.unfold(1, K.size(2), 1).unfold(2, K.size(3), 1), K)


def corr2d_multi_in_out_1x1(X, K):
    return einsum("oc,cij->oij", K.squeeze(-1).squeeze(-1), X)


def pool2d(X, pool_size, mode="max"):
    p_h, p_w = pool_size
    windows = X.unfold(0, p_h, 1).unfold(1, p_w, 1)
    if mode == "avg":
        return einsum("ijab->ij", windows) / (p_h * p_w)
    return windows.amax((-1, -2))


class Shortcut(nn.Module):
    def __init__(self, branch, around):
        super().__init__()
        self.branch, self.around = branch, around

    def forward(self, X):
        return self.branch(X) + self.around(X)


def dense(width):
    return [nn.LazyLinear(width), nn.ReLU(), nn.Dropout(0.5)]


def LeNet(num_classes=10):  # noqa: N802
    convolutions = [(6, 2), (16, 0)]
    layers = []
    for channels, padding in convolutions:
        layers += [nn.LazyConv2d(channels, 5, padding=padding), nn.Sigmoid(), nn.AvgPool2d(2)]
    layers.append(nn.Flatten())
    for width in (120, 84):
        layers += [nn.LazyLinear(width), nn.Sigmoid()]
    net = nn.Sequential(*layers, nn.LazyLinear(num_classes))
    net(torch.zeros(1, 1, 28, 28))
    net.apply(init_cnn)  # noqa: F821
    return net


def VGG(arch, num_classes=10):  # noqa: N802
    blocks = [vgg_block(n, c) for n, c in arch]  # noqa: F821
    return nn.Sequential(nn.Sequential(*blocks), nn.Flatten(), *dense(4096), *dense(4096), nn.LazyLinear(num_classes))


def Residual(num_channels, use_1x1conv=False, strides=1):  # noqa: N802
    branch = nn.Sequential(
        nn.LazyConv2d(num_channels, 3, stride=strides, padding=1),
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        nn.LazyConv2d(num_channels, 3, padding=1),
        nn.LazyBatchNorm2d(),
    )
    around = nn.LazyConv2d(num_channels, 1, stride=strides) if use_1x1conv else nn.Identity()
    return nn.Sequential(Shortcut(branch, around), nn.ReLU())


def stage(channels, number, halve=True):
    first = Residual(channels, use_1x1conv=True, strides=2) if halve else Residual(channels)
    return nn.Sequential(first, *[Residual(channels) for _ in range(number - 1)])


def ResNet18(num_classes=10):  # noqa: N802
    return nn.Sequential(
        nn.Sequential(nn.LazyConv2d(64, 7, 2, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
        *(stage(64, 2, halve=False), stage(128, 2), stage(256, 2), stage(512, 2)),
        nn.Sequential(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(num_classes)),
    )
