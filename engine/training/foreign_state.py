"""Starting from the checkpoint of another loop: weights, optimizer state and epoch, as PyTorch's tutorial has it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..distributed.sharded_tensors import fitted_model_state, fitted_optimizer_state
from ..errors import CheckpointError
from .optimization.schedules import advance
from .state import RunState

# What the next step depends on and such a file does not hold.
NOT_EXACT = (
    "the number of epochs: taken as completed, as the file says; a loop that counts from 0 has completed one more",
    "the schedule: its rates are those of this run's config after as many epochs",
    "randomness: order of samples, augmentation and dropout are those of this run's seed",
    "the position inside an epoch: training continues at the beginning of the next one",
)


@dataclass(frozen=True)
class ForeignState:
    """The state in a file of another loop, which fits a run that is prepared.

    Attributes:
        model_state_dict: a tensor for each of the model's.
        optimizer_states: what the optimizer keeps of each parameter, by the parameter's name; None: it starts afresh.
        epoch: epochs completed.
    """

    model_state_dict: dict[str, Tensor]
    optimizer_states: dict[str, dict[str, Any]] | None
    epoch: int

    def restore_into(self, state: RunState) -> None:
        """Take it over into the state of a run before its first step."""
        own = state.model.state_dict(keep_vars=True)
        state.model.load_state_dict(fitted_model_state(self.model_state_dict, own))
        if state.averages is not None:
            state.averages.own_was_loaded()
            state.averages.restart()
        if self.optimizer_states is not None:
            _restore_optimizer(state.model, state.optimizer, self.optimizer_states)
        advance(state.schedule, state.optimizer, epochs=self.epoch, steps_per_epoch=state.steps_per_epoch)
        state.position.update(epoch=self.epoch, step=self.epoch * state.steps_per_epoch, step_in_epoch=0)


def states_by_parameter(saved: object, model: nn.Module, own: torch.optim.Optimizer) -> dict[str, dict[str, Any]]:
    """What a saved optimizer keeps of each parameter of a model.

    Such a file numbers the parameters in the order in which the optimizer got them, which is that of
    `model.parameters()`, either all of them or those that are trained.

    Args:
        saved: an optimizer's state_dict, from a file.
        model: the model of the run, with what is frozen set.
        own: the optimizer of the run.

    Returns:
        A state for each parameter that had one, by the parameter's name.

    Raises:
        CheckpointError: it is no optimizer's state, of another optimizer, or of other parameters.
    """
    if not isinstance(saved, dict) or not isinstance(saved.get("state"), dict):
        raise CheckpointError("is not the state_dict of an optimizer: it has no 'state'")
    groups = saved.get("param_groups")
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise CheckpointError("is not the state_dict of an optimizer: it has no 'param_groups'")
    named = dict(model.named_parameters())
    trained = {name: parameter for name, parameter in named.items() if parameter.requires_grad}
    numbers = sorted(number for group in groups for number in group.get("params", []))
    order = next((list(some) for some in (trained, named) if len(some) == len(numbers)), None)
    if order is None:
        raise CheckpointError(
            f"is of {len(numbers)} parameters; the model has {len(named)}, of which {len(trained)} are trained"
        )
    _check_same_optimizer(saved["state"], own)
    found: dict[str, dict[str, Any]] = {}
    for number, name in zip(numbers, order, strict=True):
        kept = saved["state"].get(number)
        if kept and name in trained:
            _check_shapes(name, named[name], kept)
            found[name] = dict(kept)
    return found


def _check_shapes(name: str, parameter: Tensor, kept: Mapping[str, Any]) -> None:
    for key, value in kept.items():
        if isinstance(value, Tensor) and value.dim() and value.shape != parameter.shape:
            raise CheckpointError(
                f"does not fit: {key} of {name} is {list(value.shape)} in the file, and the parameter is "
                f"{list(parameter.shape)}"
            )


def _check_same_optimizer(states: Mapping[Any, Any], own: torch.optim.Optimizer) -> None:
    """Compare what the file keeps of a parameter with what this run's optimizer keeps after a step."""
    if not type(own).__module__.startswith("torch.optim."):
        # One of the user's: its own load_state_dict decides.
        return
    kept = next((_kept(state) for state in states.values() if isinstance(state, dict) and state), set())
    expected = _kept_after_a_step(own)
    if kept != expected:
        raise CheckpointError(
            f"is of another optimizer: it keeps {_listed(kept)} of each parameter, and {type(own).__name__} of this "
            f"run's config keeps {_listed(expected)}"
        )


def _kept_after_a_step(own: torch.optim.Optimizer) -> set[str]:
    """The names of what one of torch's optimizers keeps of a parameter: another with the same arguments is tried."""
    accepted = inspect.signature(type(own)).parameters
    options = {name: value for name, value in own.param_groups[0].items() if name in accepted and name != "params"}
    tried = nn.Parameter(torch.zeros(2, 2))
    tried.grad = torch.ones(2, 2)
    other = type(own)([tried], **options)
    other.step()
    return _kept(other.state[tried])


def _kept(state: Mapping[str, Any]) -> set[str]:
    return {name for name, value in state.items() if value is not None}


def _restore_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, states: Mapping[str, dict[str, Any]]
) -> None:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    content = optimizer.state_dict()
    numbered = dict(_numbered(content["param_groups"], optimizer, names))
    content["state"] = {number: states[name] for number, name in numbered.items() if name in states}
    optimizer.load_state_dict(fitted_optimizer_state(content, optimizer))


def _numbered(
    groups: Sequence[Mapping[str, Any]], optimizer: torch.optim.Optimizer, names: Mapping[int, str]
) -> Iterator[tuple[int, str]]:
    for saved, group in zip(groups, optimizer.param_groups, strict=True):
        for number, parameter in zip(saved["params"], group["params"], strict=True):
            yield number, names[id(parameter)]


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
