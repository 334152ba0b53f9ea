"""The study in Optuna, and the journal as it is read without it."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sweep_cases import definition, new_sweep, report_of

from torchdeck.engine.errors import ConfigError
from torchdeck.engine.sweeps.folder import SweepFolder
from torchdeck.engine.sweeps.journal import SweepJournal
from torchdeck.engine.sweeps.study import Study

WIDE = '[sweep.space]\n"optimizer.lr" = { low = 1e-5, high = 1.0, log = true }\n"model.dropout" = [0.0, 0.1, 0.2]\n'


def study_of(folder: SweepFolder, salt: int = 0) -> Study:
    return Study(folder, folder.definition(), salt)


def told(study: Study, value: float | list[float]) -> int:
    number = study.ask()
    study.choose(number)
    study.complete(number, value if isinstance(value, list) else [value], {})
    return number


def test_the_journal_is_read_as_optuna_reads_it(tmp_path: Path) -> None:
    folder = new_sweep(tmp_path)
    study = study_of(folder)
    told(study, 0.5)
    pruned = study.ask()
    study.choose(pruned)
    study.report(pruned, 1, 0.25)
    study.prune(pruned)
    study.fail(study.ask(), "no memory")
    running = study.ask()
    study.note(running, "runs", {"0": "case-t0003"})
    journal = SweepJournal(folder.journal)
    assert journal.poll() and not journal.poll()
    for mine, optunas in zip(journal.trials, study.trials(), strict=True):
        assert mine.number == optunas.number
        assert mine.state.upper() == {"FAIL": "FAILED"}.get(optunas.state.name, optunas.state.name)
        assert mine.settings == optunas.params
        assert mine.values == (optunas.values or [])
        assert mine.reports == optunas.intermediate_values
        assert mine.attributes == optunas.user_attrs
    assert journal.trials[2].error == "no memory" and journal.trials[3].runs == ["case-t0003"]
    told(study, 0.75)
    assert journal.poll() and journal.trials[4].values == [0.75]


def test_what_comes_too_late_for_a_trial_changes_nothing(tmp_path: Path) -> None:
    folder = new_sweep(tmp_path)
    told(study_of(folder), 0.5)
    with folder.journal.open("a") as file:
        for line in (
            {"op_code": 6, "worker_id": "x", "trial_id": 0, "state": 3, "values": None, "datetime_complete": "x"},
            {"op_code": 8, "worker_id": "x", "trial_id": 0, "user_attr": {"error": "late"}},
            {"op_code": 7, "worker_id": "x", "trial_id": 99, "step": 1, "intermediate_value": 0.0},
        ):
            file.write(json.dumps(line) + "\n")
        file.write("torn li")
    (trial,) = report_of(folder).trials
    assert (trial.state, trial.error) == ("complete", "")


def test_a_line_that_a_power_cut_tore_is_cut_off_before_the_next_is_written(tmp_path: Path) -> None:
    folder = new_sweep(tmp_path)
    told(study_of(folder), 0.5)
    with folder.journal.open("a") as file:
        file.write('{"op_code": 4, "wor')
    told(study_of(folder), 0.75)
    assert [trial.values for trial in report_of(folder).trials] == [[0.5], [0.75]]
    assert SweepJournal(folder.journal).skipped_lines == 0


def test_a_trial_whose_worker_died_before_all_values_were_chosen_gets_the_rest(tmp_path: Path) -> None:
    folder = new_sweep(tmp_path)
    study = study_of(folder)
    number = study.ask()
    first = study.choose(number)
    again = study_of(folder, salt=7)
    assert again.running() == [number]
    assert again.choose(number) == first


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "random", "qmc", "nsga2", "grid"])
def test_every_sampler_chooses_within_the_space_and_may_follow_any_other(tmp_path: Path, sampler: str) -> None:
    space = (
        '[sweep.space]\n"optimizer.lr" = [0.1, 0.2, 0.3]\n"model.dropout" = { low = 0.0, high = 0.5, step = 0.25 }\n'
    )
    folder = new_sweep(tmp_path, 'sampler = "random"', space=space)
    study = study_of(folder)
    for value in (0.1, 0.5, 0.3):
        told(study, value)
    study.redefine(definition(tmp_path, f'sampler = "{sampler}"', space=space))
    for value in (0.2, 0.6):
        told(study, value)
    for trial in report_of(folder).trials:
        assert trial.settings["optimizer.lr"] in (0.1, 0.2, 0.3)
        assert trial.settings["model.dropout"] in (0.0, 0.25, 0.5)


def test_a_grid_is_gone_through_once(tmp_path: Path) -> None:
    folder = new_sweep(
        tmp_path,
        'sampler = "grid"',
        space='[sweep.space]\n"optimizer.lr" = [0.1, 0.2]\n"model.dropout" = [0.0, 0.1]\n',
    )
    study = study_of(folder)
    chosen = []
    for value in range(4):
        number = study.ask()
        chosen.append(tuple(study.choose(number).values()))
        study.complete(number, [float(value)], {})
    assert max(Counter(chosen).values()) == 1


def test_two_workers_and_two_lives_of_one_draw_different_values(tmp_path: Path) -> None:
    folder = new_sweep(tmp_path, 'sampler = "random"')
    one, other = study_of(folder, salt=0), study_of(folder, salt=1)
    drawn = [one.choose(one.ask()), other.choose(other.ask())]
    for study in (study_of(folder, salt=0), study_of(folder, salt=1)):
        drawn.append(study.choose(study.ask()))
    assert len({each["optimizer.lr"] for each in drawn}) == 4


def test_a_sweep_of_one_worker_is_repeated_by_its_seed(tmp_path: Path) -> None:
    def drawn(seed: int) -> list[float]:
        study = study_of(new_sweep(tmp_path, f"seed = {seed}"))
        return [report["optimizer.lr"] for report in (study.choose(told(study, 0.5)) for _ in range(3))]

    assert drawn(1) == drawn(1) != drawn(2)


def test_a_wider_space_keeps_the_trials_and_their_numbers(tmp_path: Path) -> None:
    folder = new_sweep(tmp_path)
    study = study_of(folder)
    told(study, 0.5)
    told(study, 0.6)
    before = report_of(folder).trials
    study.redefine(definition(tmp_path, space=WIDE))
    number = told(study, 0.7)
    after = report_of(folder).trials
    assert number == 2
    assert [(trial.number, trial.values, trial.settings) for trial in after[:2]] == [
        (trial.number, trial.values, trial.settings) for trial in before
    ]
    assert after[2].settings["model.dropout"] in (0.0, 0.1, 0.2)
    assert study_of(folder).trials()[0].values == [0.5]


def test_another_metric_needs_another_sweep(tmp_path: Path) -> None:
    folder = new_sweep(tmp_path)
    study = study_of(folder)
    told(study, 0.5)
    with pytest.raises(ConfigError, match="start a new sweep for another metric"):
        study.redefine(definition(tmp_path, 'metric = "loss"'))


def test_the_front_of_two_metrics_is_what_nothing_beats(tmp_path: Path) -> None:
    folder = new_sweep(tmp_path, 'metric = ["accuracy", "-loss"]')
    study = study_of(folder)
    for values in ([0.9, 0.5], [0.8, 0.4], [0.7, 0.6], [0.9, 0.5], [0.85, 0.45]):
        told(study, values)
    assert [trial.number for trial in report_of(folder).front()] == [0, 3, 4, 1]


def test_a_result_that_violates_a_constraint_is_never_the_best(tmp_path: Path) -> None:
    folder = new_sweep(tmp_path, 'constraints = ["parameters < 100"]')
    study = study_of(folder)
    for value, excess in ((0.5, -1.0), (0.9, 1.0)):
        number = study.ask()
        study.choose(number)
        study.complete(number, [value], {"parameters < 100": excess})
    report = report_of(folder)
    best = report.best()
    assert best is not None and best.values == [0.5]
    assert report.best_so_far() == [(0, 0.5)]


def test_a_database_holds_the_trials_as_the_journal_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEP_DB", f"sqlite:///{tmp_path}/trials.db")
    folder = new_sweep(tmp_path, 'storage = "$SWEEP_DB"')
    told(study_of(folder), 0.5)
    assert not folder.journal.exists()
    assert [trial.values for trial in report_of(folder).trials] == [[0.5]]
    monkeypatch.delenv("SWEEP_DB")
    with pytest.raises(ConfigError, match="environment variable is not set"):
        study_of(folder)


def test_the_importance_of_a_setting_that_decides_is_the_largest(tmp_path: Path) -> None:
    folder = new_sweep(tmp_path, 'sampler = "random"')
    study = study_of(folder)
    for _ in range(20):
        number = study.ask()
        study.complete(number, [study.choose(number)["optimizer.lr"]], {})
    shares = study.importances()
    assert max(shares, key=lambda key: shares[key]) == "optimizer.lr"
    assert abs(sum(shares.values()) - 1) < 1e-6


def test_a_sweep_is_shown_without_optuna(tmp_path: Path) -> None:
    folder = new_sweep(tmp_path)
    told(study_of(folder), 0.5)
    code = (
        "import sys\nfrom torchdeck.tui.verbs.sweep import sweep\n"
        f"sweep.main(['show', '--runs', {str(tmp_path / 'runs')!r}, '--json'], standalone_mode=False)\n"
        "print({'optuna', 'torch', 'numpy'} & set(sys.modules), file=sys.stderr)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(result.stdout)["trials"][0]["values"] == [0.5]
    assert result.stderr.strip() == "set()"
