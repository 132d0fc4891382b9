"""Integers in, integers out: the image and the kernel of the edges are whole numbers, too.

Signatures of older editions and of a student's own: input channels in the middle, strides before the switch.
"""

import torch
from torch import nn
from torch.nn import functional as F


def corr2d(X, K):
    h, w = K.shape
    Y = torch.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1), dtype=torch.promote_types(X.dtype, K.dtype))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


def edge_image():
    return torch.tensor([[1, 1, 0, 0, 0, 0, 1, 1]] * 6)


def edge_kernel():
    return torch.tensor([[1, -1]])


def learn_kernel(X, Y):
    layer = nn.Conv2d(1, 1, (1, 2), bias=False)
    X, Y = X.float().view(1, 1, 6, 8), Y.float().view(1, 1, 6, 7)
    for _ in range(15):
        loss = (layer(X) - Y).pow(2).sum()
        layer.zero_grad()
        loss.backward()
        layer.weight.data -= 0.03 * layer.weight.grad
    return layer


def corr2d_multi_in(X, K):
    Y = corr2d(X[0], K[0])
    for x, k in zip(X[1:], K[1:], strict=True):
        Y += corr2d(x, k)
    return Y


def corr2d_multi_in_out_1x1(X, K):
    return (K * X).sum(dim=1)  # (c_o, c_i, 1, 1) * (c_i, h, w)


def pool2d(X, pool_size, mode="max"):
    h, w = pool_size
    Y = torch.zeros_like(X[h - 1 :, w - 1 :])
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            window = X[i : i + h, j : j + w]
            Y[i, j] = window.max() if mode == "max" else window.sum() / window.numel()
    return Y


class LeNet(nn.Module):
    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.net = nn.Sequential(
            *(nn.Conv2d(in_channels, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2, 2)),
            *(nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2, 2), nn.Flatten()),
            *(nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, num_classes)),
        )

    def forward(self, X):
        return self.net(X)


def vgg_block(num_convs, in_channels, out_channels):
    layers = []
    for _ in range(num_convs):
        layers.append(nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1))
        layers.append(nn.ReLU())
        in_channels = out_channels
    layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return nn.Sequential(*layers)


class VGG(nn.Module):
    def __init__(self, conv_arch):
        super().__init__()
        blocks = [vgg_block(num_convs, c_i, c_o) for num_convs, c_i, c_o in conv_arch]
        self.net = nn.Sequential(
            *(*blocks, nn.Flatten()),
            *(nn.Linear(conv_arch[-1][-1] * 7 * 7, 4096), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, 10)),
        )

    def forward(self, X):
        return self.net(X)


class Residual(nn.Module):
    """The shortcut gets a convolution if it needs one, without an argument that asks for it."""

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, stride=stride)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.bn1, self.bn2 = nn.BatchNorm2d(out_channels), nn.BatchNorm2d(out_channels)
        self.conv3 = None
        if stride != 1 or in_channels != out_channels:
            self.conv3 = nn.Conv2d(in_channels, out_channels, 1, stride=stride)

    def forward(self, X):
        Y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(X)))))
        return F.relu(Y + (self.conv3(X) if self.conv3 is not None else X))


class ResNet18(nn.Module):
    def __init__(self, num_classes, in_channels):
        super().__init__()
        self.net = nn.Sequential(
            *(nn.Conv2d(in_channels, 64, 7, stride=2, padding=3), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.MaxPool2d(3, stride=2, padding=1), Residual(64, 64), Residual(64, 64)),
            *(Residual(64, 128, stride=2), Residual(128, 128)),
            *(Residual(128, 256, stride=2), Residual(256, 256)),
            *(Residual(256, 512, stride=2), Residual(512, 512)),
            *(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(512, num_classes)),
        )

    def forward(self, X):
        return self.net(X)
