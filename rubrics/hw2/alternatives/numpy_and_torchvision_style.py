"""NumPy inside: some functions give arrays back, others turn them into tensors again.

As torchvision writes these models: no bias before a normalisation, and one in the shortcut, too.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def corr2d(X, K):
    X, K = np.asarray(X), np.asarray(K)
    h, w = K.shape
    Y = np.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = np.sum(X[i : i + h, j : j + w] * K)
    return Y


class Conv2D(nn.Module):
    # NumPy has no gradients: the layer itself uses torch.
    def __init__(self, kernel_size):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernel_size))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return F.conv2d(x[None, None], self.weight[None, None], self.bias)[0, 0]


def edge_image():
    X = np.ones((6, 8))
    X[:, 2:6] = 0.0
    return X


def edge_kernel():
    return np.array([[1.0, -1.0]])


def learn_kernel(X, Y):
    X = torch.tensor(X, dtype=torch.float32).reshape(1, 1, 6, 8)
    Y = torch.tensor(Y, dtype=torch.float32).reshape(1, 1, 6, 7)
    conv2d = nn.Conv2d(1, 1, kernel_size=(1, 2), bias=False)
    for _ in range(10):
        loss = ((conv2d(X) - Y) ** 2).sum()
        conv2d.zero_grad()
        loss.backward()
        with torch.no_grad():
            conv2d.weight -= 3e-2 * conv2d.weight.grad
    return conv2d


def comp_conv2d(conv2d, X):
    return conv2d(torch.as_tensor(np.asarray(X)[np.newaxis, np.newaxis])).detach().numpy()[0, 0]


def corr2d_multi_in(X, K):
    return sum(corr2d(x, k) for x, k in zip(X, K, strict=True))


def corr2d_multi_in_out(X, K):
    return torch.from_numpy(np.stack([corr2d_multi_in(X, k) for k in K])).float()


def corr2d_multi_in_out_1x1(X, K):
    X, K = X.numpy(), K.numpy()
    c, h, w = X.shape
    return torch.from_numpy(np.dot(K.reshape(-1, c), X.reshape(c, -1)).reshape(-1, h, w))


def pool2d(X, pool_size, mode="max"):
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(X), pool_size)
    return {"max": np.max, "avg": np.mean}[mode](windows, axis=(2, 3))


def conv3x3(c_i, c_o, stride=1):
    return nn.Conv2d(c_i, c_o, kernel_size=3, stride=stride, padding=1, bias=False)


def vgg_block(num_convs, in_channels, out_channels):
    layers = []
    for number in range(num_convs):
        conv = nn.Conv2d(in_channels if number == 0 else out_channels, out_channels, kernel_size=3, padding=1)
        layers += [conv, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.MaxPool2d(kernel_size=2, stride=2))


class VGG(nn.Module):
    def __init__(self, cfg, in_channels=1, num_classes=10, dropout=0.5):
        super().__init__()
        blocks = []
        for num_convs, out_channels in cfg:
            blocks.append(vgg_block(num_convs, in_channels, out_channels))
            in_channels = out_channels
        self.features = nn.Sequential(*blocks)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                nn.init.constant_(m.bias, 0)
            elif isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, 0, 0.01)
                nn.init.constant_(m.bias, 0)

    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.classifier(torch.flatten(x, 1))


class Residual(nn.Module):
    def __init__(self, inplanes, planes, stride=1, downsample=None):
        super().__init__()
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        if downsample is None and (stride != 1 or inplanes != planes):
            downsample = True
        self.downsample = None
        if downsample:
            self.downsample = nn.Sequential(
                nn.Conv2d(inplanes, planes, kernel_size=1, stride=stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet18(nn.Module):
    def __init__(self, layers=(2, 2, 2, 2), num_classes=10):
        super().__init__()
        self.inplanes = 64
        self.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self.make_layer(64, layers[0])
        self.layer2 = self.make_layer(128, layers[1], stride=2)
        self.layer3 = self.make_layer(256, layers[2], stride=2)
        self.layer4 = self.make_layer(512, layers[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512, num_classes)

    def make_layer(self, planes, blocks, stride=1):
        layers = [Residual(self.inplanes, planes, stride)]
        self.inplanes = planes
        return nn.Sequential(*layers, *[Residual(planes, planes) for _ in range(1, blocks)])

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))
