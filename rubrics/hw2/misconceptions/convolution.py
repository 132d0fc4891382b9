"""What goes wrong with the cross-correlation operation and its layer: d2l.ai section 7.2."""

from torch import Tensor
from torch.nn import functional as F

from grader.testing import misconception

CORR2D = ("corr2d.values", "conv2d_layer", "edge_detection", "learned_kernel", "corr2d_multi_in", "corr2d_multi_in_out")


@misconception(
    "corr2d",
    breaks=CORR2D,
    says="this is true convolution: the kernel is flipped in both directions",
    look="the book's corr2d slides the kernel as it is",
)
def flipped_kernel(X: Tensor, K: Tensor) -> Tensor:
    return F.conv2d(X[None, None], K.flip(0, 1)[None, None])[0, 0]
