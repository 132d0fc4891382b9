"""More parameters than the book's, all of them with defaults that do what the book does."""

import torch
from torch import nn
from torch.nn import functional as F


def corr2d(X, K, stride=1, padding=0, verbose=False):
    Y = F.conv2d(X[None, None], K[None, None], stride=stride, padding=padding)[0, 0]
    if verbose:
        print(Y)  # noqa: T201
    return Y


class Conv2D(nn.Module):
    def __init__(self, kernel_size, std=1.0, *, bias=True):
        super().__init__()
        self.weight = nn.Parameter(std * torch.randn(kernel_size))
        self.bias = nn.Parameter(torch.zeros(1)) if bias else None

    def forward(self, x):
        Y = corr2d(x, self.weight)
        return Y if self.bias is None else Y + self.bias


def comp_conv2d(conv2d, X, show=False, **kwargs):
    Y = conv2d(X.reshape((1, 1, *X.shape)))
    if show:
        print(tuple(Y.shape))  # noqa: T201
    return Y.reshape(Y.shape[2:])


def corr2d_multi_in(X, K, dim=0):
    return torch.stack([corr2d(x, k) for x, k in zip(X, K, strict=True)]).sum(dim)


def corr2d_multi_in_out(X, K, dim=0):
    return torch.stack([corr2d_multi_in(X, k) for k in K], dim)


def corr2d_multi_in_out_1x1(X, K, bias=None):
    Y = torch.matmul(K.reshape(K.shape[0], -1), X.reshape(X.shape[0], -1)).reshape(-1, *X.shape[1:])
    return Y if bias is None else Y + bias.reshape(-1, 1, 1)


def pool2d(X, pool_size=(2, 2), mode="max", stride=1, padding=0):
    pool = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}[mode](pool_size, stride=stride, padding=padding)
    return pool(X[None]).squeeze(0)


def init_cnn(module, gain=1.0, bias=None):
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        nn.init.xavier_uniform_(module.weight, gain=gain)
        if bias is not None:
            nn.init.constant_(module.bias, bias)


class LeNet(nn.Module):
    def __init__(self, num_classes=10, activation=nn.Sigmoid, pool=nn.AvgPool2d, dropout=0.0, lr=0.1, debug=False):
        super().__init__()
        self.debug = debug
        self.net = nn.Sequential(
            *(nn.LazyConv2d(6, 5, padding=2), activation(), pool(2), nn.LazyConv2d(16, 5), activation(), pool(2)),
            *(nn.Flatten(), nn.LazyLinear(120), activation(), nn.Dropout(dropout)),
            *(nn.LazyLinear(84), activation(), nn.Dropout(dropout), nn.LazyLinear(num_classes)),
        )

    def forward(self, X):
        for layer in self.net:
            X = layer(X)
            if self.debug:
                print(type(layer).__name__, X.shape)  # noqa: T201
        return X


def vgg_block(num_convs, out_channels, kernel_size=3, activation=nn.ReLU, batch_norm=False):
    layers = []
    for _ in range(num_convs):
        layers.append(nn.LazyConv2d(out_channels, kernel_size, padding=kernel_size // 2))
        if batch_norm:
            layers.append(nn.LazyBatchNorm2d())
        layers.append(activation())
    return nn.Sequential(*layers, nn.MaxPool2d(2, 2))


class VGG(nn.Module):
    def __init__(self, arch=((1, 64), (1, 128)), lr=0.1, num_classes=10, hidden=4096, dropout=0.5):
        super().__init__()
        self.lr = lr
        self.net = nn.Sequential(
            *[vgg_block(num_convs, out_channels) for num_convs, out_channels in arch],
            *(nn.Flatten(), nn.LazyLinear(hidden), nn.ReLU(), nn.Dropout(dropout)),
            *(nn.LazyLinear(hidden), nn.ReLU(), nn.Dropout(dropout), nn.LazyLinear(num_classes)),
        )

    def forward(self, X):
        return self.net(X)


class Residual(nn.Module):
    def __init__(self, num_channels, use_1x1conv=False, strides=1, activation=F.relu, eps=1e-5, momentum=0.1):
        super().__init__()
        self.activation = activation
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1 = nn.LazyBatchNorm2d(eps=eps, momentum=momentum)
        self.bn2 = nn.LazyBatchNorm2d(eps=eps, momentum=momentum)

    def forward(self, X, scale=1.0):
        Y = self.activation(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return self.activation(scale * Y + (self.conv3(X) if self.conv3 else X))


class ResNet18(nn.Module):
    def __init__(self, num_classes=10, lr=0.05, widths=(64, 128, 256, 512), blocks=(2, 2, 2, 2), dropout=0.0):
        super().__init__()
        self.net = nn.Sequential(
            *(nn.LazyConv2d(widths[0], 7, stride=2, padding=3), nn.LazyBatchNorm2d(), nn.ReLU()),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        for i, (width, number) in enumerate(zip(widths, blocks, strict=True)):
            for j in range(number):
                self.net.append(Residual(width, use_1x1conv=i > 0 and j == 0, strides=1 + (i > 0 and j == 0)))
        self.net.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.LazyLinear(num_classes)])

    def forward(self, X):
        return self.net(X)
