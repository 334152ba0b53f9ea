"""`torchdeck train --seeds`, and the groups in `runs` and `compare`."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from trained import PERCEPTRON
from warm_python import warm_python

from torchdeck.tui.verbs.evaluate import compare
from torchdeck.tui.verbs.runs import runs
from torchdeck.tui.verbs.train_seeds import words_of_one


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config with two seeds and another with one: a command each, whose runs are forks of a warm process."""
    folder = tmp_path_factory.mktemp("seeds")
    (folder / "case.toml").write_text(PERCEPTRON)
    code = (
        "import sys\nfrom torchdeck.engine.machine import python_process\n"
        f"command = tuple({list(warm_python())!r})\npython_process.python_command = lambda: command\n"
        "from torchdeck.tui.cli import main\nsys.exit(main())\n"
    )
    for name, lr, seeds in (("slow", 0.01, 2), ("quick", 0.5, 1)):
        words = [
            "train",
            str(folder / "case.toml"),
            "--seeds",
            str(seeds),
            "--name",
            name,
            "--set",
            f"optimizer.lr={lr}",
        ]
        result = subprocess.run(
            [*warm_python(), "-P", "-c", code, *words, "--json"],
            env={**os.environ, "TORCHDECK_RUNS": str(folder / "runs")},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        (folder / f"{name}.json").write_text(result.stdout)
    return folder / "runs"


def test_a_run_is_trained_once_per_seed_and_ends_with_what_all_reached(root: Path) -> None:
    document = json.loads((root.parent / "slow.json").read_text())
    assert [run["status"] for run in document["runs"]] == ["finished"] * 2
    group = document["group"]
    values = [run["best"]["value"] for run in document["runs"]]
    assert (group["n"], sorted(group["seeds"])) == (2, [0, 1])
    assert group["best"]["mean"] == pytest.approx(sum(values) / 2)
    assert group["metrics"]["accuracy"]["n"] == 2


def test_runs_are_listed_by_group(root: Path) -> None:
    listed = json.loads(CliRunner().invoke(runs, ["--by-seed", "--runs", str(root), "--json"]).stdout)
    assert [entry["group"]["n"] for entry in listed] == [1, 2]
    assert listed[1]["best"]["value"] == pytest.approx(listed[1]["group"]["best"]["mean"])
    text = CliRunner().invoke(runs, ["--by-seed", "--runs", str(root)]).output
    assert len(text.splitlines()) == 3 and text.count("(n=2)") == 1


def test_a_comparison_of_two_groups_says_that_so_few_seeds_tell_nothing(root: Path) -> None:
    words = ["slow", "quick", "--runs", str(root)]
    groups = json.loads(CliRunner().invoke(compare, [*words, "--json"]).stdout)["groups"]
    assert (groups["first"]["n"], groups["second"]["n"]) == (2, 1)
    assert groups["difference"]["more_than_noise"] is None
    lines = CliRunner().invoke(compare, words).output.splitlines()
    assert lines[-4] == "seeds" and "(n=2)" in lines[-3] and "too few runs to tell it from noise" in lines[-1]


def test_a_single_run_has_the_same_command_line_without_what_concerns_several() -> None:
    words = ["train", "x", "--seeds", "5", "--json", "--set", "seed=1", "--announce=4", "--name", "n"]
    assert words_of_one(words) == ["train", "x", "--set", "seed=1", "--name", "n"]
