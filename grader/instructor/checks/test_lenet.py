"""Hidden checks of lenet.py."""

from grader.checking import check
from grader.checks.experiments import lenet_logits, lenet_weights


@check("LeNet5", points=1.5, needs="logits")
def test_LeNet5__colour(agree, draw):
    """LeNet5(3, 32) is the network for CIFAR-10: its parameters and its logits, for one image, too."""
    weights, x = lenet_weights(draw, 3, 32), draw.images(2, 3, 32, 32)
    agree(lambda s: s.probes.shapes(s.LeNet5(in_channels=3, image_size=32)))
    agree(lenet_logits(weights, (x, False), (x[:1], False), in_channels=3, image_size=32))


@check("LeNet5", points=1, needs="parameters")
def test_LeNet5__sizes(agree, draw):
    """LeNet5 fits its layers to any in_channels, image_size and num_classes, by position and by name."""
    agree(lambda s: s.probes.shapes(s.LeNet5()))
    agree(lambda s: s.probes.shapes(s.LeNet5(2, 20, 7)))
    weights, x = lenet_weights(draw, 2, 21, 3), draw.images(2, 2, 21, 21)  # the first pooling drops a row
    agree(lenet_logits(weights, (x, False), in_channels=2, image_size=21, num_classes=3))


@check("LeNet5", points=0.5, needs="logits")
def test_LeNet5__modes(agree, draw):
    """LeNet5 gives the same logits in training and in evaluation mode: no dropout, no other layers."""
    weights, x = lenet_weights(draw), draw.images(2, 1, 28, 28)
    agree(lenet_logits(weights, (x, True), (x, False)))


@check("LeNet5", points=1, needs="logits")
def test_LeNet5__gradients(agree, draw):
    """A backward pass through LeNet5 gives every parameter its gradient."""
    weights, x = lenet_weights(draw), draw.images(2, 1, 28, 28)
    gradient = draw(2, 10)
    agree(lambda s: s.probes.network_gradients(s.LeNet5, weights, x, gradient), atol=1e-4)
