"""Hidden checks of training.py."""

from grader.checking import check
from grader.checks.experiments import (
    LEARNT,
    accuracy,
    epoch_calls,
    fitted,
    labelled_batches,
    linear_weights,
    one_epoch,
    predicted_batches,
    small_weights,
)


@check("train_epoch", points=0.5, needs="values")
def test_train_epoch__stale_gradients(agree, draw):
    """Gradients that lie in the parameters on entry to train_epoch do not count."""
    weights, batches = small_weights(draw), labelled_batches(draw, (6, 6))
    agree(one_epoch(weights, batches, stale=0.7), atol=LEARNT)


@check("train_epoch", points=1, needs="values")
def test_train_epoch__sizes(agree, draw):
    """train_epoch is right for batches of any sizes, one sample among them."""
    weights = small_weights(draw)
    agree(one_epoch(weights, labelled_batches(draw, (5, 9, 1)), lr=0.3), atol=LEARNT)
    agree(one_epoch(weights, labelled_batches(draw, (12,)), lr=0.3), atol=LEARNT)


@check("train_epoch", points=0.5, needs="values")
def test_train_epoch__passes(agree, draw):
    """train_epoch passes once over the loader, with one forward pass in training mode for each batch."""
    weights, batches = small_weights(draw), labelled_batches(draw, (4, 4, 4))
    parts = ("passes over the loader", "training mode in each forward pass")

    def experiment(s):
        result = s.probes.run_train_epoch(s.train_epoch, "SmallNet", weights, batches, 0.5, 0.0, "cpu")
        return {part: result[part] for part in parts}

    agree(experiment)


@check("evaluate", points=0.5, needs="values")
def test_evaluate__sizes(agree, draw):
    """evaluate is right for batches of any sizes, and leaves the weights as they were."""
    weights = small_weights(draw)
    for sizes in ((7, 7, 2), (1, 1, 9), (5,)):
        agree(accuracy(weights, labelled_batches(draw, sizes)))


@check("evaluate", points=0.5, needs="values")
def test_evaluate__evaluation_mode_uneven(agree, draw):
    """evaluate uses evaluation mode for every batch and restores the mode that it found, either one."""
    weights = small_weights(draw)
    batches = predicted_batches(draw, weights, (6, 6, 5))
    for training in (True, False):
        agree(accuracy(weights, batches, net="ModeNet", training=training))


@check("evaluate", points=0.5, needs="values")
def test_evaluate__no_gradients(agree, draw):
    """evaluate records no gradients."""
    weights, batches = small_weights(draw), labelled_batches(draw, (4, 4))
    part = "gradients recorded in a forward pass"
    agree(
        lambda s: {part: s.probes.run_evaluate(s.evaluate, "SmallNet", weights, batches, True, "cpu")[part]}
    )


@check("fit", points=1, needs="history")
def test_fit__weight_decay(agree, draw):
    """fit hands lr and weight_decay to Adam (an L2 penalty, as torch.optim.Adam has it), and has the stub's defaults."""
    weights = linear_weights(draw)
    train, test = labelled_batches(draw, (12,)), labelled_batches(draw, (12,))
    # no target, said so: all epochs run
    options = {"weight_decay": 0.3, "max_epochs": 2, "target_accuracy": None}
    agree(fitted(weights, train, test, lr=0.01, **options), atol=LEARNT)
    agree(fitted(weights, train, test), atol=LEARNT)


@check("fit", points=1, needs="history")
def test_fit__stopping(agree, draw):
    """fit stops after the first epoch that reaches the target, be it 0.0, and keeps the last weights."""
    weights = linear_weights(draw)
    train, test = labelled_batches(draw, (16,)), labelled_batches(draw, (32,))
    agree(fitted(weights, train, test, lr=0.03, max_epochs=3, target_accuracy=0.0), atol=LEARNT)
    # no multiple of 1/32, so no accuracy equals the target
    agree(fitted(weights, train, test, lr=0.15, max_epochs=4, target_accuracy=0.701), atol=LEARNT)
    # a test set that the untrained net is right on: reached at once, by the test accuracy only
    easy = predicted_batches(draw, weights, (32,))
    agree(fitted(weights, train, easy, lr=0.01, max_epochs=3, target_accuracy=0.701), atol=LEARNT)
    agree(fitted(weights, train, test, lr=0.001, max_epochs=2, target_accuracy=1.0), atol=LEARNT)


@check("fit", points=0.5, needs="history")
def test_fit__on_epoch_stops(agree, draw):
    """fit calls on_epoch after the last epoch, too, where it stops early, with that epoch in the history."""
    weights = linear_weights(draw)
    train, test = labelled_batches(draw, (8,)), labelled_batches(draw, (10,))
    agree(epoch_calls(weights, train, test, max_epochs=4, target_accuracy=0.0))
    agree(epoch_calls(weights, train, test, max_epochs=2, lr=0.02))


@check("fit", points=0.5, needs="history")
def test_fit__learns(agree, student, draw):
    """The weights that fit leaves behind have learnt: the kit measures their accuracy itself."""
    weights = linear_weights(draw)
    train, test = labelled_batches(draw, (64,)), labelled_batches(draw, (100,))
    learnt = student.probes.run_fit(student.fit, weights, train, test, False, lr=0.4, max_epochs=6)["weights"]
    shapes = {name: value.shape for name, value in learnt.items()}
    agree.ensure(
        shapes == {name: value.shape for name, value in weights.items()},
        "the model's parameters have changed",
    )
    images, labels = test[0]
    share = ((images.flatten(1) @ learnt["weight"].T).argmax(1) == labels).float().mean().item()
    agree.ensure(
        share > 0.7,
        f"after 6 epochs the model is right on {share:.0%} of easy test images; wanted over 70 %",
    )
