"""Public checks of lenet.py."""

from grader.checking import check
from grader.checks.experiments import lenet_logits, lenet_weights


@check("LeNet5", points=2)
def test_LeNet5__parameters(agree):
    """LeNet5(1, 28) has conv1, conv2, fc1, fc2 and fc3 with weights and biases of the table's shapes."""
    agree(lambda s: s.probes.shapes(s.LeNet5(in_channels=1, image_size=28, num_classes=10)))


@check("LeNet5", points=2, needs="parameters")
def test_LeNet5__logits(agree, draw):
    """LeNet5 with given weights gives the logits of the table's network: no softmax at the end."""
    weights, x = lenet_weights(draw), draw.images(3, 1, 28, 28)
    agree(lenet_logits(weights, (x, False)))
