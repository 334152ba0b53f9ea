"""Activation checkpointing: less memory, the same bits."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18, vit_b_16
from trained import PERCEPTRON

from torchdeck.engine.config.file import parse_config
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.launching.launch import launch
from torchdeck.engine.models.recomputation import recompute_activations
from torchdeck.engine.preflight.memory_estimate import estimate_memory
from torchdeck.engine.training.compute.placement import choose_placement
from torchdeck.engine.training.environment import Conditions, describe_environment, inexact_because

CONVOLUTIONAL = """
name = "case"
[data]
dataset = "digits"
validation = 0.2
[model]
name = "cnn"
[training]
epochs = 2
device = "cpu"
"""


class Block(nn.Module):
    """Batch norm, dropout, and spectral normalization, whose vectors each forward pass moves."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(16)
        self.average = nn.BatchNorm1d(16, momentum=None)
        self.linear = nn.utils.parametrizations.spectral_norm(nn.Linear(16, 16))
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.dropout(torch.relu(self.linear(self.average(self.norm(x)))))


class Listed(nn.Module):
    """Calls the blocks of a list itself."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def trained(model: nn.Module, steps: int = 3) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Weights, buffers and the state of the generator after some steps on random batches."""
    torch.manual_seed(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(steps):
        model(torch.randn(8, 16)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return list(model.parameters()), list(model.buffers()), torch.get_rng_state()


@pytest.mark.parametrize("patterns", [["auto"], ["blocks"], ["blocks.0"], ["*.linear", "head"]])
def test_weights_buffers_and_random_numbers_have_the_same_bits(patterns: Sequence[str]) -> None:
    model = Listed()
    other = copy.deepcopy(model)
    assert recompute_activations(other, patterns)
    # The part to recompute is found in a copy, too.
    for one, same in zip(trained(model), trained(copy.deepcopy(other)), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))


def test_a_second_backward_pass_changes_nothing_either() -> None:
    model = Listed()
    other = copy.deepcopy(model)
    recompute_activations(other, ["auto"])
    for each in (model, other):
        torch.manual_seed(2)
        loss = each(torch.randn(8, 16)).square().mean()
        loss.backward(retain_graph=True)
        loss.backward()
    for (name, one), (_, same) in zip(model.state_dict().items(), other.state_dict().items(), strict=True):
        assert torch.equal(one, same), name
    assert torch.equal(model.head.weight.grad, other.head.weight.grad)


def test_without_gradients_and_in_evaluation_a_model_computes_as_before() -> None:
    model = Listed().eval()
    inputs = torch.randn(4, 16)
    expected = model(inputs)
    recompute_activations(model, ["auto"])
    with torch.no_grad():
        assert torch.equal(model(inputs), expected)
    assert torch.equal(model(inputs), expected)


@pytest.mark.parametrize(
    ("model", "patterns", "expected"),
    [
        (resnet18, ["auto"], [f"layer{layer}.{block}" for layer in (1, 2, 3, 4) for block in (0, 1)]),
        (resnet18, ["layer*"], ["layer1", "layer2", "layer3", "layer4"]),
        (resnet18, ["layer1.0", "layer1", "fc"], ["layer1", "fc"]),
        (vit_b_16, ["auto"], [f"encoder.layers.encoder_layer_{number}" for number in range(12)]),
        (Listed, ["blocks"], ["blocks.0", "blocks.1"]),
    ],
)
def test_auto_names_repeated_blocks_and_of_nested_modules_the_outermost_counts(model, patterns, expected) -> None:
    with torch.device("meta"):
        assert recompute_activations(model(), patterns) == expected


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        (["layr1"], r'training.recompute: "layr1" matches no module.*layer1'),
        ([""], r'training.recompute: "" is empty'),
        (["re:("], "not a valid regular expression"),
    ],
)
def test_a_pattern_that_means_nothing_is_an_error(patterns: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        recompute_activations(resnet18(), patterns)


def test_a_model_without_repeated_blocks_says_so() -> None:
    with pytest.raises(ConfigError, match="this model repeats no block"):
        recompute_activations(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), ["auto"])


def test_the_estimate_counts_what_is_no_longer_kept_and_one_part_that_is_done_again() -> None:
    text = CONVOLUTIONAL.replace('name = "cnn"', 'name = "resnet18"') + "recompute = {}\n[loader]\nbatch_size = 64\n"
    whole, blocks, stages = (
        estimate_memory(parse_config(text.format(patterns), "case"), 10, (3, 64, 64)).activations
        for patterns in ("[]", '["auto"]', '["layer*"]')
    )
    assert blocks < 0.8 * whole
    assert blocks < stages < whole


def final_weights(tmp_path: Path, *overrides: str) -> dict[str, Tensor]:
    run = launch(parse_config(CONVOLUTIONAL, "case", overrides), tmp_path)
    run.join(120)
    assert run.error is None and run.path is not None
    weights: dict[str, Tensor] = torch.load(run.path / "checkpoints" / "last.pt")["model_state_dict"]
    return weights


def test_a_run_has_the_same_bits_and_names_what_it_computes_again(tmp_path: Path) -> None:
    whole = final_weights(tmp_path / "whole")
    again = final_weights(tmp_path / "again", 'training.recompute=["features.*"]')
    assert whole.keys() == again.keys()
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_resume_that_changes_it_is_exact() -> None:
    before = parse_config(PERCEPTRON, "case")
    after = parse_config(PERCEPTRON, "case", ['training.recompute=["auto"]'])
    environment = describe_environment(before, choose_placement(before.training))
    assert inexact_because(Conditions(before, environment, ""), Conditions(after, environment, "")) == []


def test_a_wrong_pattern_is_refused_before_there_is_a_run(tmp_path: Path) -> None:
    run = launch(parse_config(PERCEPTRON, "case", ['training.recompute=["layers9"]']), tmp_path / "runs")
    run.join(60)
    assert "matches no module" in str(run.error)
    assert not list((tmp_path / "runs").glob("case-*"))


def test_a_compiled_model_counts_each_batch_once() -> None:
    model = nn.Sequential(*(nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16)) for _ in range(2)))
    other = copy.deepcopy(model)
    recompute_activations(other, ["*"])
    other.compile(backend="aot_eager")
    for each in (model, other):
        torch.manual_seed(3)
        each(torch.randn(8, 16)).square().mean().backward()
    for (name, one), (_, same) in zip(model.state_dict().items(), other.state_dict().items(), strict=True):
        torch.testing.assert_close(one, same, msg=name)
    torch.testing.assert_close(model[0][0].weight.grad, other[0][0].weight.grad)
