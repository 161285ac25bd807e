"""Hidden checks of layers.py: more shapes, views, options and gradients, on seeds drawn for each student."""

import torch

from grader.checking import check


def _not_contiguous(x):
    """The same values with the last two dimensions swapped in memory."""
    return x.transpose(-1, -2).contiguous().transpose(-1, -2)


@check("conv2d", points=1, needs="values")
def test_conv2d__shapes(agree, draw):
    """conv2d works for images and kernels of any size, square or not, for one image and for many channels."""
    for x_shape, weight_shape in (
        ((1, 1, 5, 8), (1, 1, 2, 4)),  # a kernel that is wider than high
        ((2, 2, 9, 4), (3, 2, 5, 1)),
        ((1, 3, 6, 6), (2, 3, 1, 1)),
        ((3, 2, 4, 5), (2, 2, 4, 5)),  # the kernel is as large as the image
        ((1, 16, 7, 7), (12, 16, 3, 3)),
    ):
        x, weight, bias = draw(*x_shape), draw(*weight_shape), draw(weight_shape[0])
        agree(lambda s, x=x, weight=weight, bias=bias: s.conv2d(x, weight, bias))


@check("conv2d", points=0.5, needs="values")
def test_conv2d__stride_and_padding(agree, draw):
    """conv2d combines stride and padding, drops what does not fit, and takes arguments by position and by name."""
    x, weight, bias = draw(2, 2, 11, 9), draw(3, 2, 3, 4), draw(3)
    agree(lambda s: s.conv2d(x, weight, bias, 2, 1))
    agree(lambda s: s.conv2d(x, weight, None, 3))
    agree(lambda s: s.conv2d(x=x, weight=weight, bias=bias, stride=3, padding=2))
    agree(lambda s: s.conv2d(x, weight, padding=3, stride=1))


@check("conv2d", points=0.5, needs="values")
def test_conv2d__views(agree, draw):
    """conv2d takes tensors that are not contiguous and leaves its inputs as they were."""
    x, weight, bias = _not_contiguous(draw(2, 3, 7, 6)), _not_contiguous(draw(4, 3, 3, 2)), draw(4)
    agree(lambda s: s.conv2d(x, weight, bias))

    def experiment(s):
        _, (x_after, weight_after, bias_after) = s.probes.with_inputs(s.conv2d, x, weight, bias)
        return {"x afterwards": x_after, "weight afterwards": weight_after, "bias afterwards": bias_after}

    agree(experiment)


@check("conv2d", points=1, needs="values")
def test_conv2d__gradients_with_options(agree, draw):
    """Gradients of conv2d are right with stride and padding, with and without a bias."""
    x, weight, bias = draw(2, 3, 8, 7), draw(4, 3, 3, 2), draw(4)
    agree(lambda s: s.probes.gradients(s.conv2d, x=x, weight=weight, bias=bias, stride=2, padding=1))
    agree(lambda s: s.probes.gradients(s.conv2d, x=x, weight=weight, stride=3))


@check("max_pool2d", points=1, needs="values")
def test_max_pool2d__windows(agree, draw):
    """max_pool2d drops a last partial window, and windows may overlap or leave gaps."""
    x = draw.distinct(2, 3, 9, 7)
    agree(lambda s: s.max_pool2d(x, 2))
    agree(lambda s: s.max_pool2d(x, 4))
    agree(lambda s: s.max_pool2d(x, 3, 2))
    agree(lambda s: s.max_pool2d(x, kernel_size=2, stride=1))
    agree(lambda s: s.max_pool2d(x, kernel_size=2, stride=3))
    agree(lambda s: s.max_pool2d(x, 1))


@check("max_pool2d", points=0.5, needs="values")
def test_max_pool2d__views(agree, draw):
    """max_pool2d takes negative values, one image, many channels and views, and leaves its input as it was."""
    x = _not_contiguous(draw.distinct(1, 12, 6, 5) - 3)
    agree(lambda s: s.max_pool2d(x, 2))

    def experiment(s):
        _, (after, _) = s.probes.with_inputs(s.max_pool2d, x, 2)
        return {"x afterwards": after}

    agree(experiment)


@check("max_pool2d", points=0.5, needs="values")
def test_max_pool2d__gradients_overlap(agree, draw):
    """Where windows of max_pool2d overlap, the gradients of all of them add up."""
    x = draw.distinct(2, 2, 7, 6)
    agree(lambda s: s.probes.gradients(s.max_pool2d, x=x, kernel_size=3, stride=2))
    agree(lambda s: s.probes.gradients(s.max_pool2d, x=x, kernel_size=2, stride=1))


@check("linear", points=0.5, needs="values")
def test_linear__shapes(agree, draw):
    """linear takes any number of leading dimensions, views, and no bias."""
    weight, bias = draw(4, 6), draw(4)
    for shape in ((6,), (1, 6), (2, 3, 6), (2, 1, 3, 6)):
        x = draw(*shape)
        agree(lambda s, x=x: s.linear(x, weight, bias))
    x, other = draw(6, 5).T, draw(6, 6).T
    agree(lambda s: s.linear(x, other))
    agree(lambda s: s.linear(x=x, weight=weight, bias=None))


@check("linear", points=0.5, needs="values")
def test_linear__gradients_shapes(agree, draw):
    """Gradients of linear are right for more dimensions and without a bias."""
    x, weight, bias = draw(2, 3, 6), draw(4, 6), draw(4)
    agree(lambda s: s.probes.gradients(s.linear, x=x, weight=weight, bias=bias))
    agree(lambda s: s.probes.gradients(s.linear, x=x, weight=weight))


@check("relu", points=0.5, needs="values")
def test_relu__gradients(agree, draw):
    """relu works for any shape, passes the gradient where x > 0 only, and leaves its input as it was."""
    for shape in ((), (7,), (2, 3, 4, 5)):
        x = 4 * draw.away_from_zero(*shape)
        agree(lambda s, x=x: s.relu(x))
    agree(lambda s: s.probes.gradients(s.relu, x=x))
    agree(lambda s: {"x afterwards": s.probes.with_inputs(s.relu, x)[1][0]})


@check("leaky_relu", points=0.5, needs="values")
def test_leaky_relu__slopes(agree, draw):
    """leaky_relu holds for any slope, above 1 and below 0 too, in value and gradient."""
    x = draw.away_from_zero(2, 3, 4)
    for slope in (0.0, 0.2, 1.0, 1.7, -0.5):
        agree(lambda s, slope=slope: s.leaky_relu(x, slope))
        agree(lambda s, slope=slope: s.probes.gradients(s.leaky_relu, x=x, negative_slope=slope))
    agree(lambda s: {"x afterwards": s.probes.with_inputs(s.leaky_relu, x)[1][0]})


@check("elu", points=0.5, needs="values")
def test_elu__large(agree, draw):
    """elu has finite values and gradients for large x, and right gradients for any alpha."""
    x = torch.cat([draw.away_from_zero(8), torch.tensor([50.0, 120.0, 1e4, -50.0, -1e4])])
    for alpha in (1.0, 0.5):
        agree(lambda s, alpha=alpha: s.elu(x, alpha))
        agree(lambda s, alpha=alpha: s.probes.gradients(s.elu, x=x, alpha=alpha))
    agree(lambda s: {"x afterwards": s.probes.with_inputs(s.elu, x)[1][0]})


@check("softmax", points=0.5, needs="values")
def test_softmax__dimensions(agree, draw):
    """softmax works along any dimension of any shape."""
    x = 3 * draw(2, 3, 4)
    for dim in (0, 1, 2, -1, -2):
        agree(lambda s, dim=dim: s.softmax(x, dim))
    agree(lambda s: s.softmax(x[0, 0]))
    agree(lambda s: {"x afterwards": s.probes.with_inputs(s.softmax, x)[1][0]})


@check("softmax", points=0.5, needs="values")
def test_softmax__gradients(agree, draw):
    """Gradients of softmax are right, and finite for logits of 1e4."""
    x = 3 * draw(3, 5)
    agree(lambda s: s.probes.gradients(s.softmax, x=x))
    agree(lambda s: s.probes.gradients(s.softmax, x=x, dim=0))
    large = 1e4 * draw(3, 4).sign() + x[:, :4].round()
    agree(lambda s: s.probes.gradients(s.softmax, x=large), atol=1e-3)
    agree(lambda s: s.softmax(large), atol=1e-3)


@check("cross_entropy", points=0.5, needs="values")
def test_cross_entropy__shapes(agree, draw):
    """cross_entropy works for one sample, for many classes, and for logits that are not contiguous."""
    for samples, classes in ((1, 3), (7, 10), (4, 50)):
        logits, target = 4 * draw(samples, classes), draw.integers(0, classes, samples)
        agree(lambda s, logits=logits, target=target: s.cross_entropy(logits, target))
    logits, target = 4 * draw(6, 5).T, draw.integers(0, 6, 5)
    agree(lambda s: s.cross_entropy(logits=logits, target=target))
    agree(lambda s: {"logits afterwards": s.probes.with_inputs(s.cross_entropy, logits, target)[1][0]})


@check("cross_entropy", points=0.5, needs="values")
def test_cross_entropy__stable(agree, draw):
    """cross_entropy has right values and finite gradients for logits of 1e4 in size."""
    logits = 1e4 * draw.integers(-1, 2, 6, 4) + 3 * draw(6, 4).round(decimals=1)
    target = draw.integers(0, 4, 6)
    agree(lambda s: s.cross_entropy(logits, target), atol=1e-3)
    agree(lambda s: s.probes.gradients(s.cross_entropy, logits=logits, target=target), atol=1e-3)


@check("cross_entropy", points=0.5, needs="values")
def test_cross_entropy__gradients_shapes(agree, draw):
    """The gradient of cross_entropy is (softmax(logits) - onehot(target)) / N for any N and number of classes."""
    for samples, classes in ((1, 4), (8, 3)):
        logits, target = 3 * draw(samples, classes), draw.integers(0, classes, samples)
        agree(
            lambda s, logits=logits, target=target: s.probes.gradients(
                s.cross_entropy, logits=logits, target=target
            )
        )
