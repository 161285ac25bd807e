"""Public checks of transforms.py."""

from grader.checking import check
from grader.checks.experiments import in_order, is_pair, numbered_images, paired


@check("Invert", points=1)
def test_Invert__values(agree, draw):
    """Invert()(image) is 1 - image."""
    image = draw.images(1, 6, 5)
    agree(lambda s: s.Invert()(image))


@check("Invert", points=1, needs="values")
def test_Invert__keeps_input(agree, draw):
    """Invert leaves its input as it was."""
    image = draw.images(3, 4, 4)

    def experiment(s):
        _, (after,) = s.probes.with_inputs(s.Invert(), image)
        return {"the input afterwards": after}

    agree(experiment)


@check("Invert", points=0.5)
def test_Invert__repr(agree):
    """repr(Invert()) holds its name, and is its own, not the inherited one with an address."""

    def experiment(s):
        text = s.probes.text_of(s.Invert())
        return {
            "a text with the name": "Invert" in text,
            "an address": " at 0x" in text or "object at" in text,
        }

    agree(experiment)


@check("mean_and_std", points=1)
def test_mean_and_std__values(agree, draw):
    """mean_and_std gives mean and population standard deviation of each channel, over all pixels."""
    images = draw.images(4, 3, 5, 6) * draw.images(1, 3, 1, 1)
    agree(lambda s: s.mean_and_std(images))


@check("mean_and_std", points=1, needs="values")
def test_mean_and_std__uint8(agree, draw):
    """mean_and_std scales uint8 images to 0..1 first."""
    images = draw.integers(0, 256, 5, 2, 6, 6).byte()
    agree(lambda s: s.mean_and_std(images))


@check("mean_and_std", points=0.5, needs="values")
def test_mean_and_std__population(agree, draw):
    """The standard deviation divides by the number of values, not by one less."""
    images = draw.images(1, 1, 2, 2)
    agree(lambda s: s.mean_and_std(images))


@check("with_negatives", points=1)
def test_with_negatives__pairs(agree, draw):
    """with_negatives returns every image and its negative once, each still with its label."""
    images, labels = numbered_images(draw, 6, 1, 3, 4)
    agree(paired(images, labels, seed=3))


@check("with_negatives", points=0.5, needs="pairs")
def test_with_negatives__shuffled(agree, student, draw):
    """with_negatives shuffles positives and negatives together."""
    images, labels = numbered_images(draw, 32, 1, 2, 2)
    result = student.with_negatives(images, labels, student.probes.generator(5))
    agree.ensure(is_pair(result), "the result is not a tuple of images and labels")
    first = result[0].flatten(1)[:, 0]
    positive = first < 0.5
    agree.ensure(
        0 < int(positive[:32].sum()) < 32,
        "one half of the result holds positives only, the other negatives only",
        "Positives and negatives lie one after the other: draw one permutation of all 2N samples.",
    )
    neighbours = int(((first[1:] + first[:-1] - 1).abs() < 1e-4).sum())
    agree.ensure(neighbours < 16, "each image lies right beside its own negative: that is not shuffled")


@check("with_negatives", points=0.5, needs="pairs")
def test_with_negatives__keeps_inputs(agree, draw):
    """with_negatives leaves images and labels as they were."""
    images, labels = numbered_images(draw, 5, 1, 2, 3)

    def experiment(s):
        _, (images_after, labels_after) = s.probes.with_inputs(s.with_negatives, images, labels)
        return {"images afterwards": images_after, "labels afterwards": labels_after}

    agree(experiment)


@check("with_negatives", points=0.5, needs="pairs")
def test_with_negatives__generator(agree, draw):
    """The order comes from `generator`: the same state gives the same order, another one another."""
    images, labels = numbered_images(draw, 16, 1, 2, 2)

    def experiment(s):
        first, again, other = (
            s.with_negatives(images, labels, s.probes.generator(seed)) for seed in (7, 7, 8)
        )
        return {
            "same order from the same state": bool((first[0] == again[0]).all()),
            "same order from another state": bool((first[0] == other[0]).all()),
            "the pairs": in_order(first),
        }

    agree(experiment)
