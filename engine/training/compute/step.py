"""One optimizer step: forward under autocast, backward; then unscale, clip, update."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self

import torch
from torch import Tensor, nn

from ...config import RunConfig
from ...errors import ConfigError
from ...inputs import Inputs, call_model, channels_last, map_tensors
from ...models.recomputation import recompute_activations
from ...models.tree.prediction import auxiliary_predictions, prediction_of
from ..optimization.clipping import ClipMethod, clip_gradients
from .losses import LossFunction, check_scalar
from .objective import Objective
from .placement import CUDA_GRAPH_MODES, Placement
from .probes import GradientProbe

Batch = tuple[Inputs, Tensor]
Weight = Tensor | float


def batch_of_zeros(batch: Batch, samples: int) -> Batch:
    """A batch shaped like another, which may have no samples itself."""
    inputs, targets = map_tensors(lambda tensor: tensor.new_zeros((samples, *tensor.shape[1:])), batch)
    return inputs, targets


class TrainStep:
    """One optimizer step, on one batch or on a window of accumulated batches.

    Attributes:
        model: the model in training.
        optimizer: changes its weights.
        placement: device, precision and memory format.
        objective: the loss and what counts as a right prediction.
        scaler: the GradScaler of an fp16 run, else None.
        clip_norm: largest norm of all gradients together; 0 for no clipping. May change between steps.
        probe: looks at the gradients and the update of the next steps; None for no look.
        passes_are_shared: whether every pass is one of all processes, so that all of them do equally many.
        is_sending: whether gradients are on their way to other processes, so that the passes can't begin again.
        has_counted: whether a sample of the newest window counted in the loss; else no weight was changed.
        after_forward: called with predictions and loss of each batch before its backward pass; may be None.
        after_backward: called when the gradients are there, before they are unscaled, clipped and used.
    """

    passes_are_shared = False
    is_sending = False

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        objective: Objective,
        placement: Placement,
        *,
        clip_norm: float,
        clip_by: ClipMethod = "norm",
        auxiliary_weight: float = 0.0,
        copies_logits: bool = False,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.clip_norm = clip_norm
        self._clip_by = clip_by
        self.probe: GradientProbe | None = None
        self.scaler = torch.amp.GradScaler(placement.device.type) if placement.uses_grad_scaler else None
        self.placement = placement
        self.objective = objective
        self._auxiliary_weight = auxiliary_weight
        self._copies_logits = copies_logits
        self._is_checked = False
        self.has_counted = True
        self.after_forward: Callable[[Tensor, Tensor], None] | None = None
        self.after_backward: Callable[[], None] | None = None
        self._parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    @property
    def can_split(self) -> bool:
        """Whether the passes that failed may be done again with their batches in smaller parts."""
        return True

    @classmethod
    def of(
        cls,
        config: RunConfig,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        objective: Objective,
        placement: Placement,
    ) -> Self:
        """The step that a run with this config takes; the model keeps fewer activations where the config says so."""
        recompute_activations(model, config.training.recompute)
        return cls(
            model,
            optimizer,
            objective,
            placement,
            clip_norm=config.training.clip_norm,
            clip_by=config.training.clip_by,
            auxiliary_weight=config.loss.auxiliary,
            copies_logits=config.training.compile and config.training.compile_mode in CUDA_GRAPH_MODES,
        )

    def __call__(self, window: Sequence[Batch]) -> tuple[Tensor, list[Tensor]]:
        """Train on a window of batches as if they were one: `forward_backward`, then `update`."""
        result = self.forward_backward(window)
        self.update()
        return result

    def forward_backward(self, window: Sequence[Batch]) -> tuple[Tensor, list[Tensor]]:
        """Add up the gradients of a window of batches as if they were one batch.

        Args:
            window: batches of inputs [B, C, H, W] and targets: class indices [B], shares of the classes [B, C],
                labels or numbers [B, K].

        Returns:
            The mean loss over the window's samples, by their weights, a scalar on the device (0 where no sample of the
            window counts), and the predictions of each batch. Neither is synchronized with the host.
        """
        weights = self.objective.window_weights([targets for _, targets in window])
        weight_in_all = sum(weights)
        self.has_counted = isinstance(weight_in_all, Tensor) or weight_in_all > 0
        if len(window) == 1 and self.has_counted:
            loss, logits = self._forward(*window[0], self.objective.loss)
            self._backward(loss)
            return loss.detach(), [self._kept(logits)]
        total = torch.zeros((), device=self.placement.device)
        all_logits = []
        for (inputs, targets), weight in zip(window, weights, strict=True):
            function, share = self._part(weight, weight_in_all)
            loss, logits = self._forward(inputs, targets, function)
            if function is not None:
                loss = loss * (share.to(loss.dtype) if isinstance(share, Tensor) else share)
                self._backward(loss)
                total = total + loss.detach()
            all_logits.append(self._kept(logits))
        return total, all_logits

    def _part(self, weight: Weight, weight_in_all: Weight) -> tuple[LossFunction | None, Weight]:
        """The loss of one batch of a window, None where it counts nothing, and its factor in that of the window."""
        if not self.has_counted:
            return None, 0.0
        if self.objective.loss_sum is not None:
            return self.objective.loss_sum, 1 / weight_in_all
        counts = isinstance(weight, Tensor) or weight > 0
        return (self.objective.loss, weight / weight_in_all) if counts else (None, 0.0)

    def update(self) -> None:
        """Change the weights by their gradients: unscaled, clipped, used and cleared.

        A window that counted nothing changes none: momentum or weight decay would, without a gradient, too.
        """
        if not self.has_counted:
            self.optimizer.zero_grad(set_to_none=True)
            return
        if self.after_backward is not None:
            self.after_backward()
        unscales = self.scaler is not None and self.clip_norm > 0
        if self.scaler is not None and unscales:
            self.scaler.unscale_(self.optimizer)
        if self.probe is not None:
            self.probe.before_update(None if unscales else self.scaler)
        if self.clip_norm > 0:
            clip_gradients(self._parameters, self.clip_norm, self._clip_by)
        if self.scaler is not None:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        if self.probe is not None:
            self.probe.after_update()
        self.optimizer.zero_grad(set_to_none=True)

    def rehearse(self, window: Sequence[Batch]) -> None:
        """The forward and backward passes of a step and nothing else: no weight changes, no callbacks."""
        with self.rehearsed(window):
            pass

    @contextmanager
    def rehearsed(self, window: Sequence[Batch]) -> Iterator[None]:
        """Inside this context, gradients are those of a step whose update is left out."""
        with self.unwatched():
            try:
                for inputs, targets in window:
                    self._backward(self._forward(inputs, targets, self.objective.loss)[0])
                yield
            finally:
                self.optimizer.zero_grad(set_to_none=True)

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """Inside this context, no callback or probe sees the step."""
        watchers = self.probe, self.after_forward, self.after_backward
        self.probe = self.after_forward = self.after_backward = None
        try:
            yield
        finally:
            self.probe, self.after_forward, self.after_backward = watchers

    def _kept(self, logits: Tensor) -> Tensor:
        """Logits that outlive the next step."""
        return logits.detach().clone() if self._copies_logits else logits.detach()

    def _forward(self, inputs: Inputs, targets: Tensor, loss: LossFunction | None) -> tuple[Tensor, Tensor]:
        if self.placement.channels_last:
            inputs = channels_last(inputs)
        if self.placement.autocast_dtype is None:
            return self._loss_and_logits(inputs, targets, loss)
        with torch.autocast(self.placement.device.type, dtype=self.placement.autocast_dtype):
            return self._loss_and_logits(inputs, targets, loss)

    def _loss_and_logits(
        self, inputs: Inputs, targets: Tensor, function: LossFunction | None
    ) -> tuple[Tensor, Tensor]:
        output = call_model(self.model, inputs)
        logits = prediction_of(output)
        if not self._is_checked:
            check_prediction(logits, targets, self.objective)
        if function is None:
            loss = torch.zeros((), device=logits.device)
        else:
            loss = function(logits, targets)
            if not isinstance(output, Tensor) and self._auxiliary_weight:
                for auxiliary in auxiliary_predictions(output):
                    loss = loss + self._auxiliary_weight * function(auxiliary, targets)
            if not self._is_checked:
                check_scalar(loss, self.objective.name)
                self._is_checked = True
        if self.after_forward is not None:
            self.after_forward(logits, loss)
        return loss, logits

    def _backward(self, loss: Tensor) -> None:
        if self.scaler is not None:
            self.scaler.scale(loss).backward()
        else:
            loss.backward()


@contextmanager
def buffers_kept(model: nn.Module) -> Iterator[None]:
    """Give the model's buffers back as they were: batch norm must not count a batch twice."""
    saved = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, before in saved:
                buffer.copy_(before)


def check_prediction(prediction: object, targets: Tensor, objective: Objective) -> None:
    """Check what the model predicted for the first batch.

    Raises:
        ConfigError: it isn't a tensor of [B, outputs].
    """
    expected = f"a tensor of [batch, {objective.num_outputs}]"
    if not isinstance(prediction, Tensor):
        raise ConfigError(
            f"the model returned {_described(prediction)}; training needs {expected}, or that tensor as .logits, "
            "under the key logits or out, or as the first of a tuple"
        )
    if tuple(prediction.shape) != (len(targets), objective.num_outputs):
        raise ConfigError(
            f"the model returned a tensor of {list(prediction.shape)} for {len(targets)} samples; "
            f"training needs {expected}: set the number of its outputs to {objective.needed_outputs}"
        )


def _described(value: object) -> str:
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)} ({', '.join(type(item).__name__ for item in value[:4])})"
    if isinstance(value, dict):
        return f"a dict with the keys {', '.join(map(str, list(value)[:4]))}"
    return f"a {type(value).__name__}"
