"""Settings that change nothing are told, with the reason."""

from pathlib import Path
from typing import Any

import pytest
import torch
from data_cases import CPU, run_config

from torchdeck.engine.config import LoaderConfig
from torchdeck.engine.preflight.without_effect import draft_without_effect, without_effect

WORKERS = {"loader.prefetch_factor", "loader.persistent_workers", "loader.timeout", "loader.worker_init"}
CUDA = torch.device("cuda")


@pytest.mark.parametrize(
    ("options", "tiers", "device", "idle", "busy"),
    [
        ({}, {"memory"}, CPU, {"loader.num_workers", "loader.pin_memory", *WORKERS}, {"loader.shuffle"}),
        ({}, {"memory"}, CUDA, WORKERS, {"loader.pin_memory"}),
        ({}, {"device"}, CUDA, {"loader.pin_memory"}, set()),
        ({}, {"loader"}, CUDA, WORKERS, {"loader.num_workers", "loader.pin_memory"}),
        ({"num_workers": 2}, {"loader"}, CUDA, set(), {"loader.num_workers", *WORKERS}),
        ({"num_workers": 2}, {"loader", "memory"}, CUDA, set(), WORKERS),
        ({}, {"encoded"}, CUDA, WORKERS, {"loader.num_workers"}),
    ],
)
def test_what_changes_nothing_is_told_with_a_reason(
    options: dict[str, Any], tiers: set[Any], device: torch.device, idle: set[str], busy: set[str]
) -> None:
    reasons = without_effect(LoaderConfig(**options), tiers, device)
    assert idle <= set(reasons) and not busy & set(reasons)
    assert all(reasons.values())


def test_a_draft_is_looked_at_with_its_own_data(tmp_path: Path) -> None:
    kept = draft_without_effect(run_config(dataset="digits", validation=0.2))
    assert kept["loader.num_workers"] == "samples are decoded once and kept, without workers"
    one_by_one = run_config(dataset="digits", validation=0.2, storage="loader")
    assert "loader.num_workers" not in draft_without_effect(one_by_one)
    assert "loader.num_workers" not in draft_without_effect(run_config(dataset=f"{tmp_path}/nothing"))
