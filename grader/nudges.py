"""Hints in steps, for whoever wants to find a mistake themselves: a nudge, the diagnosis, where to read.

A nudge says where to look, never what is wrong: it is written for the check, not for the mistake.
"""

import re

from grader.assignment import BY_NAME
from grader.outcomes import Outcome
from grader.report import CheckResult
from grader.show.pictured import pictured

# by check; those that are not here have the nudge of their outcome
NUDGES: dict[str, str] = {
    "conv2d/values": "Take an image of 3 x 3 and a kernel of 2 x 2 whose numbers are all different, and work out the first pixel by hand. Which image value meets which weight?",
    "conv2d/bias": "Print the shapes of your result and of the bias just before you add them. Which axis of the result should the bias run along?",
    "conv2d/stride": "List the rows in which the windows begin for a height of 9, a kernel of 3 and stride 2. Does your code visit these, and only these?",
    "conv2d/padding": "Print a small image after padding. On which sides are there zeros, and how many?",
    "conv2d/gradients": "Look for a step between the inputs and the result that leaves torch's graph: a new tensor that is filled in, a number taken out, NumPy.",
    "max_pool2d/values": "Number the pixels of a 4 x 4 image from 0 to 15. Which of them do you expect in the result for windows of 2?",
    "max_pool2d/negative_values": "Try an image whose values are all below zero. Where could your result come from, if it is none of them?",
    "max_pool2d/gradients": "For a window of four numbers, which ones change the result when they change a little?",
    "linear/values": "Write down the shapes of x, weight and result. Along which axis are products summed?",
    "linear/gradients": "Look for a step between the inputs and the result that leaves torch's graph.",
    "relu/values": "Try it on -2, 0 and 3.",
    "leaky_relu/values": "Try slopes of 0.3 and 2 on the number -1. Is the rule you wrote right for both?",
    "elu/values": "Try alpha=2 on -1 and on 3. Which of the two should alpha change?",
    "softmax/values": "Sum your result along `dim`, once for dim=-1 and once for dim=0. What should come out?",
    "softmax/large_logits": "What is exp(10000) in float32? What can be done to all logits that leaves the probabilities as they are?",
    "cross_entropy/values": "Work out the handout's example by hand: logits (2, 1, -1), target 1. Then put a second row below it.",
    "cross_entropy/large_logits": "Which number do you take the logarithm of when one logit is 10000 and another 0? Can it be rounded to zero?",
    "cross_entropy/gradients": "Compare the size of your gradient for one row, and for the same row twice.",
    "LeNet5/parameters": "Print `[(name, p.shape) for name, p in LeNet5().named_parameters()]` and lay it beside the handout's table.",
    "LeNet5/logits": "Print the shape after each step and compare with the table. What comes last, and what comes between the layers?",
    "train_epoch/values": "Go through the loop for two batches, and say after each line what the gradients hold and which weights the loss was computed with.",
    "train_epoch/uneven": "Two batches, of 8 and of 2 samples, with losses 0.5 and 1.5. What should the mean be, and what is yours?",
    "train_epoch/mode": "What does a dropout layer in the model ask of you before the first batch?",
    "evaluate/values": "Which dimension of the logits is the one of the classes? What does your function return for one batch with 7 of 10 right?",
    "evaluate/uneven": "7 right of 8, and 0 right of 2. What should come out, and what does your function give?",
    "evaluate/evaluation_mode": "Call it in the middle of training. In which mode is the model while you look, and in which when you leave?",
    "fit/history": "Which lists does the history have after three epochs, how long is each, and which optimizer with which settings made them?",
    "fit/target": "The accuracies are 0.6, 0.8 and 0.9, the target is 0.8. After which epoch do you stop, and what is in the history then?",
    "fit/on_epoch": "Write down the calls of on_epoch for two epochs: the number, and the lengths of the history's lists at that moment.",
    "Invert/values": "What should become of 0, of 1 and of 0.25?",
    "Invert/keeps_input": "Print the image after the call. Is it still what you put in?",
    "Invert/repr": "Type `print(Invert())`. What would you like to read there?",
    "mean_and_std/values": "Make images whose channels are all 0, all 0.5 and all 1. How many numbers should come out, and which?",
    "mean_and_std/uint8": "What is the mean of an image that is white everywhere, once as float 1.0 and once as uint8 255?",
    "mean_and_std/population": "By how many do you divide for four pixels? What does the docstring divide by?",
    "with_negatives/pairs": "Number the images by their labels and print labels and means of the result. Does each image still have its own label?",
    "with_negatives/shuffled": "Print which of the results are positives, in their order. Would you call that shuffled?",
    "with_negatives/keeps_inputs": "Print images and labels after the call. Are they still what you put in?",
    "with_negatives/generator": "Call it twice with generators of the same seed, then with another seed. Which results should be equal?",
}  # fmt: skip

# of answers that are wrong in the same way in any check
_BY_MESSAGE = (
    (r"got (a|an|None)\b.*; wanted (a|an|None)\b", "What does your function return? Print `type(...)` of it, and read what the docstring promises."),
    (r"model\.training: got", "In which mode does your function find the model, and in which does it leave it?"),
)  # fmt: skip
_UNREADABLE = re.compile(r"(?:Syntax|Indentation|Tab|ModuleNotFound|Import)Error")
_BY_OUTCOME: dict[Outcome, str] = {
    Outcome.FAILED: "Make the smallest input that you can work out by hand, and compare.",
    Outcome.ERROR: "Go to the line that is named last, and print the shapes and types of what stands in it.",
    Outcome.TIMEOUT: "Count how often the innermost line of your loops runs. Does every loop end?",
    Outcome.MEMORY: "Work out the shape, and with it the size, of the largest tensor that you make.",
    Outcome.CRASHED: "Does the code end its own process, or call itself without end?",
    Outcome.FORBIDDEN: "Which operations would you use to write down the formula itself?",
    Outcome.MISSING: "Begin with the example of the handout that is worked out by hand.",
}


def steps_of(check: CheckResult) -> list[tuple[str, str]]:
    """The hints for a check that did not pass, each with its label, in the order in which they are given."""
    nudge = _BY_OUTCOME.get(check.outcome, _BY_OUTCOME[Outcome.FAILED])
    if check.outcome is Outcome.ERROR and _UNREADABLE.match(check.message):
        nudge = (
            "Read the line that is named, and the one above it, aloud: names, brackets, colons, indentation."
        )
    if check.outcome is Outcome.FAILED:
        nudge = NUDGES.get(check.name, nudge)
        found = check.message.rpartition("\n")[2]
        nudge = next((words for pattern, words in _BY_MESSAGE if re.search(pattern, found)), nudge)
    steps = [("nudge", nudge)]
    if check.diagnosis:
        steps.append(("likely", check.diagnosis))
    module = BY_NAME[check.task].module
    read = f"`grade explain {check.task}`, the handout's section on {check.task}, and the check itself in "
    read += f"grader/checks/public/test_{module}.py"
    read += f"; `grade show {check.task}` draws what you have." if check.task in pictured() else "."
    steps.append(("read", read))
    return steps
