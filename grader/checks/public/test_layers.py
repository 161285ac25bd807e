"""Public checks of layers.py: what each function must do, on small inputs."""

import torch

from grader.checking import check


@check("conv2d", points=1)
def test_conv2d__values(agree, draw):
    """conv2d slides each kernel over the image without flipping it and sums the products."""
    x, weight = draw(1, 1, 6, 6), draw(1, 1, 3, 3)
    agree(lambda s: s.conv2d(x, weight))
    x, weight = draw(2, 3, 9, 7), draw(4, 3, 3, 3)
    agree(lambda s: s.conv2d(x, weight))


@check("conv2d", points=0.5, needs="values")
def test_conv2d__bias(agree, draw):
    """conv2d adds bias[o] to every pixel of output channel o."""
    x, weight, bias = draw(2, 2, 6, 5), draw(3, 2, 3, 3), draw(3)
    agree(lambda s: s.conv2d(x, weight, bias))


@check("conv2d", points=0.5, needs="values")
def test_conv2d__stride(agree, draw):
    """conv2d moves the kernel by `stride` pixels in both directions."""
    x, weight = draw(2, 2, 9, 8), draw(3, 2, 3, 3)
    agree(lambda s: s.conv2d(x, weight, stride=2))


@check("conv2d", points=0.5, needs="values")
def test_conv2d__padding(agree, draw):
    """conv2d adds `padding` rows and columns of zeros on all four sides."""
    x, weight = draw(2, 2, 6, 5), draw(3, 2, 3, 3)
    agree(lambda s: s.conv2d(x, weight, padding=1))


@check("conv2d", points=0.5, needs="bias")
def test_conv2d__gradients(agree, draw):
    """Gradients of conv2d reach x, weight and bias."""
    x, weight, bias = draw(2, 2, 6, 5), draw(3, 2, 3, 3), draw(3)
    agree(lambda s: s.probes.gradients(s.conv2d, x=x, weight=weight, bias=bias))


@check("max_pool2d", points=1)
def test_max_pool2d__values(agree, draw):
    """max_pool2d takes the largest value of each window; the windows lie side by side."""
    x = draw.distinct(2, 3, 6, 8)
    agree(lambda s: s.max_pool2d(x, 2))


@check("max_pool2d", points=0.5, needs="values")
def test_max_pool2d__negative_values(agree, draw):
    """max_pool2d of negative values is negative: nothing else takes part in the maximum."""
    x = draw.distinct(1, 2, 6, 6) - 2
    agree(lambda s: s.max_pool2d(x, 3))


@check("max_pool2d", points=0.5, needs="values")
def test_max_pool2d__gradients(agree, draw):
    """The gradient of max_pool2d goes to the largest value of each window and nowhere else."""
    x = draw.distinct(2, 2, 4, 6)
    agree(lambda s: s.probes.gradients(s.max_pool2d, x=x, kernel_size=2))


@check("linear", points=0.5)
def test_linear__values(agree, draw):
    """linear(x, weight, bias) is x times the transpose of weight, plus bias."""
    x, weight, bias = draw(4, 3), draw(5, 3), draw(5)
    agree(lambda s: s.linear(x, weight, bias))


@check("linear", points=0.5, needs="values")
def test_linear__gradients(agree, draw):
    """Gradients of linear reach x, weight and bias."""
    x, weight, bias = draw(4, 3), draw(5, 3), draw(5)
    agree(lambda s: s.probes.gradients(s.linear, x=x, weight=weight, bias=bias))


@check("relu", points=0.5)
def test_relu__values(agree, draw):
    """relu keeps positive values and turns negative ones to 0."""
    x = draw.away_from_zero(4, 5)
    agree(lambda s: s.relu(x))


@check("leaky_relu", points=0.5)
def test_leaky_relu__values(agree, draw):
    """leaky_relu keeps positive values and multiplies negative ones by negative_slope."""
    x = draw.away_from_zero(4, 5)
    agree(lambda s: s.leaky_relu(x))
    agree(lambda s: s.leaky_relu(x, negative_slope=0.3))


@check("elu", points=0.5)
def test_elu__values(agree, draw):
    """elu keeps positive values and gives alpha (e^x - 1) for negative ones."""
    x = draw.away_from_zero(4, 5)
    agree(lambda s: s.elu(x))
    agree(lambda s: s.elu(x, alpha=2.0))


@check("softmax", points=0.5)
def test_softmax__values(agree, draw):
    """softmax gives exp(x) over the sum of exp(x) along `dim`."""
    x = 3 * draw(4, 5)
    agree(lambda s: s.softmax(x))
    agree(lambda s: s.softmax(x, dim=0))


@check("softmax", points=0.5, needs="values")
def test_softmax__large_logits(agree, draw):
    """softmax stays finite and right for logits of 1e4 in size."""
    x = 1e4 + 3 * draw(3, 4).round(decimals=1)
    agree(lambda s: s.softmax(x), atol=1e-3)
    agree(lambda s: s.softmax(torch.tensor([[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4]])), atol=1e-3)


@check("cross_entropy", points=0.5)
def test_cross_entropy__values(agree, draw):
    """cross_entropy is the mean over the batch of -log(softmax(logits)[target])."""
    logits, target = 3 * draw(5, 4), draw.integers(0, 4, 5)
    agree(lambda s: s.cross_entropy(logits, target))


@check("cross_entropy", points=0.5, needs="values")
def test_cross_entropy__large_logits(agree):
    """cross_entropy stays finite and right for logits of 1e4 in size."""
    logits = torch.tensor([[1e4, 0.0, -1e4], [0.0, 1e4, 5e3], [-1e4, -1e4, -1e4]])
    target = torch.tensor([2, 1, 0])
    agree(lambda s: s.cross_entropy(logits, target), atol=1e-3)


@check("cross_entropy", points=0.5, needs="values")
def test_cross_entropy__gradients(agree, draw):
    """The gradient of cross_entropy is (softmax(logits) - onehot(target)) / N."""
    logits, target = 3 * draw(5, 4), draw.integers(0, 4, 5)
    agree(lambda s: s.probes.gradients(s.cross_entropy, logits=logits, target=target))
