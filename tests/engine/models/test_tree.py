"""The tree of a model's modules: counts, shapes and operations, without its weights."""

import json
import random

import numpy as np
import pytest
import torch
from campaign import is_full_campaign
from reference_models import CASES, Aliased, BrokenRepresentation, Case, Mismatched, Tied, nested
from torch import nn

from torchdeck.engine.config import ModelConfig
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.models.catalog import list_models
from torchdeck.engine.models.module_tree import ModelReport, ModuleRow, inspect_factory, inspect_model, report_json


def row(report: ModelReport, path: str) -> ModuleRow:
    return next(row for row in report.modules if row.path == path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_reference_model_has_its_known_counts(case: Case) -> None:
    report = inspect_factory(case.make, case.inputs)
    assert (report.params, report.trainable, report.buffers) == (case.params, case.trainable, case.buffers)
    assert report.error is None
    if case.flops is not None:
        assert report.flops == case.flops
    assert (report.note or "").startswith("run with real weights") == case.needs_values


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_counts_of_every_subtree_are_those_of_torch(case: Case) -> None:
    report = inspect_factory(case.make, case.inputs)
    model = case.make()
    with torch.no_grad():
        model.eval()(*case.inputs())
    for entry in report.modules:
        module = model.get_submodule(entry.path)
        assert entry.params == sum(parameter.numel() for parameter in module.parameters())
        assert entry.buffers == sum(buffer.numel() for buffer in module.buffers())
    assert sum(entry.own_params for entry in report.modules) == report.params


def test_a_tied_weight_counts_once_and_says_with_whom_it_is_shared() -> None:
    report = inspect_factory(Tied, lambda: (torch.zeros(2, 3, dtype=torch.long),))
    assert report.params == 40
    assert row(report, "head").params == 40
    assert row(report, "head").own_params == 0
    assert row(report, "head").shared == ["weight = emb.weight"]


def test_a_module_under_two_names_is_listed_as_an_alias() -> None:
    report = inspect_factory(Aliased, lambda: (torch.zeros(2, 4),))
    assert row(report, "b").alias_of == "a"
    assert row(report, "a").calls == row(report, "b").calls == 2
    assert row(report, "a").flops == report.flops == 128


def test_a_lazy_module_is_uninitialized_until_a_forward_reaches_it() -> None:
    def make() -> nn.Module:
        return nn.Sequential(Mismatched(), nn.LazyLinear(5))

    report = inspect_factory(make, lambda: (torch.zeros(2, 4),))
    assert row(report, "1").uninitialized
    assert row(report, "1").params == 0


def test_a_forward_that_fails_gives_the_tree_up_to_the_module_that_failed() -> None:
    report = inspect_factory(Mismatched, lambda: (torch.zeros(2, 4),))
    assert report.error is not None
    assert "stopped in b (Linear), given [2, 6]" in report.error
    assert row(report, "a").output_shape == [2, 6]
    assert row(report, "a").flops == 96
    assert row(report, "b").output_shape is None
    assert report.flops is None
    assert report.params == 42


def test_an_extra_repr_that_raises_is_named_and_does_no_harm() -> None:
    report = inspect_factory(lambda: BrokenRepresentation(4, 3), lambda: (torch.zeros(2, 4),))
    assert report.modules[0].extra == "extra_repr raised ValueError"


def test_a_nest_too_deep_for_recursion_still_has_a_tree() -> None:
    report = inspect_factory(lambda: nested(5000), lambda: (torch.zeros(1, 2),))
    assert report.params == 6
    assert len(report.modules) == 5001
    assert report.modules[-1].depth == 5000
    assert report.error is not None
    assert "RecursionError" in report.error


def test_a_module_that_contains_itself_has_a_tree() -> None:
    def make() -> nn.Module:
        model = nn.Sequential(nn.Linear(2, 2))
        model[0].add_module("up", model)
        return model

    report = inspect_factory(make, lambda: (torch.zeros(1, 2),))
    assert report.params == 6
    assert row(report, "0.up").alias_of == ""


def test_a_model_too_large_for_memory_is_inspected() -> None:
    report = inspect_model(
        ModelConfig.model_validate({"name": "mlp", "hidden": [1_000_000, 1_000_000]}), 10, (1, 28, 28)
    )
    assert report.params == 784 * 10**6 + 10**6 + 10**12 + 10**6 + 10**7 + 10
    assert report.error is None


@pytest.mark.parametrize("name", ["resnet18", "vit_b_16", "googlenet"])
def test_inspecting_moves_no_random_stream(name: str) -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    inspect_model(ModelConfig(name=name))
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_running_with_real_weights_moves_no_random_stream() -> None:
    class NeedsValues(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x) * self.linear(x).sum().item()

    before = torch.get_rng_state()
    report = inspect_factory(NeedsValues, lambda: (torch.zeros(1, 4),))
    assert report.note is not None
    assert torch.equal(before, torch.get_rng_state())


A_FEW = ["resnet50", "mobilenet_v3_small", "vit_b_16", "swin_t", "regnet_y_400mf", "googlenet", "inception_v3"]
PUBLISHED = {entry.name: entry for entry in list_models() if entry.source == "torchvision"}


def check_against_publication(name: str) -> None:
    report = inspect_model(ModelConfig(name=name))
    published = PUBLISHED[name]
    assert report.error is None
    assert report.modules[0].output_shape == [1, 1000]
    if name == "googlenet":
        # Its published weights leave the auxiliary classifiers out of the count.
        assert report.params - row(report, "aux1").params - row(report, "aux2").params == published.params
    else:
        assert report.params == published.params
    # Published with three decimals, in billions of multiply-adds.
    assert report.flops is not None and published.gflops is not None
    assert report.flops / 1e9 == pytest.approx(published.gflops, rel=0.002, abs=0.0015)


@pytest.mark.campaign
@pytest.mark.parametrize("name", PUBLISHED if is_full_campaign() else A_FEW)
def test_a_torchvision_model_has_its_published_size(name: str) -> None:
    check_against_publication(name)


def test_the_tree_is_that_of_the_model_built_for_the_data() -> None:
    config = ModelConfig(name="resnet18", freeze=["*", "!fc", "nothing"])
    report = inspect_model(config, 10, (1, 28, 28))
    assert row(report, "fc").output_shape == [1, 10]
    assert row(report, "conv1").params == 64 * 49
    assert report.trainable == row(report, "fc").params == 5130
    assert report.note is not None
    assert '"nothing" matches no parameter' in report.note


def test_a_sample_too_small_for_the_model_names_the_module() -> None:
    report = inspect_model(ModelConfig(name="alexnet"), 10, (1, 8, 8))
    assert report.error is not None
    assert "features.2 (MaxPool2d), given [1, 64, 1, 1]" in report.error


def test_an_unknown_model_is_an_error() -> None:
    with pytest.raises(ConfigError, match="did you mean 'resnet18'"):
        inspect_model(ModelConfig(name="resnet_18"))


def test_the_report_is_a_json_document() -> None:
    document = json.loads(json.dumps(report_json(inspect_model(ModelConfig(name="mlp")))))
    assert document["params"] == document["trainable"] == 669_706
    assert document["buffers"] == 0
    assert document["flops"] == 2 * (784 * 512 + 512 * 512 + 512 * 10)
    last = document["modules"][-1]
    assert (last["path"], last["type"], last["params"], last["output_shape"]) == ("5", "Linear", 5130, [1, 10])
