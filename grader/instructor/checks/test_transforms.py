"""Hidden checks of transforms.py."""

import torch

from grader.checking import check
from grader.checks.experiments import in_order, numbered_images, paired


@check("Invert", points=1, needs="values")
def test_Invert__shapes(agree, draw):
    """Invert takes images of any shape, views among them, and includes 0 and 1."""
    for shape in ((28, 28), (3, 8, 5), (2, 3, 4, 4), (1, 1, 1)):
        image = draw.images(*shape)
        agree(lambda s, image=image: s.Invert()(image))
    edges, view = torch.tensor([[[0.0, 1.0, 0.5]]]), draw.images(3, 6, 5).transpose(1, 2)
    agree(lambda s: s.Invert()(edges))
    agree(lambda s: s.Invert()(view))


@check("Invert", points=0.5, needs="values")
def test_Invert__compose(agree, draw):
    """Invert works in a Compose, twice gives the image again."""
    image = draw.images(1, 5, 5)

    def experiment(s):
        invert = s.Invert()
        return s.probes.compose(invert)(image), s.probes.compose(invert, invert)(image)

    agree(experiment)


@check("Invert", points=1, needs="values")
def test_Invert__keeps_inputs(agree, draw):
    """Invert leaves its input as it was and returns a tensor of its own, each time it is used."""
    image, other = draw.images(1, 4, 3), draw.images(2, 3, 3)

    def experiment(s):
        invert = s.Invert()
        first, (after,) = s.probes.with_inputs(invert, image)
        second, (after_other,) = s.probes.with_inputs(invert, other)
        return {"first": first, "its input": after, "second": second, "its input, too": after_other}

    agree(experiment)


@check("mean_and_std", points=1, needs="values")
def test_mean_and_std__shapes(agree, draw):
    """mean_and_std is right for one image, many channels, images that are not square, and views."""
    for shape in ((1, 1, 2, 3), (3, 7, 4, 2), (20, 2, 1, 5)):
        images = draw.images(*shape)
        agree(lambda s, images=images: s.mean_and_std(images))
    view = draw.images(4, 3, 6, 5).transpose(2, 3)
    agree(lambda s: s.mean_and_std(view))
    pixels = draw.integers(0, 256, 3, 3, 4, 5).byte()
    agree(lambda s: s.mean_and_std(images=pixels))
    agree(lambda s: {"images afterwards": s.probes.with_inputs(s.mean_and_std, pixels)[1][0]})


@check("mean_and_std", points=0.5, needs="values")
def test_mean_and_std__signs(agree, draw):
    """mean_and_std takes float images as they are: also those that are not in 0..1."""
    images = 5 * draw(3, 2, 4, 4)
    agree(lambda s: s.mean_and_std(images))


@check("mean_and_std", points=1, needs="values")
def test_mean_and_std__many(agree, draw):
    """mean_and_std is accurate on 60,000 images."""
    small = draw.integers(180, 256, 60, 1, 2, 2).byte()
    images = small.repeat(1000, 1, 1, 1)
    # right versions are within 1e-7, running sums in float32 are not
    agree(lambda s: s.mean_and_std(images), rtol=1e-5, atol=1e-6)


@check("with_negatives", points=1, needs="pairs")
def test_with_negatives__pairs_shapes(agree, draw):
    """with_negatives keeps every pair and every label for images of any shape and one image alone."""
    for count, shape in ((7, (3, 4, 2)), (1, (1, 2, 2)), (20, (1, 3, 3))):
        images, labels = numbered_images(draw, count, *shape)
        agree(paired(images, labels, seed=draw.seed % 1000))


@check("with_negatives", points=0.5, needs="pairs")
def test_with_negatives__torch_generator(agree, draw):
    """Without a generator the order comes from torch's own."""
    images, labels = numbered_images(draw, 16, 1, 2, 2)

    def experiment(s):
        first, again, other = (s.probes.seeded(seed, s.with_negatives, images, labels) for seed in (4, 4, 5))
        return {
            "same order after the same manual_seed": bool((first[0] == again[0]).all()),
            "same order after another": bool((first[0] == other[0]).all()),
            "the pairs": in_order(first),
        }

    agree(experiment)


@check("with_negatives", points=0.5, needs="pairs")
def test_with_negatives__generator_moves(agree, draw):
    """The generator's state moves on: a second call gives another order; torch's own is left alone."""
    images, labels = numbered_images(draw, 16, 1, 2, 2)

    def experiment(s):
        generator = s.probes.generator(11)
        first = s.with_negatives(images, labels, generator)
        second = s.with_negatives(images, labels, generator=generator)
        return {"the same order twice": bool((first[0] == second[0]).all()), "the pairs": in_order(second)}

    agree(experiment)


@check("with_negatives", points=0.5, needs="pairs")
def test_with_negatives__keeps_inputs_and_dtype(agree, draw):
    """with_negatives leaves its inputs as they were and keeps the labels' dtype."""
    images, labels = numbered_images(draw, 9, 2, 3, 2)

    def experiment(s):
        result, (images_after, labels_after) = s.probes.with_inputs(s.with_negatives, images, labels)
        return {
            "result": in_order(result),
            "images afterwards": images_after,
            "labels afterwards": labels_after,
        }

    agree(experiment)
