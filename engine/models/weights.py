"""Starting from the weights in a file: what of it fits the model, and loading that."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..errors import CheckpointError
from ..randomness import generators_kept
from ..runs.saving.checkpoint import load_tensors
from ..tensor_files.checkpoint_file import CheckpointReport, inspect_checkpoint
from ..user_path import user_path
from .tree.meta_build import build_weightless
from .weights_mapping import Shape, Shapes, WeightsMapping, map_weights


@dataclass(frozen=True)
class WeightsPreview:
    """Preview of loading a file into a model; nothing is loaded.

    Attributes:
        file: the file.
        format: "torch zip", "torch legacy" or "safetensors".
        mapping: the file's tensors against the model's.
        head: names in the model whose shape follows from the number of classes: these may stay fresh.
        tensors: how many tensors the model has.
    """

    file: Path
    format: str
    mapping: WeightsMapping
    head: list[str]
    tensors: int

    @property
    def problem(self) -> str:
        """Reason why the file can't be loaded; empty if it can."""
        return problem_of(self.mapping, self.head)


def problem_of(mapping: WeightsMapping, head: Collection[str]) -> str:
    """Why a mapping does not do: nothing fits, or something besides the head doesn't; empty when it does."""
    left = mapping.without(head)
    return left.describe() if left.missing or left.different or not mapping.matched else ""


def weights_of_file(path: str) -> tuple[CheckpointReport, Shapes]:
    """A file's report and the shapes of its tensors by name, read from its tables without torch.

    Raises:
        CheckpointError: no such file, or it can't be read safely.
    """
    file = user_path(path)
    if not file.exists():
        raise CheckpointError(f"model.weights: no such file: {file.absolute()}")
    report = inspect_checkpoint(file)
    return report, {tensor.name: tensor.shape for tensor in report.tensors}


def preview_weights(path: str, entry: str, model: nn.Module, head: Collection[str]) -> WeightsPreview:
    """What `load_weights_file` with the same arguments would do. The model may lie on the meta device.

    Raises:
        CheckpointError: the file can't be read safely or holds no weights.
    """
    report, shapes = weights_of_file(path)
    own = model_shapes(model)
    return WeightsPreview(report.path, report.format, _map(report, shapes, own, entry), sorted(head), len(own))


@dataclass(frozen=True)
class LoadedWeights:
    """Result of loading weights into a model.

    Attributes:
        names: the model's tensors that hold trained weights now.
        note: where they are from, what stayed fresh, what of the file was not used.
    """

    names: set[str]
    note: str


def load_weights_file(model: nn.Module, path: str, entry: str, head: Collection[str]) -> LoadedWeights:
    """Load the weights of a local file into a model, in place. No code from the file runs.

    Takes a state_dict, or a checkpoint that holds one, as torch or safetensors save it, or a pickled model, of which
    only the tensors are read; what programs and wrappers put before names is stripped. The head may differ: it then
    keeps its fresh weights.

    Args:
        model: built, on the CPU.
        path: the file.
        entry: the entry of the file to look in; empty for anywhere.
        head: names of the tensors whose shape follows from the number of classes.

    Raises:
        CheckpointError: the file can't be read safely, or something besides the head doesn't fit.
    """
    report, shapes = weights_of_file(path)
    mapping = _map(report, shapes, model_shapes(model), entry)
    if problem := problem_of(mapping, head):
        raise CheckpointError(f"model.weights: {report.path} does not fit the model: {problem}")
    tensors = load_tensors(report.path, set(mapping.matched.values()))
    return copy_weights(model, tensors, mapping, report.path.name)


def _map(report: CheckpointReport, shapes: Shapes, own: Shapes, entry: str) -> WeightsMapping:
    try:
        return map_weights(shapes, own, entry)
    except CheckpointError as error:
        held = f"; has {', '.join(report.keys[:5])}" if report.keys and not shapes else ""
        raise CheckpointError(f"model.weights: {report.path} {error}{held}") from None


def head_names(make: Callable[[int], nn.Module], num_classes: int) -> set[str]:
    """Names of the tensors whose shape follows from the number of classes.

    Builds the model twice without weights, for `num_classes` and for one more, and compares.
    """
    with generators_kept():
        shapes = model_shapes(build_weightless(lambda: make(num_classes)))
        others = model_shapes(build_weightless(lambda: make(num_classes + 1)))
    return {name for name, shape in shapes.items() if others.get(name) != shape}


def model_shapes(model: nn.Module) -> dict[str, Shape]:
    """Shapes of a model's state_dict; a lazy tensor whose shape is not known yet is left out."""
    return {name: tuple(tensor.shape) for name, tensor in _tensors(model).items() if not is_lazy(tensor)}


def copy_weights(model: nn.Module, state: Mapping[str, Tensor], mapping: WeightsMapping, origin: str) -> LoadedWeights:
    """Copy the tensors that match into a model, in place; `origin` is for the note."""
    own = _tensors(model)
    with torch.no_grad():
        for name, in_file in mapping.matched.items():
            own[name].copy_(state[in_file])
    left = mapping.describe()
    below = f" below {mapping.prefix}" if mapping.prefix else ""
    others = f"; also available: {', '.join(mapping.alternatives)}" if mapping.alternatives else ""
    note = f"weights from {origin}{below}: {len(mapping.matched)} of {len(own)} tensors"
    return LoadedWeights(set(mapping.matched), note + others + (f"; {left}" if left else ""))


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if isinstance(tensor, Tensor)}
