"""The course's model answers, one module for each section of the book: written to be read, not for speed."""

from reference.channels import corr2d_multi_in, corr2d_multi_in_out, corr2d_multi_in_out_1x1
from reference.convolution import Conv2D, corr2d, edge_image, edge_kernel, learn_kernel
from reference.lenet import LeNet, init_cnn
from reference.padding_and_stride import comp_conv2d, output_shape
from reference.pooling import pool2d
from reference.resnet import Residual, ResNet18
from reference.vgg import VGG, vgg_block

__all__ = [
    "VGG",
    "Conv2D",
    "LeNet",
    "ResNet18",
    "Residual",
    "comp_conv2d",
    "corr2d",
    "corr2d_multi_in",
    "corr2d_multi_in_out",
    "corr2d_multi_in_out_1x1",
    "edge_image",
    "edge_kernel",
    "init_cnn",
    "learn_kernel",
    "output_shape",
    "pool2d",
    "vgg_block",
]
