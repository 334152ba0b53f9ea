"""The modules of a model as a tree, with counts and shapes, without allocating its weights."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import nn

from ..config import ModelConfig
from ..inputs import Inputs as ModelInputs
from ..inputs import map_tensors, one_sample, tensors_of
from ..randomness import generators_kept
from ..shapes import Shape, shape_words
from ..user_code import user_location
from .architecture import (
    build_architecture,
    build_unloaded,
    check_architecture,
    own_input_shape,
    source_of,
    takes_num_classes,
    unwrapped,
)
from .freezing import freeze_notes
from .initialization import plan_init
from .libraries.timm_models import timm_input_shape
from .libraries.torchvision_models import default_image_size
from .nets.builtin import example_shape
from .tree.counts import ModuleCounts, count_modules
from .tree.forward import ForwardTrace, trace_forward
from .tree.meta_build import build_weightless
from .tree.module_details import (
    TensorRow,
    attribute_rows,
    buffer_rows,
    common_dtype,
    docstring,
    documentation,
    parameter_rows,
)
from .tree.walk import walk
from .weights import head_names

REAL_FORWARD_PARAMS = 100_000_000
"""A model that can't run without values is run with real weights up to this many parameters."""

_LONGEST_EXTRA = 400
_ANY_CLASSES = 10

Factory = Callable[[], nn.Module]
Inputs = Callable[[], ModelInputs]


@dataclass(frozen=True)
class ModuleRow:
    """One place in the tree of modules. Counts are in elements.

    Attributes:
        path: dotted name; "" for the model itself.
        type: class name.
        depth: 0 for the model itself.
        own_params: its own parameters, those of an earlier row not counted again: they add up to the model's.
        params: parameters at and below it, each once.
        trainable: how many of those are trained.
        buffers: elements of the buffers at and below it, each once.
        output_shape: shape of the first tensor its first call returned, with the batch dimension; None when it did
            not run or returned no tensor.
        flops: operations at and below it in the tree; None when not known.
        calls: how often it ran in one forward.
        extra: its arguments, as `print(model)` shows them.
        alias_of: path of the row where the same module is listed first; None for a first listing.
        shared: its parameters that an earlier row holds too, as "weight = embedding.weight".
        uninitialized: whether it has parameters whose shape is unknown until the first forward pass.
        dtype: dtype of its own parameters, or else of its own buffers; "mixed" for several, empty for none.
        training: whether it is in training mode when a run begins; a frozen normalization layer is not.
        parameters: its own parameters.
        own_buffers: its own buffers.
        own_attributes: tensors that are plain attributes of it.
    """

    path: str
    type: str
    depth: int
    own_params: int
    params: int
    trainable: int
    buffers: int
    output_shape: list[int] | None
    flops: int | None
    calls: int
    extra: str
    alias_of: str | None
    shared: list[str]
    uninitialized: bool
    dtype: str
    training: bool
    parameters: list[TensorRow]
    own_buffers: list[TensorRow]
    own_attributes: list[TensorRow]


@dataclass(frozen=True)
class ModelReport:
    """Module tree of a model with parameter counts, in elements.

    Attributes:
        params: parameters, a shared one once.
        trainable: how many of them are trained.
        buffers: elements of the buffers.
        flops: floating-point operations to classify one sample (matrix products and convolutions; a multiply-add
            counts as two); None when the forward did not run to its end.
        input_shape: shape of the sample that went through it; of each part where it has several.
        modules: the tree, parents first.
        output_shapes: shapes of what the model returned, with a batch dimension of 1.
        docs: docstring summary of each module type, by type name.
        docstrings: whole docstring of each module type, by type name.
        prediction_shape: shape of the one among them that is trained; None when there is none.
        note: remark for the user, such as an assumption.
        error: why the forward stopped, and in which module; None when it ran to its end.
    """

    params: int
    trainable: int
    buffers: int
    flops: int | None
    input_shape: list[Any] | dict[str, Any]
    modules: list[ModuleRow]
    output_shapes: list[list[int]] = field(default_factory=list)
    docs: dict[str, str] = field(default_factory=dict)
    docstrings: dict[str, str] = field(default_factory=dict)
    prediction_shape: list[int] | None = None
    note: str | None = None
    error: str | None = None


def inspect_model(
    config: ModelConfig,
    num_classes: int | None = None,
    input_shape: Shape | None = None,
    example: ModelInputs | None = None,
) -> ModelReport:
    """Take apart the model that `build_model` would build, without its weights and without moving a random stream.

    The parameters are on torch's meta device, and so is the sample: nothing is allocated and nothing computed. A
    user's model that needs values to run is run for real when it has at most `REAL_FORWARD_PARAMS`
    parameters. A forward
    that fails still gives the tree, with shapes up to the module that failed.

    Call it where no run trains: torch's random streams are shared by the threads of a process.

    Args:
        config: the model section.
        num_classes: number of classes; None for the model as its author publishes it, 10 where that asks for a number.
        input_shape: shape of one sample; None for what torchvision's weights were trained on, 1×28×28 for a built-in
            model, 3×224×224 for the user's.
        example: a batch of one sample to run it on; None for zeros of `input_shape`.

    Raises:
        ConfigError, UserCodeError: the model can't be built.
    """
    check_architecture(config)
    source = source_of(config)
    shape = input_shape if input_shape is not None else default_input_shape(config)
    notes = []
    if input_shape is None:
        notes.append(f"for a sample of {shape_words(shape)}")
    if num_classes is None and source == "built-in":
        notes.append("for 10 classes")

    head = _head_beside_trained(config, num_classes, shape)

    def make() -> nn.Module:
        model, rules = build_unloaded(config, num_classes, shape)
        loaded = set(model.state_dict()).difference(head) if head is not None else ()
        plans = [plan.describe() for plan in plan_init(model, config.init, loaded)]
        notes.extend(note for note in [*freeze_notes(model, rules), *plans] if note not in notes)
        return model

    def inputs() -> ModelInputs:
        device = torch.get_default_device()
        return map_tensors(lambda tensor: tensor.to(device), one_sample(shape) if example is None else example)

    report = inspect_factory(make, inputs, allow_real=source == "user", input_shape=shape)
    if report.note:
        notes.append(report.note)
    return replace(report, note="; ".join(notes) or None)


def inspect_factory(make: Factory, inputs: Inputs, *, allow_real: bool = True, input_shape: Shape = ()) -> ModelReport:
    """Take apart what `make` returns, run once in eval mode on what `inputs` returns.

    Args:
        make: builds the model; called again when it can't be built or run without values.
        inputs: arguments of the forward; made on the meta device unless the run is for real.
        allow_real: whether it may be built and run with real weights when it can't be without.
        input_shape: input shape for the report.

    Raises:
        Exception: any exception of `make`.
    """
    with generators_kept():
        try:
            model = build_weightless(lambda: unwrapped(make()))
        except Exception:
            # Either it computes with values in its constructor, or it fails in any case, and says so now.
            if not allow_real:
                raise
        else:
            with torch.device("meta"):
                trace = _trace(model, inputs)
            report = _report(model, trace, input_shape)
            if trace.error is None or not allow_real:
                return report
            if report.params > REAL_FORWARD_PARAMS:
                note = f"not run with real weights: more than {REAL_FORWARD_PARAMS / 1e6:g} million parameters"
                return replace(report, note=note)
        model = unwrapped(make())
        trace = _trace(model, inputs)
        report = _report(model, trace, input_shape)
        return report if trace.error else replace(report, note="run with real weights, as it needs their values")


def inspect_instance(model: nn.Module, inputs: ModelInputs) -> ModelReport:
    """Take apart a model that is there: it runs once on `inputs`, in eval mode, and is left as it was.

    Args:
        model: the model, with weights.
        inputs: a batch, on the model's device.
    """
    sample = next(tensors_of(inputs))
    with generators_kept():
        return _report(model, _trace(model, lambda: inputs), tuple(sample.shape[1:]))


def _head_beside_trained(config: ModelConfig, num_classes: int | None, shape: Shape) -> set[str] | None:
    """What stays fresh beside the trained weights that the config asks for; None when it asks for none.

    Only needed to find what initialization rules match.
    """
    if not config.init or not (config.pretrained or config.weights):
        return None
    if not takes_num_classes(config):
        return set()
    return head_names(lambda classes: build_architecture(config, classes, shape), num_classes or _ANY_CLASSES)


def report_json(report: ModelReport) -> dict[str, Any]:
    """The report as a JSON document: params, trainable, buffers, flops, modules and the rest, but whole docstrings."""
    document = asdict(report)
    del document["docstrings"]
    return document


def _trace(model: nn.Module, inputs: Inputs) -> ForwardTrace:
    # In eval mode: a batch norm refuses a single value a channel in training, and the sample has no company.
    modes = [(visit.module, visit.module.training) for visit in walk(model)]
    for module, _ in modes:
        module.training = False
    try:
        return trace_forward(model, inputs())
    finally:
        for module, training in modes:
            module.training = training


def _report(model: nn.Module, trace: ForwardTrace, input_shape: Shape) -> ModelReport:
    counts = count_modules(model)
    flops = _flops_below(counts, trace)
    rows = [_row(entry, trace, total) for entry, total in zip(counts, flops, strict=True)]
    root = rows[0]
    return ModelReport(
        params=root.params,
        trainable=root.trainable,
        buffers=root.buffers,
        flops=root.flops,
        input_shape=dict(input_shape) if isinstance(input_shape, dict) else list(input_shape),
        modules=rows,
        output_shapes=trace.output_shapes,
        docs={
            kind.__name__: text
            for kind in dict.fromkeys(type(entry.visit.module) for entry in counts)
            if (text := documentation(kind))
        },
        docstrings={type(entry.visit.module).__name__: docstring(type(entry.visit.module)) for entry in counts},
        prediction_shape=trace.prediction_shape,
        error=None if trace.error is None else _describe(model, trace, trace.error),
    )


def _flops_below(counts: list[ModuleCounts], trace: ForwardTrace) -> list[int]:
    """Operations at and below every place; those of a shared module where it is listed first."""
    totals = [0] * len(counts)
    for index in range(len(counts) - 1, -1, -1):
        visit = counts[index].visit
        if visit.alias_of is None:
            totals[index] += trace.modules[visit.path].flops
        if visit.parent >= 0:
            totals[visit.parent] += totals[index]
    first = {entry.visit.path: total for entry, total in zip(counts, totals, strict=True)}
    return [
        total if entry.visit.alias_of is None else first[entry.visit.alias_of]
        for entry, total in zip(counts, totals, strict=True)
    ]


def _row(entry: ModuleCounts, trace: ForwardTrace, flops: int) -> ModuleRow:
    visit = entry.visit
    calls = trace.modules[visit.path if visit.alias_of is None else visit.alias_of]
    # What ran when the forward stopped is not all that the module does.
    is_known = trace.error is None or calls.calls > 0
    parameters, buffers = parameter_rows(visit.module), buffer_rows(visit.module)
    return ModuleRow(
        path=visit.path,
        type=type(visit.module).__name__,
        depth=visit.depth,
        own_params=entry.own_params,
        params=entry.params,
        trainable=entry.trainable,
        buffers=entry.buffers,
        output_shape=calls.output_shape,
        flops=flops if is_known else None,
        calls=calls.calls,
        extra=_extra(visit.module),
        alias_of=visit.alias_of,
        shared=list(entry.shared),
        uninitialized=entry.uninitialized,
        dtype=common_dtype(parameters or buffers),
        training=visit.module.training,
        parameters=parameters,
        own_buffers=buffers,
        own_attributes=attribute_rows(visit.module),
    )


def _extra(module: nn.Module) -> str:
    try:
        text = str(module.extra_repr())
    except Exception as error:
        return f"extra_repr raised {type(error).__name__}"
    return " ".join(text.split())[:_LONGEST_EXTRA]


def _describe(model: nn.Module, trace: ForwardTrace, error: Exception) -> str:
    """Where a forward stopped, on what, and why."""
    stopped = next((visit.module for visit in walk(model) if visit.path == trace.stopped_in), model)
    name = type(stopped).__name__
    module = f"{trace.stopped_in} ({name})" if trace.stopped_in else name
    shapes = ", ".join(map(str, trace.stopped_input)) or "no tensor"
    text = "".join(traceback.format_exception_only(error)).strip()
    line = user_location(error)
    return f"the forward stopped in {module}, given {shapes}: {text}" + (f" ({line})" if line else "")


def default_input_shape(config: ModelConfig) -> tuple[int, ...]:
    """The shape of one sample that a model is shown for where no data say it."""
    source = source_of(config)
    if source == "built-in":
        return example_shape(config.name)
    if source == "timm":
        return timm_input_shape(config.name)
    if source == "torchvision":
        side = default_image_size(config.name)
        return (3, side, side)
    return own_input_shape(config) or (3, 224, 224)
