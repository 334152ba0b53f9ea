from pathlib import Path

import pytest
import torch
from torch._inductor import compile_fx
from training_cases import events_of, reader_of, train, weights_of

TINY = ["training.compile=true", "training.epochs=1", "model={name='mlp',hidden=[8]}", "loader.batch_size=256"]


@pytest.fixture(autouse=True)
def _compiler_starts_afresh() -> None:
    torch._dynamo.reset()


def test_a_compiled_run_trains_says_so_and_saves_under_the_models_own_names(tmp_path: Path) -> None:
    path = train(tmp_path / "compiled", *TINY)
    (event,) = events_of(path, "compiled")
    assert event["succeeded"] is True
    assert event["seconds"] > 0
    assert reader_of(path).state()["compile"].startswith("compiled in ")
    eager = train(tmp_path / "eager", *TINY, "training.compile=false")
    weights, expected = weights_of(path), weights_of(eager)
    assert list(weights) == list(expected), "no _orig_mod."
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-3, atol=1e-4)


def test_a_failing_compile_falls_back_to_eager_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **keywords: object) -> None:
        raise RuntimeError("no compiler for this machine")

    monkeypatch.setattr(compile_fx, "compile_fx", fail)
    path = train(tmp_path / "failed", *TINY)
    (event,) = events_of(path, "compile_failed")
    assert event["succeeded"] is False
    assert "no compiler for this machine" in event["reason"]
    assert reader_of(path).state()["compile"].startswith("compile failed, running eager: ")
    eager = weights_of(train(tmp_path / "eager", *TINY, "training.compile=false"))
    assert all(torch.equal(tensor, eager[name]) for name, tensor in weights_of(path).items())


def test_an_epochs_smaller_last_batch_makes_no_graph_of_its_own(tmp_path: Path) -> None:
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    path = train(tmp_path / "compiled", *TINY, "training.epochs=2")
    (event,) = events_of(path, "compiled")
    assert (event["graphs"], event["graph_breaks"]) == (1, 0)
    # One for training, one for evaluation: 539 and 1258 samples leave smaller last batches of both.
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] - before == 2
    assert "compiled in " in event["text"]


def test_a_graph_that_fails_later_falls_back_to_eager_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = compile_fx.compile_fx
    calls: list[int] = []

    def fail_second(*arguments: object, **keywords: object) -> object:
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("no room for a second graph")
        return original(*arguments, **keywords)

    monkeypatch.setattr(compile_fx, "compile_fx", fail_second)
    path = train(tmp_path / "failed", *TINY)
    assert len(events_of(path, "compiled")) == 1
    (event,) = events_of(path, "compile_failed")
    assert "no room for a second graph" in event["reason"]
    assert len(reader_of(path).epoch_records()) == 1
