"""Public checks of training.py, on a small net and a few batches that are handed over."""

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


@check("train_epoch", points=1)
def test_train_epoch__values(agree, draw):
    """train_epoch takes one optimizer step a batch and returns the mean loss and the accuracy."""
    weights, batches = small_weights(draw), labelled_batches(draw, (8, 8, 8))
    agree(one_epoch(weights, batches), atol=LEARNT)


@check("train_epoch", points=0.5, needs="values")
def test_train_epoch__uneven(agree, draw):
    """train_epoch counts samples, not batches: a smaller last batch weighs by its size."""
    weights, batches = small_weights(draw), labelled_batches(draw, (8, 8, 3))
    agree(one_epoch(weights, batches), atol=LEARNT)


@check("train_epoch", points=0.5, needs="values")
def test_train_epoch__mode(agree, draw):
    """train_epoch trains in training mode."""
    weights, batches = small_weights(draw), labelled_batches(draw, (8, 8))
    agree(one_epoch(weights, batches, net="ModeNet"), atol=LEARNT)


@check("evaluate", points=0.5)
def test_evaluate__values(agree, draw):
    """evaluate returns the share of right predictions, 0 to 1."""
    weights, batches = small_weights(draw), labelled_batches(draw, (10, 10, 10))
    agree(accuracy(weights, batches))


@check("evaluate", points=0.5, needs="values")
def test_evaluate__uneven(agree, draw):
    """evaluate counts samples, not batches: a smaller last batch weighs by its size."""
    weights, batches = small_weights(draw), labelled_batches(draw, (10, 10, 1))
    agree(accuracy(weights, batches))


@check("evaluate", points=0.5, needs="values")
def test_evaluate__evaluation_mode(agree, draw):
    """evaluate runs the model in evaluation mode and leaves it in the mode in which it found it."""
    weights = small_weights(draw)
    batches = predicted_batches(draw, weights, (10, 10))
    agree(accuracy(weights, batches, net="ModeNet", training=True))
    agree(accuracy(weights, batches, net="ModeNet", training=False))


@check("fit", points=1)
def test_fit__history(agree, draw):
    """fit trains with Adam for max_epochs epochs and returns the history of losses and accuracies."""
    weights = linear_weights(draw)
    train, test = labelled_batches(draw, (8, 8)), labelled_batches(draw, (10, 10))
    agree(fitted(weights, train, test, lr=0.02, max_epochs=3), atol=LEARNT)


@check("fit", points=0.5, needs="history")
def test_fit__target(agree, draw):
    """fit stops right after the first epoch whose test accuracy reaches target_accuracy."""
    weights = linear_weights(draw)
    train, test = labelled_batches(draw, (16,)), labelled_batches(draw, (40,))
    agree(fitted(weights, train, test, lr=0.15, max_epochs=8, target_accuracy=0.74), atol=LEARNT)


@check("fit", points=0.5, needs="history")
def test_fit__on_epoch(agree, draw):
    """fit calls on_epoch(epoch, history) after each epoch, epochs counted from 1."""
    weights = linear_weights(draw)
    train, test = labelled_batches(draw, (8,)), labelled_batches(draw, (10,))
    agree(epoch_calls(weights, train, test, lr=0.02, max_epochs=3))
