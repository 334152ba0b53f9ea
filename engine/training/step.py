"""One optimizer step: forward under autocast, backward, unscale, clip, update."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.config import LossConfig
from engine.errors import ConfigError
from engine.inputs import Inputs, call_model, channels_last
from engine.training.placement import Placement
from engine.training.probes import GradientProbe

Batch = tuple[Inputs, Tensor]


class TrainStep:
    """What happens to the weights in one step, on one batch or on a window of accumulated ones.

    Attributes:
        scaler: the GradScaler of an fp16 run, else None.
        clip_norm: largest norm of all gradients together; 0 for no clipping. May change between steps.
        probe: looks at the gradients and the update of the next steps; None for no look.
        is_updating: whether the weights are being changed, after which a step can't be done again.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss: LossConfig,
        placement: Placement,
        *,
        clip_norm: float,
        num_classes: int,
        copies_logits: bool = False,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.clip_norm = clip_norm
        self.probe: GradientProbe | None = None
        self.scaler = torch.amp.GradScaler(placement.device.type) if placement.uses_grad_scaler else None
        self._placement = placement
        self._label_smoothing = loss.label_smoothing
        self._num_classes = num_classes
        self._copies_logits = copies_logits
        self._logits_are_checked = False
        self.is_updating = False
        self._parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def __call__(self, window: Sequence[Batch]) -> tuple[Tensor, list[Tensor]]:
        """Train on a window of batches as if they were one.

        Args:
            window: batches of inputs [B, C, H, W] and targets, class indices [B] or shares of the classes [B, C].

        Returns:
            The mean loss over the window's samples, a scalar on the device, and the logits of each batch.
            Neither is synchronised with the host.
        """
        if len(window) == 1:
            loss, logits = self._forward(*window[0])
            self._backward(loss)
            self._update()
            return loss.detach(), [self._kept(logits)]
        samples = sum(len(targets) for _, targets in window)
        total = torch.zeros((), device=self._placement.device)
        all_logits = []
        for inputs, targets in window:
            loss, logits = self._forward(inputs, targets)
            loss = loss * (len(targets) / samples)
            self._backward(loss)
            total += loss.detach()
            all_logits.append(self._kept(logits))
        self._update()
        return total, all_logits

    def _kept(self, logits: Tensor) -> Tensor:
        """Logits that outlive the next step."""
        return logits.detach().clone() if self._copies_logits else logits.detach()

    def _forward(self, inputs: Inputs, targets: Tensor) -> tuple[Tensor, Tensor]:
        if self._placement.channels_last:
            inputs = channels_last(inputs)
        if self._placement.autocast_dtype is None:
            return self._loss_and_logits(inputs, targets)
        with torch.autocast(self._placement.device.type, dtype=self._placement.autocast_dtype):
            return self._loss_and_logits(inputs, targets)

    def _loss_and_logits(self, inputs: Inputs, targets: Tensor) -> tuple[Tensor, Tensor]:
        logits = call_model(self.model, inputs)
        if not self._logits_are_checked:
            check_logits(logits, targets, self._num_classes)
            self._logits_are_checked = True
        return functional.cross_entropy(logits, targets, label_smoothing=self._label_smoothing), logits

    def _backward(self, loss: Tensor) -> None:
        if self.scaler is not None:
            self.scaler.scale(loss).backward()
        else:
            loss.backward()

    def _update(self) -> None:
        self.is_updating = True
        unscales = self.scaler is not None and self.clip_norm > 0
        if self.scaler is not None and unscales:
            self.scaler.unscale_(self.optimizer)
        if self.probe is not None:
            self.probe.before_update(None if unscales else self.scaler)
        if self.clip_norm > 0:
            nn.utils.clip_grad_norm_(self._parameters, self.clip_norm)
        if self.scaler is not None:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        if self.probe is not None:
            self.probe.after_update()
        self.optimizer.zero_grad(set_to_none=True)
        self.is_updating = False


def check_logits(logits: object, targets: Tensor, num_classes: int) -> None:
    """Check what the model returned for the first batch.

    Raises:
        ConfigError: it isn't a tensor of [B, num_classes].
    """
    expected = f"a tensor of [batch, {num_classes}]"
    if not isinstance(logits, Tensor):
        raise ConfigError(
            f"the model returned {_described(logits)}; training takes {expected}, one score a class: "
            "return the logits alone"
        )
    if tuple(logits.shape) != (len(targets), num_classes):
        raise ConfigError(
            f"the model returned a tensor of {list(logits.shape)} for {len(targets)} samples; "
            f"training takes {expected}: set the number of its outputs to the data's {num_classes} classes"
        )


def _described(value: object) -> str:
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)} ({', '.join(type(item).__name__ for item in value[:4])})"
    if isinstance(value, dict):
        return f"a dict with the keys {', '.join(map(str, list(value)[:4]))}"
    return f"a {type(value).__name__}"
