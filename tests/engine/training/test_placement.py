import os

import pytest
import torch
from training_cases import case, placement

from torchdeck.engine.errors import ConfigError
from torchdeck.engine.training.compute.placement import (
    Placement,
    choose_placement,
    choose_precision,
    default_num_threads,
    placed,
)

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def test_tf32_on_the_cpu_says_what_to_use() -> None:
    with pytest.raises(ConfigError, match=r"training.precision = 'tf32': cpu has no TF32 units .* fp32 or bf16"):
        choose_placement(case("training.precision=tf32").training)


@without_gpu
def test_a_gpu_on_a_machine_without_one_says_so() -> None:
    with pytest.raises(ConfigError, match=r"'cuda:7': this machine has no GPU that torch can use; use \"auto\""):
        choose_placement(case("training.device=cuda:7").training)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_a_gpu_beyond_the_last_says_how_many_there_are() -> None:
    with pytest.raises(ConfigError, match=rf"'cuda:99': this machine has {torch.cuda.device_count()} GPU"):
        choose_placement(case("training.device=cuda:99").training)


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has Metal")
def test_metal_on_a_machine_without_it_says_so() -> None:
    with pytest.raises(ConfigError, match="'mps': Apple's Metal is not available here"):
        choose_placement(case("training.device=mps").training)


def test_a_device_that_does_not_exist_is_refused_by_the_config() -> None:
    with pytest.raises(ConfigError, match=r"training.device = 'gpu'"):
        case("training.device=gpu")


def test_automatic_precision_on_the_cpu_is_fp32() -> None:
    assert choose_precision("auto", torch.device("cpu")) == "fp32"


def test_one_core_is_left_to_the_screen() -> None:
    assert 1 <= default_num_threads() <= max(1, (os.cpu_count() or 1) - 1)


def switches() -> dict[str, object]:
    return {
        "threads": torch.get_num_threads(),
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "matmul": torch.get_float32_matmul_precision(),
        "cudnn tf32": torch.backends.cudnn.allow_tf32,
        "cudnn benchmark": torch.backends.cudnn.benchmark,
        "cudnn deterministic": torch.backends.cudnn.deterministic,
        "cublas": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    }


def deterministic_placement() -> Placement:
    return placement("training.num_threads=3", "training.deterministic=true")


def test_placed_applies_the_placement_and_restores_every_switch() -> None:
    before = switches()
    with torch.no_grad():
        with placed(deterministic_placement()):
            inside = switches()
        assert not torch.is_grad_enabled()
    assert (inside["threads"], inside["grad"], inside["deterministic"]) == (3, True, True)
    assert switches() == before


def test_placed_restores_switches_that_the_caller_had_set() -> None:
    before = switches()
    try:
        torch.use_deterministic_algorithms(True, warn_only=True)
        mine = switches()
        with placed(placement()):
            assert not torch.are_deterministic_algorithms_enabled()
        assert switches() == mine
    finally:
        torch.use_deterministic_algorithms(bool(before["deterministic"]))


def test_placed_restores_every_switch_when_the_run_fails() -> None:
    before = switches()
    with pytest.raises(RuntimeError, match="boom"), placed(deterministic_placement()):
        raise RuntimeError("boom")
    assert switches() == before


def test_fp16_on_a_processor_that_torch_has_no_kernels_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*arguments: object) -> None:
        raise RuntimeError("\"slow_conv2d_cpu\" not implemented for 'Half'")

    monkeypatch.setattr(torch.nn.functional, "conv2d", missing)
    with pytest.raises(ConfigError, match=r"'fp16': torch does not support it .*not implemented.* use fp32 or bf16"):
        choose_precision("fp16", torch.device("cpu"))
