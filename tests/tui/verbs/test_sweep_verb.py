"""`torchdeck sweep show`, `best`, `stop` and `prune` on a sweep whose trials are told, and what is refused."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from json_documents import check_document

from torchdeck.engine.config.file import load_config
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.sweeps import optuna_package
from torchdeck.engine.sweeps.definition import read_definition
from torchdeck.engine.sweeps.folder import SweepFolder, create_sweep
from torchdeck.engine.sweeps.study import Study
from torchdeck.tui.verbs.sweep import sweep

FILE = """
name = "case"
[training]
epochs = 30
[sweep]
trials = 5
epochs = 2
[sweep.space]
"optimizer.lr" = [0.1, 0.2]
"model.dropout" = { low = 0.0, high = 0.5 }
"""


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    (tmp_path / "case.toml").write_text(FILE)
    found = create_sweep(tmp_path / "runs", read_definition(str(tmp_path / "case.toml")))
    study = Study(found, found.definition())
    for value in (0.5, 0.9, 0.7):
        number = study.ask()
        study.choose(number)
        study.note(number, "runs", {"0": f"case-t{number:04d}-20260101-000000-abcd"})
        study.complete(number, [value], {})
    study.fail(study.ask(), "out of memory")
    study.choose(study.ask())
    return found


def invoked(folder: SweepFolder, *words: str) -> Result:
    return CliRunner().invoke(sweep, [*words, "--runs", str(folder.runs_root)])


def test_trials_are_listed_by_value_and_what_has_no_worker_is_named(folder: SweepFolder) -> None:
    result = invoked(folder, "show")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].endswith("3 complete · 1 failed · 1 running   of 5")
    assert lines[1] == f"without a worker: trial 4; torchdeck sweep {folder.name} continues them"
    assert [line.split()[0] for line in lines[3:]] == ["4", "1", "2", "0", "3"]
    assert lines[4].endswith("case-t0001-20260101-000000-abcd") and lines[7].rstrip().endswith("out of memory")


def test_the_document_has_every_trial(folder: SweepFolder) -> None:
    document = json.loads(invoked(folder, "show", "--json").stdout)
    check_document("sweep-show", document)
    assert (document["best"], document["abandoned"], len(document["trials"])) == (1, [4], 5)
    assert document["objectives"] == [{"metric": "accuracy", "direction": "maximize"}]
    assert document["counts"] == {"complete": 3, "failed": 1, "running": 1}


def test_the_best_trial_becomes_a_run_of_full_length(folder: SweepFolder, tmp_path: Path) -> None:
    result = invoked(folder, "best", folder.name)
    assert result.stdout.startswith(f"# accuracy 90.00% in trial 1 of {folder.name}\n")
    (tmp_path / "best.toml").write_text(result.stdout)
    config = load_config(str(tmp_path / "best.toml"))
    settings = json.loads(invoked(folder, "best", "--json").stdout)["settings"]
    assert (config.training.epochs, config.optimizer.lr) == (30, settings["optimizer.lr"])
    assert config.model.arguments["dropout"] == settings["model.dropout"]


def test_a_stop_and_a_pause_are_left_for_the_workers(folder: SweepFolder) -> None:
    assert f"to continue: torchdeck sweep {folder.name}" in invoked(folder, "stop", "case").output
    assert folder.wish() == "stop"
    invoked(folder, "stop", "--pause")
    assert folder.wish() == "pause"


def test_only_a_running_trial_can_be_pruned(folder: SweepFolder) -> None:
    assert invoked(folder, "prune", "4").exit_code == 0
    assert folder.trial_file(4, "prune").exists()
    assert "is not running, so it can't be pruned" in str(invoked(folder, "prune", "1").exception)


def test_an_unknown_sweep_names_the_nearest(folder: SweepFolder) -> None:
    wrong = folder.name.replace("case", "csae")
    assert f"did you mean '{folder.name}'?" in str(invoked(folder, "show", wrong).exception)


def test_a_file_without_a_space_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "plain.toml").write_text('name = "plain"\n')
    result = CliRunner().invoke(sweep, [str(tmp_path / "plain.toml"), "--runs", str(tmp_path / "runs")])
    assert "has no [sweep.space], so there is nothing to vary" in str(result.exception)
    assert not (tmp_path / "runs").exists()


def test_without_optuna_a_sweep_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna_package, "_PACKAGES", ("optuna", "no_such_package_xyz"))
    (tmp_path / "case.toml").write_text(FILE)
    result = CliRunner().invoke(sweep, [str(tmp_path / "case.toml"), "--runs", str(tmp_path / "runs")])
    assert isinstance(result.exception, ConfigError)
    assert "a sweep needs no_such_package_xyz; install it with: " in str(result.exception)
