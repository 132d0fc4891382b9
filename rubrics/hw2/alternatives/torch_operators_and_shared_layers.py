"""torch's own convolution and pooling for everything, 1x1 kernels and averages by convolution among it.

Layers without parameters are made once and used many times, in place where that is possible.
"""

import torch
from torch import nn
from torch.nn import functional as F


def corr2d(X, K):
    dtype = torch.promote_types(X.dtype, K.dtype)
    return torch.conv2d(X.to(dtype)[None, None], K.to(dtype)[None, None]).squeeze(0).squeeze(0)


class Conv2D(nn.Module):
    def __init__(self, kernel_size):
        super().__init__()
        layer = nn.Conv2d(1, 1, kernel_size)
        self.weight = nn.Parameter(layer.weight.detach()[0, 0].clone())
        self.bias = nn.Parameter(layer.bias.detach().clone())

    def forward(self, x):
        return corr2d(x, self.weight) + self.bias


def corr2d_multi_in(X, K):
    return F.conv2d(X.unsqueeze(0), K.unsqueeze(0))[0, 0]


def corr2d_multi_in_out(X, K):
    return F.conv2d(X.unsqueeze(0), K)[0]


def corr2d_multi_in_out_1x1(X, K):
    conv = nn.Conv2d(K.shape[1], K.shape[0], kernel_size=1, bias=False)
    conv.weight.data = K
    return conv(X.unsqueeze(0)).squeeze(0)


def pool2d(X, pool_size, mode="max"):
    if mode == "max":
        return F.max_pool2d(X.unsqueeze(0), pool_size, stride=1).squeeze(0)
    return corr2d(X, torch.full(pool_size, 1 / (pool_size[0] * pool_size[1]), dtype=X.dtype))


def edge_image():
    return F.pad(torch.zeros(6, 4), (2, 2), value=1.0)


def edge_kernel():
    return torch.FloatTensor([1, -1]).reshape(1, 2)


def learn_kernel(X, Y):
    conv2d = nn.Conv2d(1, 1, (1, 2))  # its bias is learned, too
    optimizer = torch.optim.Adam(conv2d.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        loss = F.mse_loss(conv2d(X[None, None]), Y[None, None])
        loss.backward()
        optimizer.step()
    return conv2d


class LeNet(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.pad = nn.ZeroPad2d(2)
        self.conv1 = nn.Conv2d(1, 6, kernel_size=5)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.pool = nn.AvgPool2d(2)
        self.act = nn.Sigmoid()
        self.hidden = nn.ModuleList([nn.Linear(16 * 25, 120), nn.Linear(120, 84)])
        self.output = nn.Linear(84, num_classes)

    def forward(self, X):
        X = self.pool(self.act(self.conv1(self.pad(X))))
        X = self.pool(self.act(self.conv2(X)))
        X = X.flatten(1)
        for layer in self.hidden:
            X = self.act(layer(X))
        return F.log_softmax(self.output(X), dim=-1)


def vgg_block(num_convs, out_channels):
    relu = nn.ReLU(inplace=True)
    layers = []
    for _ in range(num_convs):
        layers.extend((nn.LazyConv2d(out_channels, 3, padding=1, padding_mode="zeros"), relu))
    return nn.Sequential(*layers, nn.AdaptiveMaxPool2d((None, None)), nn.MaxPool2d(2))


class VGG(nn.Module):
    def __init__(self, arch, num_classes=10):
        super().__init__()
        self.blocks = nn.ModuleList(vgg_block(*entry) for entry in arch)
        self.act, self.drop = nn.ReLU(inplace=True), nn.Dropout(0.5)
        # Fully connected layers as convolutions: the first over the whole map, the others over a single pixel.
        self.fc1, self.fc2 = nn.LazyConv2d(4096, 7), nn.LazyConv2d(4096, 1)
        self.fc3 = nn.LazyConv2d(num_classes, 1)

    def forward(self, X):
        for block in self.blocks:
            X = block(X)
        X = self.drop(self.act(self.fc1(X)))
        X = self.drop(self.act(self.fc2(X)))
        return self.fc3(X).squeeze((-1, -2))


class Residual(nn.Module):
    def __init__(self, num_channels, use_1x1conv=False, strides=1):
        super().__init__()
        self.shortcut = nn.Sequential()
        if use_1x1conv:
            self.shortcut.append(nn.LazyConv2d(num_channels, 1, stride=strides))
        self.conv1 = nn.LazyConv2d(num_channels, 3, stride=strides, padding=1)
        self.bn1 = nn.LazyBatchNorm2d()
        self.conv2 = nn.LazyConv2d(num_channels, 3, padding=1)
        self.bn2 = nn.LazyBatchNorm2d()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, X):
        identity = self.shortcut(X)  # first of all
        Y = self.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return F.relu_(Y.add_(identity))


class ResNet18(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.LazyConv2d(64, 7, stride=2, padding=3), nn.LazyBatchNorm2d())
        self.relu, self.pool = nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2, padding=1)
        self.stages = nn.ModuleList([nn.ModuleList([Residual(64), Residual(64)])])
        for channels in (128, 256, 512):
            self.stages.append(nn.ModuleList([Residual(channels, True, 2), Residual(channels)]))
        self.fc = nn.LazyLinear(num_classes)

    def forward(self, X):
        X = self.pool(self.relu(self.stem(X)))
        for stage in self.stages:
            for block in stage:
                X = block(X)
        X = torch.flatten(F.adaptive_avg_pool2d(X, (1, 1)), start_dim=1)
        return self.fc(X).log_softmax(dim=-1)
