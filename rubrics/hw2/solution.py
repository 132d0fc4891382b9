"""Statements of the model solution's notebook after the reference's definitions: d2l.ai sections 7.2.3 and 7.2.4."""

from reference import corr2d, edge_image, edge_kernel, learn_kernel

X, K = edge_image(), edge_kernel()
Y = corr2d(X, K)
turned = corr2d(X.T, K)
learned = learn_kernel(X, Y)
