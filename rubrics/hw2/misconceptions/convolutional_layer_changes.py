"""More mistakes with the convolutional layer, each a small change of it: d2l.ai section 7.2.2."""

from grader.testing import alter
from reference import Conv2D

LAYER = ("conv2d_layer",)
RESULT = "corr2d(X, self.weight) + self.bias"

bias_multiplied = alter(
    Conv2D,
    {" + self.bias": " * self.bias"},
    breaks=LAYER,
    says="the layer multiplies its output by its bias",
    look="the bias is added to every entry of the output",
)

bias_added_to_the_weight = alter(
    Conv2D,
    {RESULT: "corr2d(X, self.weight + self.bias)"},
    breaks=LAYER,
    says="the layer adds its bias to the weight",
    look="it is added to the output, after the cross-correlation",
)

bias_added_twice = alter(
    Conv2D,
    {" + self.bias": " + self.bias + self.bias"},
    breaks=LAYER,
    says="the layer adds its bias twice",
    look="it is added once, to every entry of the output",
)

layer_arguments_confused = alter(
    Conv2D,
    {"corr2d(X, self.weight)": "corr2d(self.weight, X)"},
    breaks=LAYER,
    says="the layer hands its weight to corr2d as the image, and the image as the kernel",
    look="corr2d takes the image first, then the kernel",
)

layer_multiplies_entry_by_entry = alter(
    Conv2D,
    {"corr2d(X, self.weight)": "X * self.weight"},
    breaks=LAYER,
    says="the layer multiplies the image by its weight entry by entry",
    look="forward has to call corr2d",
)

layer_takes_the_matrix_product = alter(
    Conv2D,
    {"corr2d(X, self.weight)": "X @ self.weight"},
    breaks=LAYER,
    says="the layer takes the matrix product of the image and its weight",
    look="forward has to call corr2d",
)

layer_with_relu = alter(
    Conv2D,
    {"return corr2d(X, self.weight) + self.bias": "return torch.relu(corr2d(X, self.weight) + self.bias)"},
    breaks=LAYER,
    says="the layer has 0 in place of negative results",
    look="a convolutional layer is linear: an activation function is a layer of its own",
)

weight_transposed = alter(
    Conv2D,
    {"self.weight) +": "self.weight.T) +"},
    breaks=LAYER,
    says="the layer transposes its weight before it uses it",
    look="corr2d takes the weight as it is",
)

weight_height_and_width_swapped = alter(
    Conv2D,
    {"torch.rand(kernel_size)": "torch.rand(kernel_size[1], kernel_size[0])"},
    breaks=LAYER,
    says="the layer's weight has its height and width swapped",
    look="kernel_size is the shape of the weight, the height first",
)

kernel_size_taken_for_a_number = alter(
    Conv2D,
    {"torch.rand(kernel_size)": "torch.rand(kernel_size, kernel_size)"},
    breaks=LAYER,
    says="the layer takes kernel_size for one number",
    look="it is a pair, the height and the width: the shape of the weight",
)

forward_misspelt = alter(
    Conv2D,
    {"def forward": "def forwards"},
    breaks=LAYER,
    says="the layer has no method called forward",
    look="nn.Module calls the method of exactly this name: check its spelling and indentation",
)

init_misspelt = alter(
    Conv2D,
    {"def __init__": "def _init_"},
    breaks=LAYER,
    says="the layer's constructor takes no argument",
    look="it is called __init__, with two underscores on each side",
)
