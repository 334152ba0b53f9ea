"""Workers of sweeps: real processes that train real runs, and are killed."""

import os
import signal
from pathlib import Path

import pytest
from sweep_cases import (
    RUN,
    new_sweep,
    report_of,
    start_worker,
    states,
    wait_until,
    worked_off,
)

from torchdeck.engine.runs.on_disk.directory import list_runs, read_info
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.sweeps.folder import SweepFolder
from torchdeck.engine.sweeps.study import Study

LONG = {"run": RUN.replace("epochs = 2", "epochs = 2000") + "[checkpoint]\nevery_steps = 20\n"}


def live_run(folder: SweepFolder, trial: int = 0) -> Path | None:
    """The run of a trial once it trains."""
    found = [
        summary.path
        for summary in list_runs(folder.runs_root)
        if summary.status == "running" and summary.epoch > 1 and read_info(summary.path).get("trial") == trial
    ]
    return found[0] if found else None


def test_a_sweep_trains_ordinary_runs_and_ends_with_the_best_of_them(tmp_path: Path) -> None:
    folder = new_sweep(tmp_path, "trials = 2")
    report = worked_off(folder)
    assert [trial.state for trial in report.trials] == ["complete"] * 2
    for trial in report.trials:
        (name,) = trial.runs
        reader = RunReader(folder.runs_root / name)
        reader.poll()
        assert (reader.status(), reader.info()["sweep"], reader.info()["trial"]) == (
            "finished",
            folder.name,
            trial.number,
        )
        assert reader.config().optimizer.lr == trial.settings["optimizer.lr"]
        best = reader.best()
        assert best is not None and trial.values == [best["value"]]
        assert trial.reports.keys() == {1, 2}
    best_trial = report.best()
    assert best_trial is not None and best_trial.values[0] == max(trial.values[0] for trial in report.trials)


def test_a_finished_sweep_goes_on_with_more_trials_of_several_seeds_and_another_sampler(tmp_path: Path) -> None:
    folder = new_sweep(tmp_path, "trials = 1")
    study = Study(folder, folder.definition())
    number = study.ask()
    study.choose(number)
    study.complete(number, [0.5], {})
    file = folder.path / "sweep.toml"
    for before, after in (("trials = 1", "trials = 2"), ("seeds = 1", "seeds = 2"), ('"tpe"', '"random"')):
        assert before in file.read_text()
        file.write_text(file.read_text().replace(before, after))
    trial = worked_off(folder).trials[1]
    values, seeds = [], []
    for name in trial.runs:
        reader = RunReader(folder.runs_root / name)
        reader.poll()
        best = reader.best()
        assert best is not None
        values.append(best["value"])
        seeds.append(reader.config().seed)
    assert seeds == [0, 1]
    assert trial.values == [pytest.approx(sum(values) / 2)]


def test_the_run_of_a_killed_worker_is_taken_over_and_a_dead_run_resumed_in_its_directory(tmp_path: Path) -> None:
    folder = new_sweep(tmp_path, "trials = 2", **LONG)
    first = start_worker(folder)
    wait_until(lambda: live_run(folder), "the trial trains")
    run = live_run(folder)
    assert run is not None
    owner = RunReader(run).owner_pid()
    assert owner
    first.kill()
    first.wait()
    wait_until(lambda: report_of(folder).abandoned() == [0], "the trial has no worker")
    second = start_worker(folder)
    wait_until(lambda: report_of(folder).abandoned() == [], "the trial has a worker again")
    assert RunReader(run).owner_pid() == owner
    os.kill(owner, signal.SIGKILL)
    wait_until(lambda: (now := RunReader(run).owner_pid()) and now != owner, "it is resumed")
    wait_until(lambda: any(event["kind"] == "resumed_from" for event in _events(run)), "it says so")
    folder.set_wish("pause")
    folder.prune(0)
    wait_until(lambda: states(folder) == ["pruned"], "the trial has ended")
    wait_until(lambda: all(each.trial is None for each in folder.workers()), "its worker is idle")
    assert states(folder) == ["pruned"] and second.poll() is None, "a paused sweep starts no further trial"
    folder.set_wish("stop")
    assert second.wait(60) == 0
    assert [summary.name for summary in list_runs(folder.runs_root)] == [run.name]
    assert report_of(folder).trials[0].attributes["attempts"] == 2


def _events(run: Path) -> list[dict[str, object]]:
    reader = RunReader(run)
    reader.poll()
    return reader.events()


def test_a_run_that_is_killed_too_often_fails_the_trial(tmp_path: Path) -> None:
    folder = new_sweep(tmp_path, "trials = 1\nretries = 0", **LONG)
    worker = start_worker(folder)
    wait_until(lambda: live_run(folder), "the trial trains")
    run = live_run(folder)
    assert run is not None
    owner = RunReader(run).owner_pid()
    assert owner
    os.kill(owner, signal.SIGKILL)
    assert worker.wait(120) == 0
    (trial,) = report_of(folder).trials
    assert trial.state == "failed" and "its process was killed or crashed" in trial.error


def test_a_stopped_sweep_saves_its_runs_and_continues_them(tmp_path: Path) -> None:
    folder = new_sweep(tmp_path, "trials = 1", **LONG)
    first = start_worker(folder)
    wait_until(lambda: live_run(folder), "the trial trains")
    run = live_run(folder)
    assert run is not None
    folder.set_wish("stop")
    assert first.wait(120) == 0
    assert (RunReader(run).status(), states(folder)) == ("stopped", ["running"])
    folder.set_wish("work")
    second = start_worker(folder)
    wait_until(lambda: RunReader(run).status() == "running", "it is resumed")
    second.send_signal(signal.SIGTERM)
    assert second.wait(120) == 0
    assert (RunReader(run).status(), states(folder)) == ("stopped", ["running"])


def test_a_config_that_can_not_be_trained_fails_with_its_reason_and_ends_a_hopeless_sweep(tmp_path: Path) -> None:
    folder = new_sweep(tmp_path, "trials = 20", space='[sweep.space]\n"model.nosuch" = [1, 2]\n')
    study = Study(folder, folder.definition())
    for _ in range(2):
        study.fail(study.ask(), "no memory")
    worker = start_worker(folder)
    assert worker.wait(240) == 3
    report = report_of(folder)
    assert [trial.state for trial in report.trials] == ["failed"] * 3
    assert "nosuch" in report.trials[2].error
    assert folder.wish() == "stop"
    assert "the first 3 trials failed, the last with: " in folder.wish_reason()


def test_a_pruner_stops_the_run_of_a_poor_trial_and_the_rest_is_told(tmp_path: Path) -> None:
    run = RUN.replace("epochs = 2", "epochs = 60")
    folder = new_sweep(
        tmp_path, 'trials = 7\npruner = "median"', run=run, space='[sweep.space]\n"optimizer.lr" = [0.5]\n'
    )
    study = Study(folder, folder.definition())
    for _ in range(6):
        number = study.ask()
        study.choose(number)
        for epoch in range(1, 61):
            study.report(number, epoch, 1.0)
        study.complete(number, [1.0], {})
    report = worked_off(folder)
    trial = report.trials[6]
    assert (trial.state, trial.attributes["stopping"]) == ("pruned", "pruned")
    assert RunReader(folder.runs_root / trial.runs[0]).status() == "stopped"
