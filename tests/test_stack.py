"""Many networks at once give what the solutions' own network and `fit` give, step by step."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch.nn import functional as F

from datasets import drawn_digits
from grader.instructor.fast import jobs
from grader.instructor.fast import stack as stack_module
from grader.instructor.fast.adam import Adam
from grader.instructor.fast.augment import PADDING, augmented, dropout_scales
from grader.instructor.fast.jobs import ON_CPU, ON_GPU, stacks_of
from grader.instructor.fast.stack import Shape, Stack, flatten, state_dict
from grader.instructor.fast.training import StackImages, StackTrainer
from grader.reference import SOLUTIONS
from grader.reproduce import teaching
from grader.reproduce.checkpoint import RunFolder, RunState, begin
from grader.reproduce.experiments import ALL_IMAGES, Images, Remedy, Run, Setting, runs_of
from grader.reproduce.images import ImageSet, RunImages, images_for, statistics
from grader.reproduce.package import load_package

CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
SIX = [Setting(lr, decay) for lr in (1e-3, 5e-4, 1e-4) for decay in (0.0, 5e-4)]


@cache
def solutions():
    return load_package(SOLUTIONS)


@cache
def few_images() -> RunImages:
    """300 training and 100 test images: four batches of 64 and one of 44."""
    digits = drawn_digits(300, 100)
    padded = [
        replace(split, images=F.pad(split.images, (2, 2, 2, 2))) for split in (digits.train, digits.test)
    ]
    own = statistics(digits.train.images)
    return RunImages(ImageSet(padded[0], own), (ImageSet(padded[1], own),), digits.classes)


def run(setting: Setting = SIX[0], seed: int = 0, **others) -> Run:
    return Run("mnist", "drawn_digits", setting, seed, **{"max_epochs": 3, **others})


def trained(runs: list[Run], epochs: int = 2, dtype=torch.float32, device=CPU) -> dict[str, RunState]:
    """The runs' states after so many epochs in one stack."""
    states = [begin(one, None, solutions(), few_images(), {}) for one in runs]
    trainer = StackTrainer(states, StackImages.of(few_images(), device, dtype))
    for _ in range(epochs):
        states = trainer.train_epoch()
    return {state.run.key: state for state in states}


def largest_difference(one: RunState, other: RunState) -> float:
    return max(float((one.model[name] - other.model[name]).abs().max()) for name in one.model)


# -- forward and backward -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "size"), [(1, 28), (1, 32), (3, 32), (2, 20)])
@pytest.mark.parametrize("own_batches", [False, True])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_gradients_are_those_of_autograd(channels, size, own_batches, device, monkeypatch):
    # on the CPU in any case, in the blocks that suit the device
    blocks = stack_module._groups_and_parts
    monkeypatch.setattr(stack_module, "_groups_and_parts", lambda _, *about: blocks(device, *about))
    nets, count = 3, 7
    models = [solutions().model(seed, channels, size).double() for seed in range(nets)]
    shape = Shape(channels, size)
    stack = Stack(shape, torch.stack([flatten(shape, dict(model.state_dict())) for model in models]))
    generator = torch.Generator().manual_seed(0)
    groups = nets if own_batches else 1
    # few grey levels and plain borders: ties in pooling are everywhere, as in real digits
    images = torch.randint(0, 3, (groups, count, channels, size, size), generator=generator).double()
    images[..., : size // 3, :] = 0
    labels = torch.randint(10, (count,), generator=generator)
    work = stack.workspace(count, groups)
    work.images.copy_(images.permute(0, 2, 3, 4, 1))

    logits = stack.forward(work)
    d_logits = logits.softmax(dim=1)
    d_logits[:, labels, torch.arange(count)] -= 1
    stack.backward(work, d_logits / count)

    for net, model in enumerate(models):
        wanted = model(images[net if own_batches else 0])
        torch.testing.assert_close(logits[net].T, wanted, rtol=0, atol=1e-13)
        F.cross_entropy(wanted, labels).backward()
        gradient = flatten(shape, {name: p.grad for name, p in model.named_parameters()})
        torch.testing.assert_close(stack.gradients[net], gradient, rtol=0, atol=1e-13)


def test_a_row_of_parameters_is_the_state_dict():
    model = solutions().model(0, 3, 32)
    shape = Shape(3, 32)
    row = flatten(shape, dict(model.state_dict()))
    assert len(row) == 62_006
    again = state_dict(shape, row)
    assert list(again) == list(model.state_dict())
    assert all(torch.equal(again[name], tensor) for name, tensor in model.state_dict().items())


def test_an_image_size_that_pooling_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="multiple of 4"):
        Stack(Shape(1, 30), torch.zeros(1, 10))


@pytest.mark.parametrize("fused", [True, False], ids=["as on the CPU", "as on a GPU"])
@pytest.mark.parametrize("l1", [0.0, 1e-2])
@pytest.mark.parametrize("setting", [Setting(1e-2), Setting(1e-3, 1e-1)], ids=str)
def test_adam_is_torchs(setting, l1, fused):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(1, 50, generator=generator, dtype=torch.float64)
    mine, theirs = start.clone(), start.clone().requires_grad_()
    adam = Adam(mine, [setting.lr], [setting.weight_decay], [l1])
    adam.fused = fused
    torchs = torch.optim.Adam([theirs], lr=setting.lr, weight_decay=setting.weight_decay)
    for _ in range(20):
        factors = torch.randn(1, 50, generator=generator, dtype=torch.float64)
        torchs.zero_grad()
        ((theirs * factors).sin().sum() + l1 * theirs.abs().sum()).backward()
        torchs.step()
        adam.step((mine * factors).cos() * factors)
        torch.testing.assert_close(mine, theirs.detach(), rtol=0, atol=1e-12)


# -- one truth ----------------------------------------------------------------------------------------------

# The largest differences that were measured here on the CPU, over six settings and three epochs of five steps in
# float32: weights 3.4e-6, losses 1.1e-7 (the two ways sum in other orders). Over twenty steps in float64: weights
# 1.7e-14, losses 4.4e-16. The bounds leave a factor of six and more for other processors.
WEIGHTS_FLOAT32, LOSS_FLOAT32 = 2e-5, 7e-6
WEIGHTS_FLOAT64, LOSS_FLOAT64 = 4e-13, 1e-14


@pytest.mark.parametrize("setting", SIX, ids=str)
def test_the_fast_way_agrees_with_fit_after_every_epoch(setting):
    one = run(setting)
    seen: list[RunState] = []
    teaching.train(
        begin(one, None, solutions(), few_images(), {}), few_images(), solutions(), CPU, seen.append
    )
    for epochs, theirs in enumerate(seen, 1):
        (ours,) = trained([one], epochs).values()
        assert largest_difference(ours, theirs) < WEIGHTS_FLOAT32
        for mine, other in zip(ours.history, theirs.history, strict=True):
            assert mine.train_loss == pytest.approx(other.train_loss, abs=LOSS_FLOAT32)
            assert mine.test_loss == pytest.approx(other.test_loss, abs=LOSS_FLOAT32)
            assert mine.train_accuracy == pytest.approx(other.train_accuracy, abs=1 / 300 + 1e-9)
            assert mine.test_accuracy == pytest.approx(other.test_accuracy, abs=1 / 100 + 1e-9)


@pytest.mark.parametrize("setting", [SIX[0], SIX[1]], ids=str)
def test_the_fast_way_agrees_with_autograd_and_torchs_adam_step_by_step(setting):
    one, images = run(setting, max_epochs=20), few_images()
    begun = begin(one, None, solutions(), images, {})
    # an epoch is one step where the data set is one batch: as many epochs as steps
    batch = ImageSet(
        replace(
            images.train.split, images=images.train.split.images[:64], labels=images.train.split.labels[:64]
        ),
        images.train.statistics,
    )
    small = RunImages(batch, images.tests, images.classes)
    trainer = StackTrainer([begun], StackImages.of(small, CPU, torch.float64))
    model = solutions().model(0, 1, 32).double()
    adam = torch.optim.Adam(model.parameters(), lr=setting.lr, weight_decay=setting.weight_decay)
    pixels = batch.split.images.double()
    mean, std = (255 * numbers[:, None, None] for numbers in (batch.statistics.mean, batch.statistics.std))
    normalised = (pixels - mean.double()) / std.double()
    for _ in range(20):
        (ours,) = trainer.train_epoch()
        logits = model(normalised)
        loss = F.cross_entropy(logits, batch.split.labels)
        adam.zero_grad()
        loss.backward()
        adam.step()
        assert ours.history[-1].train_loss == pytest.approx(loss.item(), abs=LOSS_FLOAT64)
        right = int((logits.argmax(1) == batch.split.labels).sum())
        assert round(64 * ours.history[-1].train_accuracy) == right
        for name, tensor in model.state_dict().items():
            torch.testing.assert_close(ours.model[name], tensor, rtol=0, atol=WEIGHTS_FLOAT64)


@pytest.mark.parametrize("seeds", [(0, 0, 0, 0, 0, 0), (0, 1, 2, 0, 1, 2)], ids=["one seed", "own batches"])
def test_a_network_alone_and_in_a_stack_agree(seeds):
    runs = [run(setting, seed) for setting, seed in zip(SIX, seeds, strict=True)]
    together = trained(runs, dtype=torch.float64)
    for one in runs:
        (alone,) = trained([one], dtype=torch.float64).values()
        assert largest_difference(alone, together[one.key]) < WEIGHTS_FLOAT64
        assert alone.history[-1].train_accuracy == together[one.key].history[-1].train_accuracy


def test_a_finished_network_keeps_its_state_while_others_go_on():
    short, long = run(SIX[0], max_epochs=1), run(SIX[2], max_epochs=3)
    states = [begin(one, None, solutions(), few_images(), {}) for one in (short, long)]
    trainer = StackTrainer(states, StackImages.of(few_images(), CPU))
    first, *others = [trainer.train_epoch() for _ in range(3)]
    assert [state.run.key for state in first] == [short.key, long.key]
    assert [[state.run.key for state in states] for states in others] == [[long.key], [long.key]]
    (alone,) = trained([long], 3).values()
    assert largest_difference(alone, others[-1][0]) < WEIGHTS_FLOAT32


def test_a_run_goes_on_from_its_state_as_if_it_had_not_stopped():
    one = run(SIX[1], max_epochs=4)
    (stopped,) = trained([one], 2).values()
    trainer = StackTrainer([stopped], StackImages.of(few_images(), CPU))
    trainer.train_epoch()
    (resumed,) = trainer.train_epoch()
    (whole,) = trained([one], 4).values()
    assert largest_difference(resumed, whole) == 0
    assert [epoch.train_loss for epoch in resumed.history] == [epoch.train_loss for epoch in whole.history]


@pytest.mark.parametrize("direction", ["fit goes on", "the stack goes on"])
def test_either_way_goes_on_from_the_others_state(direction):
    one = run(SIX[1], max_epochs=2)
    first = replace(one, max_epochs=1)
    beginning = begin(first, None, solutions(), few_images(), {})
    if direction == "fit goes on":
        (state,) = trained([first], 1).values()
        end = teaching.train(replace(state, run=one), few_images(), solutions(), CPU, lambda _: None)
    else:
        state = teaching.train(beginning, few_images(), solutions(), CPU, lambda _: None)
        trainer = StackTrainer([replace(state, run=one)], StackImages.of(few_images(), CPU))
        (end,) = trainer.train_epoch()
    (whole,) = trained([one], 2).values()
    assert largest_difference(end, whole) < WEIGHTS_FLOAT32


def test_the_states_of_one_stack_are_kept_while_another_of_its_runs_is_trained(tmp_path):
    folder = RunFolder(tmp_path)
    folder.create()
    runs = [run(setting) for setting in SIX[:3]]
    states = list(trained(runs, 1).values())
    folder.keep(states, runs)
    begun = [begin(one, None, solutions(), few_images(), {}) for one in runs[:1]]
    folder.keep(begun, runs[:1])
    assert {key: len(state.history) for key, state in folder.states().items()} == dict.fromkeys(
        (one.key for one in runs), 1
    )
    for state in trained(runs, 3).values():
        folder.keep([state], [state.run])
    folder.tidy()
    assert not list(folder.unfinished.iterdir())
    assert all(state.finished for state in folder.states().values())


# -- remedies -----------------------------------------------------------------------------------------------


def test_dropout_scales_the_hidden_values_and_their_gradients():
    model = solutions().model(0, 1, 32).double()
    shape, count = Shape(1, 32), 5
    stack = Stack(shape, flatten(shape, dict(model.state_dict()))[None])
    images = torch.rand(count, 1, 32, 32, dtype=torch.float64)
    labels = torch.arange(count)
    work = stack.workspace(count, dropout=True)
    work.images.copy_(images.permute(1, 2, 3, 0)[None])
    scales = dropout_scales(0, 1, count, 204).double()
    work.dropout[0] = scales.T
    logits = stack.forward(work)

    x = model.pool(model.relu(model.conv2(model.pool(model.relu(model.conv1(images))))))
    x = model.relu(model.fc1(x.flatten(1))) * scales[:, :120]
    wanted = model.fc3(model.relu(model.fc2(x)) * scales[:, 120:])
    torch.testing.assert_close(logits[0].T, wanted, rtol=0, atol=1e-13)
    F.cross_entropy(wanted, labels).backward()
    d_logits = logits.softmax(dim=1)
    d_logits[:, labels, labels] -= 1
    stack.backward(work, d_logits / count)
    gradient = flatten(shape, {name: p.grad for name, p in model.named_parameters()})
    torch.testing.assert_close(stack.gradients[0], gradient, rtol=0, atol=1e-13)


@pytest.mark.parametrize("remedy", list(Remedy))
def test_each_remedy_changes_training_and_is_reproducible(remedy):
    setting = Setting(1e-3, 1e-2 if remedy == Remedy.L2 else 0.0)
    (plain,) = trained([run()]).values()
    first, second = (next(iter(trained([run(setting, remedy=remedy)]).values())) for _ in range(2))
    assert largest_difference(first, second) == 0
    assert largest_difference(first, plain) > 1e-5


def test_dropout_keeps_half_of_the_values_at_twice_their_size():
    scales = dropout_scales(0, 1, 1000, 204)
    assert set(scales.unique().tolist()) == {0.0, 2.0}
    assert float(scales.mean()) == pytest.approx(1, abs=0.01)


def test_dropout_is_off_in_evaluation():
    """The test accuracy is that of the whole network: what the teaching way measures for the same weights."""
    (state,) = trained([run(remedy=Remedy.DROPOUT)], 1).values()
    model = solutions().model(0, 1, 32)
    model.load_state_dict(dict(state.model))
    test = few_images().tests[0]
    right = (model(test.normalised()).argmax(1) == test.split.labels).double().mean()
    assert state.history[-1].test_accuracy[0] == pytest.approx(float(right), abs=0.011)


def test_a_crop_in_the_middle_is_the_image_and_half_of_crops_are_mirrored():
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    middle = (PADDING + 0.5) / (2 * PADDING + 1)
    changed = augmented(
        Remedy.CROP_AND_FLIP, images, torch.tensor([[middle, middle, 0.0], [middle, middle, 0.9]])
    )
    assert torch.equal(changed[0], images[0])
    assert torch.equal(changed[1], images[1].flip(-1))


def test_a_crop_at_the_corner_shows_the_padding():
    images = torch.full((1, 1, 8, 8), 9, dtype=torch.uint8)
    (corner,) = augmented(Remedy.CROP_AND_FLIP, images, torch.zeros(1, 3))
    wanted = torch.zeros(1, 8, 8, dtype=torch.uint8)
    wanted[:, PADDING:, PADDING:] = 9
    assert torch.equal(corner, wanted)


@pytest.mark.parametrize(("number", "turned"), [(0.5, False), (0.0, True), (1.0, True)])
def test_a_rotation_turns_by_up_to_15_degrees_about_the_middle(number, turned):
    images = torch.zeros(1, 1, 33, 33, dtype=torch.uint8)
    images[..., 4:29, 16] = 255  # an upright line
    changed = augmented(Remedy.ROTATION, images, torch.full((1, 3), number))
    assert torch.equal(changed, images) is not turned
    assert changed[0, 0, 16, 16] == 255
    if turned:
        # 12 pixels up, the line has moved 12 tan 15 degrees = 3.2 pixels to one side
        column = int(changed[0, 0, 4 + 1].argmax())
        assert abs(column - 16) == 3


# -- which runs are trained together ------------------------------------------------------------------------


def sizes(device: str, processes: int, *names: str, seeds: int = 1) -> list[int]:
    runs = [one for name in names for one in runs_of(name, range(seeds))]
    return [len(stack) for stack in stacks_of(runs, {}, torch.device(device), processes)]


@pytest.mark.parametrize(
    ("device", "processes", "names", "seeds", "wanted"),
    [
        ("cpu", 2, ["mnist"], 1, [3, 3]),
        ("cpu", 1, ["mnist"], 1, [3, 3]),
        ("cpu", 2, ["negatives"], 1, [1, 1]),
        ("cpu", 2, ["mnist"], 2, [3, 3, 3, 3]),
        ("cuda", 2, ["mnist"], 5, [30]),
        ("cuda", 2, ["mnist"], 6, [18, 18]),
    ],
)
def test_stacks_suit_the_device(device, processes, names, seeds, wanted):
    assert sizes(device, processes, *names, seeds=seeds) == wanted
    assert max(wanted) <= (ON_GPU if device == "cuda" else ON_CPU)


def test_runs_that_do_not_share_their_images_are_not_stacked():
    runs = runs_of("remedies", [0])
    (plain, *_), *others = stacks_of(runs, {}, torch.device("cuda"), 2)
    assert plain.remedy is None
    assert [[one.remedy for one in stack] for stack in others] == [[Remedy.CROP_AND_FLIP], [Remedy.ROTATION]]


def test_runs_after_other_numbers_of_epochs_are_not_stacked():
    runs = runs_of("mnist", [0])
    stacks = stacks_of(runs, {runs[0].key: 3}, torch.device("cuda"), 2)
    assert [len(stack) for stack in stacks] == [1, 5]


def test_a_stack_that_memory_does_not_hold_is_halved_and_loses_nothing(tmp_path, monkeypatch):
    """With a device that holds two networks; said once for each halving."""

    class TwoAtMost(StackTrainer):
        def train_epoch(self) -> list[RunState]:
            if len(self._states) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().train_epoch()

    monkeypatch.setattr(jobs, "StackTrainer", TwoAtMost)
    monkeypatch.setattr(jobs, "images_for", lambda *_: few_images())
    runs = [run(setting) for setting in SIX[:3]]
    said: list[str] = []
    place = jobs.Place(RunFolder(tmp_path), None, CPU, {})
    place.folder.create()
    jobs.train_all(runs, {}, place, lambda _: None, said.append)
    assert said == ["The GPU's memory does not hold 3 networks at once: going on with 2."]
    states = place.folder.states()
    wanted = trained(runs, 3)
    assert all(largest_difference(states[one.key], wanted[one.key]) < WEIGHTS_FLOAT32 for one in runs)
    assert all(states[one.key].finished for one in runs)


# -- on a GPU -----------------------------------------------------------------------------------------------


@needs_gpu
@pytest.mark.parametrize("seeds", [(0, 0), (0, 1)])
def test_captured_steps_on_a_gpu_give_what_the_processor_gives(seeds):
    runs = [run(setting, seed) for setting, seed in zip(SIX[:2], seeds, strict=True)]
    there = trained(runs, dtype=torch.float64, device=torch.device("cuda"))
    here = trained(runs, dtype=torch.float64)
    for key, state in here.items():
        assert largest_difference(state, there[key]) < WEIGHTS_FLOAT64


@needs_gpu
def test_on_a_gpu_the_stack_is_made_smaller_when_half_are_done():
    runs = [run(setting, max_epochs=epochs) for setting, epochs in zip(SIX[:3], (1, 2, 3), strict=True)]
    states = [begin(one, None, solutions(), few_images(), {}) for one in runs]
    trainer = StackTrainer(states, StackImages.of(few_images(), torch.device("cuda")))
    assert [len(trainer.train_epoch()) for _ in range(3)] == [3, 2, 1]


# -- images -------------------------------------------------------------------------------------------------


def test_a_network_trained_on_positives_meets_negatives_as_those_are_normalised():
    images = images_for("drawn_digits", Images.POSITIVE, ALL_IMAGES[:2], None)
    positive, negative = images.tests
    assert float(positive.statistics.mean + negative.statistics.mean) == pytest.approx(1, abs=1e-6)
    assert torch.equal(255 - positive.split.images, negative.split.images)


def test_a_network_trained_on_both_knows_one_normalisation():
    images = images_for("drawn_digits", Images.COMBINED, ALL_IMAGES, None)
    assert {float(test.statistics.mean) for test in images.tests} == {float(images.train.statistics.mean)}
    assert float(images.train.statistics.mean) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_statistics_are_exact(channels):
    pixels = torch.randint(0, 256, (50, channels, 9, 7), dtype=torch.uint8)
    found = statistics(pixels)
    exact = pixels.double() / 255
    torch.testing.assert_close(found.mean, exact.mean(dim=(0, 2, 3)).float())
    torch.testing.assert_close(found.std, exact.std(dim=(0, 2, 3), correction=0).float())
