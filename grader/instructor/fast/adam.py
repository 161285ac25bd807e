"""Adam over a stack of networks, each with a rate, a decay and an L1 penalty of its own.

Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015), Algorithm 1, as `torch.optim.Adam` has it:
weight decay is an L2 penalty, added to the gradient (not AdamW's). The number of steps lies on the device, so
that a step can be captured in a CUDA graph.

On the CPU the kernel of `torch.optim.Adam(fused=True)` takes a network at a time: one pass over memory in the place
of eight. On a GPU that would be launches for each network, so the step is written over the whole stack.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class Adam:
    """The optimiser's state for parameters `(K, P)`: `exp_avg`, `exp_avg_sq` of the same shape, and `steps`."""

    def __init__(
        self, parameters: Tensor, lr: Sequence[float], weight_decay: Sequence[float], l1: Sequence[float]
    ):
        def column(numbers: Sequence[float]) -> Tensor:
            return parameters.new_tensor(numbers)[:, None]

        self.parameters = parameters
        self.exp_avg, self.exp_avg_sq = torch.zeros_like(parameters), torch.zeros_like(parameters)
        self.steps = torch.zeros((), dtype=torch.float64, device=parameters.device)
        self.fused = parameters.device.type == "cpu"
        self._rates, self._decays = list(lr), list(weight_decay)
        self._lr, self._weight_decay, self._l1 = column(lr), column(weight_decay), column(l1)
        self._penalises = any(l1)
        self._update = torch.empty_like(parameters)

    def freeze(self, net: int) -> None:
        """Leave this network's parameters as they are from now on."""
        self._lr[net] = self._rates[net] = 0

    def step(self, gradients: Tensor) -> None:
        """One step down `gradients` `(K, P)`, which are used up."""
        if self._penalises:
            gradients.addcmul_(self.parameters.sign(), self._l1)
        if self.fused:
            self._step_each(gradients)
        else:
            self._step_all(gradients)

    def _step_each(self, gradients: Tensor) -> None:
        self.steps += 1
        first, second = BETAS
        done = [self.steps.float()]
        rows = zip(self.parameters, gradients, self.exp_avg, self.exp_avg_sq, strict=True)
        for row, lr, decay in zip(rows, self._rates, self._decays, strict=True):
            parameter, gradient, exp_avg, exp_avg_sq = ([tensor] for tensor in row)
            torch._fused_adam_(
                parameter, gradient, exp_avg, exp_avg_sq, [], done, amsgrad=False, maximize=False,
                beta1=first, beta2=second, lr=lr, weight_decay=decay, eps=EPSILON,
            )  # fmt: skip

    def _step_all(self, gradients: Tensor) -> None:
        if any(self._decays):
            gradients.addcmul_(self.parameters, self._weight_decay)
        first, second = BETAS
        self.steps += 1
        self.exp_avg.lerp_(gradients, 1 - first)
        self.exp_avg_sq.mul_(second).addcmul_(gradients, gradients, value=1 - second)
        # both corrections multiply the rate, and the second one epsilon: a pass less over the parameters
        correction1, correction2 = 1 - first**self.steps, (1 - second**self.steps).sqrt()
        update = torch.sqrt(self.exp_avg_sq, out=self._update).add_(
            (EPSILON * correction2).to(self._lr.dtype)
        )
        torch.div(self.exp_avg, update, out=update)
        self.parameters.addcmul_(update, self._lr * (correction2 / correction1).to(self._lr.dtype), value=-1)
