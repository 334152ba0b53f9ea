import signal
from pathlib import Path

import pytest
import torch
from kill_and_resume import differences, history_of, state_of
from torch._inductor import compile_fx
from torch._inductor import config as inductor_config
from torch._inductor.async_compile import AsyncCompile
from torch._inductor.compile_worker.subproc_pool import SubprocPool
from torch._inductor.utils import fresh_cache
from training_cases import (
    events_of,
    keep_every_save,
    make_trainer,
    reader_of,
    resume_copy,
    train,
    weights_of,
)

from torchdeck.engine.training.compute.compilation import (
    CompileOutcome,
    compilation_reason,
    compile_with_first_step,
)
from torchdeck.engine.training.compute.compiled_run import CompiledRun

TINY = ["training.compile=true", "training.epochs=1", "model={name='mlp',hidden=[8]}", "loader.batch_size=256"]


@pytest.fixture(autouse=True)
def _compiler_starts_afresh() -> None:
    torch._dynamo.reset()


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted compiled run of two epochs of three steps, the last of each on a smaller batch."""
    torch._dynamo.reset()
    with pytest.MonkeyPatch.context() as monkeypatch:
        keep_every_save(monkeypatch)
        settings = ("training.epochs=2", "checkpoint.every_steps=1", "ema.decay=0.9")
        return train(tmp_path_factory.mktemp("compiled"), *TINY, *settings)


def test_a_compiled_run_trains_says_so_and_saves_under_the_models_own_names(tmp_path: Path) -> None:
    path = train(tmp_path / "compiled", *TINY)
    (event,) = events_of(path, "compiled")
    assert event["succeeded"] is True
    assert event["seconds"] > 0
    assert reader_of(path).state()["compile"].startswith("compiled in ")
    assert event["eager_seconds"] > 0
    assert event["compiled_seconds"] > 0
    assert " ms: " in event["text"]
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


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("kill -9 $$", "the compiler g++ was killed by SIGKILL. Often the machine ran out of memory: "),
        (
            "echo 'g++: fatal error: Killed signal terminated program cc1plus' >&2; exit 1",
            "ended with status 1: g++: fatal error: Killed signal terminated program cc1plus. Often the machine ran",
        ),
        ("echo 'g++: error: no such option' >&2; exit 1", "the compiler g++ ended with status 1: g++: error: no such"),
    ],
)
def test_a_compiler_that_dies_is_named(end: str, reason: str, tmp_path: Path) -> None:
    compiler = tmp_path / "g++"
    answers = 'case "$1" in --version|-dump*) exec g++ "$@";; esac'
    compiler.write_text(f"#!/bin/sh\nPATH=/usr/bin:/usr/local/bin; {answers}\n{end}\n")
    compiler.chmod(0o755)
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.LayerNorm(4))
    with fresh_cache(), inductor_config.patch({"cpp.cxx": (None, str(compiler))}):
        outcome = compile_with_first_step(model, "default", lambda: model(torch.rand(3, 4)).sum().backward())[1]
    assert not outcome.succeeded and reason in outcome.reason


def test_a_process_that_compiles_for_torch_and_dies_is_named() -> None:
    pool = AsyncCompile.process_pool()
    assert isinstance(pool, SubprocPool)
    try:
        waiting = pool.submit(signal.pause)
        pool.process.kill()
        pool.process.wait()
        with pytest.raises(Exception) as caught:
            waiting.result()
        assert "a process that compiles for torch died: " in compilation_reason(caught.value)
    finally:
        AsyncCompile.process_pool.cache_clear()
    assert "died" not in compilation_reason(RuntimeError("anything else"))


def test_an_epochs_smaller_last_batch_makes_no_graph_of_its_own(whole_run: Path) -> None:
    (event,) = events_of(whole_run, "compiled")
    assert (event["graphs"], event["graph_breaks"]) == (1, 0)
    assert "compiled in " in event["text"]
    # Evaluation's alone: 539 and 1258 samples leave smaller last batches of both.
    (later,) = events_of(whole_run, "recompiled")
    assert later["recompiles"] == 1


@pytest.mark.parametrize("step", [1, 2], ids=["on a whole batch", "on an epoch's smaller last batch"])
def test_a_compiled_run_goes_on_bit_identical(step: int, whole_run: Path, tmp_path: Path) -> None:
    path = resume_copy(whole_run, tmp_path, f"step-{step:09}.pt")
    assert len(events_of(path, "compiled")) == 2
    (event,) = events_of(path, "resumed_from")
    assert event["exact"] is True
    assert differences(state_of(path), state_of(whole_run)) == []
    assert history_of(path) == history_of(whole_run)


def test_a_compile_that_fails_after_a_first_step_on_a_smaller_batch_falls_back_to_eager(
    whole_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **keywords: object) -> None:
        raise RuntimeError("no compiler for this machine")

    monkeypatch.setattr(compile_fx, "compile_fx", fail)
    path = resume_copy(whole_run, tmp_path, "step-000000002.pt")
    (event,) = events_of(path, "compile_failed")
    assert "no compiler for this machine" in event["reason"]
    assert reader_of(path).status() == "finished"


@pytest.mark.parametrize(
    ("eager", "compiled", "steps", "words"),
    [
        (0.012, 0.008, 500, "forward and backward 12 → 8 ms: pays off after 500 steps"),
        (0.012, 0.012, None, "forward and backward 12 → 12 ms: it does not pay off"),
        (None, None, None, "0 graph breaks"),
    ],
)
def test_whether_compiling_pays_is_said(
    eager: float | None, compiled: float | None, steps: int | None, words: str
) -> None:
    outcome = CompileOutcome(True, 2.0, graphs=1, eager_seconds=eager, compiled_seconds=compiled)
    assert outcome.steps_to_pay_back == steps
    assert outcome.sentence.endswith(words)


def test_a_model_of_which_no_graph_was_made_is_not_called_compiled() -> None:
    assert "runs eager" in CompileOutcome(True, 2.0, graph_breaks=1).sentence
    assert CompileOutcome(True, 2.0).sentence == "compiles with the first full batch"


def test_graphs_for_any_batch_size_take_the_smaller_last_batch_too(tmp_path: Path) -> None:
    path = train(tmp_path / "compiled", *TINY, "training.compile_dynamic=always")
    assert events_of(path, "compiled")[0]["succeeded"] is True
    (later,) = events_of(path, "recompiled")
    assert later["recompiles"] == 1, "evaluation's alone"


def test_timing_the_passes_of_a_step_leaves_model_and_generators_as_they_were(tmp_path: Path) -> None:
    batch_norm = ["model={name='cnn',channels=[4],convolutions=1,dropout=0.5}"]
    trainer, run = make_trainer(tmp_path, *batch_norm, "training.precision=fp16")
    window = next(trainer.windows())
    reports: list[str] = []
    compiled = CompiledRun(
        trainer.config.training,
        trainer.executor.step,
        trainer.executor.step.placement.device,
        run,
        lambda phase, **fields: reports.append(phase),
        runs_eager=lambda size: False,
    )
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    generator = torch.get_rng_state()
    seconds = compiled._seconds_of_passes(window)
    assert seconds is not None
    assert seconds > 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in trainer.model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(parameter.grad is None for parameter in trainer.model.parameters())
    run.close("stopped")


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
