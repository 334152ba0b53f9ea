"""`torchdeck runs` and `show` print the metric that a run is decided by."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from torchdeck.engine.config.file import load_config
from torchdeck.engine.launching.launch import launch
from torchdeck.tui.verbs.runs import runs, show

DATA = """
import torch

class Data:
    def __init__(self, targets):
        self.targets = targets

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return torch.full((4,), index / 40), self.targets[index]

def numbers():
    return Data([index / 40 for index in range(40)])

def classes():
    return Data([index // 20 for index in range(40)])
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A regression run whose best epoch is the one of the highest R², one decided by its loss, and one of classes."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "data.py").write_text(DATA)
    (folder / "run.toml").write_text('[model]\nname = "mlp"\n')
    for function, settings in (
        ("numbers", ["name=decided", "checkpoint.best_metric=r2", "loss.name=mse"]),
        ("numbers", ["name=plain", "loss.name=mse"]),
        ("classes", ["name=classes"]),
    ):
        options = [f"data.dataset={folder}/data.py:{function}", "data.validation=0.25", "training.epochs=1"]
        run = launch(
            load_config(str(folder / "run.toml"), [*options, "training.device=cpu", *settings]), folder / "runs"
        )
        run.join()
        assert run.status == "finished", run.error
    return folder / "runs"


def printed(verb: object, *arguments: str) -> str:
    result = CliRunner().invoke(verb, list(arguments))  # type: ignore[arg-type]
    assert result.exit_code == 0, result.output
    return result.output


def test_each_run_has_its_own_metric_in_a_list_of_several_kinds(root: Path) -> None:
    lines = {line.split("-")[0]: line for line in printed(runs, "--runs", str(root)).splitlines()}
    assert "score" in next(iter(lines.values())) and "accuracy" not in next(iter(lines.values()))
    assert " R² " in lines["decided"] and " MAE " in lines["plain"] and " accuracy " in lines["classes"]


def test_the_heading_names_the_metric_where_all_runs_have_the_same(root: Path) -> None:
    heading, line = printed(runs, "name=decided", "--runs", str(root)).splitlines()
    assert "R²" in heading and "accuracy" not in heading and "R²" not in line and "–" not in line


@pytest.mark.parametrize(("name", "metric"), [("decided", "R²"), ("plain", "MAE"), ("classes", "accuracy")])
def test_checkpoints_are_listed_with_it(name: str, metric: str, root: Path) -> None:
    (run,) = [path.name for path in root.iterdir() if path.name.startswith(name)]
    text = printed(show, run, "--runs", str(root))
    heading = next(line for line in text.splitlines() if line.startswith("checkpoint"))
    assert heading.split()[-1] == metric
