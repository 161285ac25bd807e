"""LeNet-5, the convolutional network of LeCun, Bottou, Bengio and Haffner (1998), with ReLU and max pooling."""

from torch import Tensor, nn


class LeNet5(nn.Module):
    """Two convolutions and three fully connected layers, from images to logits.

        conv 5x5 (6) - ReLU - max pool 2 - conv 5x5 (16) - ReLU - max pool 2
        - flatten - fc 120 - ReLU - fc 84 - ReLU - fc num_classes

    Convolutions have stride 1 and no padding. The output is logits: no softmax at the end. The
    layers with parameters are called `conv1`, `conv2`, `fc1`, `fc2` and `fc3`, so that a state dict
    loads by name; build them from the given modules of `layers.py` or from `torch.nn`.

    in_channels: 1 for grey images, 3 for colour; image_size: height and width in pixels;
    num_classes: number of logits. `LeNet5(1, 28)` has 44,426 parameters, `LeNet5(3, 32)` 62,006.
    """

    def __init__(self, in_channels: int = 1, image_size: int = 28, num_classes: int = 10):
        super().__init__()
        # YOUR CODE HERE
        raise NotImplementedError()

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, num_classes)` of images `(N, in_channels, image_size, image_size)`."""
        # YOUR CODE HERE
        raise NotImplementedError()
