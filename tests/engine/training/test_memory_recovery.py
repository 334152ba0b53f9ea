"""Running out of memory: the run continues in smaller parts, with the step of the whole batch, and reports it."""

from pathlib import Path

import pytest
import torch
from kill_and_resume import differences, history_of, state_of
from torch import nn
from training_cases import (
    case,
    events_of,
    finished,
    reader_of,
    resume_copy,
    train,
    weights_of,
    write_model,
)

from torchdeck.engine.launching.launch import LaunchedRun, launch
from torchdeck.engine.training.compute.memory_recovery import RecoveringEvaluation, is_out_of_memory, parts_of
from torchdeck.engine.training.compute.step import Batch

NO_CHANCE = ["data.train_transforms=[]", "optimizer.name=SGD", "optimizer.lr=0.1"]


def greedy_model(folder: Path, limit: int, only_if: str = "") -> str:
    """A model that runs out of memory on more than `limit` samples."""
    spec = write_model(
        folder,
        f"if {only_if}len(x) > {limit}:\n"
        "    raise torch.OutOfMemoryError(f'CUDA out of memory. Tried to allocate {len(x)} GiB.\\nmore')\n"
        "return self.fc(x.flatten(1))",
    )
    return f"model={{name='{spec}'}}"


def test_a_batch_that_does_not_fit_is_trained_in_parts_with_the_same_step(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", *NO_CHANCE, greedy_model(tmp_path, 1000))
    split = train(tmp_path / "split", *NO_CHANCE, greedy_model(tmp_path, 40))
    first, second = events_of(split, "out_of_memory")[:2]
    assert (first["largest_part"], second["largest_part"], second["step"]) == (64, 32, 0)
    assert first["text"] == (
        "out of memory: training continues in parts of 64 samples (CUDA out of memory. Tried to allocate 128 GiB.)"
    )
    for name, weight in weights_of(split).items():
        torch.testing.assert_close(weight, weights_of(whole)[name], rtol=1e-5, atol=1e-6)
    assert reader_of(split).series("train/loss")[1] == pytest.approx(
        reader_of(whole).series("train/loss")[1], rel=1e-4
    )
    assert reader_of(split).state()["largest_part"] == 32


def test_evaluation_goes_on_in_parts_too(tmp_path: Path) -> None:
    overrides = [*NO_CHANCE, "loader.batch_size=32", "training.epochs=1"]
    path = train(tmp_path / "split", *overrides, greedy_model(tmp_path, 70))
    assert [event["largest_part"] for event in events_of(path, "out_of_memory")] == [128, 64]
    whole = train(tmp_path / "whole", *overrides, greedy_model(tmp_path, 1000))
    assert reader_of(path).latest_metrics() == pytest.approx(reader_of(whole).latest_metrics())


def test_a_resume_goes_on_in_the_same_parts_bit_for_bit(tmp_path: Path) -> None:
    reference = train(tmp_path / "whole", greedy_model(tmp_path, 40), "checkpoint.every_steps=3")
    resumed = resume_copy(reference, tmp_path / "resumed", "step-000000003.pt")
    assert differences(state_of(resumed), state_of(reference)) == []
    assert history_of(resumed) == history_of(reference)


def test_single_samples_that_do_not_fit_end_the_run_with_a_remedy(tmp_path: Path) -> None:
    run: LaunchedRun = launch(case(greedy_model(tmp_path, 0, "self.training and ")), tmp_path / "runs")
    run.join()
    assert run.status == "failed"
    assert run.path is not None
    error = reader_of(run.path).state()["error"]
    assert error.startswith("out of memory: CUDA out of memory. Tried to allocate 1 GiB.")


def test_statistics_of_a_batch_that_ran_out_are_not_counted_twice(tmp_path: Path) -> None:
    spec = write_model(
        tmp_path,
        "x = self.norm(x.flatten(1))\n"
        "if len(x) > 64 and self.training:\n    raise torch.OutOfMemoryError('no room')\n"
        "return self.fc(x)",
        more="self.norm = nn.BatchNorm1d(64)",
    )
    path = finished(launch(case(f"model={{name='{spec}'}}", "loader.drop_last=true"), tmp_path / "runs"))
    # 4 full batches per epoch, 2 epochs, 2 parts.
    assert int(weights_of(path)["norm.num_batches_tracked"]) == 16


def test_parts_are_nearly_equal_and_in_order() -> None:
    batch = (torch.arange(10.0)[:, None], torch.arange(10))
    parts = parts_of(batch, 4)
    assert [len(targets) for _, targets in parts] == [4, 3, 3]
    assert torch.equal(torch.cat([targets for _, targets in parts]), batch[1])


def test_only_the_batch_that_did_not_fit_is_evaluated_again() -> None:
    done: list[int] = []

    def work(batch: Batch) -> int:
        samples = len(batch[1])
        if samples > 30:
            raise torch.OutOfMemoryError("no room")
        done.append(samples)
        return samples

    said: list[int] = []
    passes = RecoveringEvaluation(lambda parts: said.append(parts.largest))
    batches = [(torch.zeros(size, 1), torch.zeros(size)) for size in (20, 100, 100)]
    assert [sum(passes(batch, work)) for batch in batches] == [20, 100, 100]
    assert done == [20, *[25] * 8] and said == [50, 25]


def test_where_every_pass_is_one_of_all_processes_none_is_split_nor_left_out() -> None:
    passes = RecoveringEvaluation(lambda parts: None, are_shared=True)
    # As a checkpoint of a run that split its batches has it.
    passes.largest_part = 2
    sizes: list[int] = []

    def work(batch: Batch) -> int:
        sizes.append(len(batch[1]))
        return len(batch[1])

    for samples, expected in ((5, [5]), (0, [])):
        assert passes((torch.zeros(samples, 3), torch.zeros(samples, dtype=torch.long)), work) == expected
    # Of the batch without samples, one of zeros goes through the model.
    assert sizes == [5, 1]

    def fail(batch: Batch) -> int:
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(torch.OutOfMemoryError):
        passes((torch.zeros(5, 3), torch.zeros(5, dtype=torch.long)), fail)


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
            True,
        ),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: Exception, is_one: bool) -> None:
    assert is_out_of_memory(error) is is_one


def test_a_real_allocation_that_fails_on_the_cpu_is_recognized() -> None:
    with pytest.raises(RuntimeError) as caught:
        nn.Linear(1 << 30, 1 << 30)
    assert is_out_of_memory(caught.value)
