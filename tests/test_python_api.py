"""torchdeck as a library: what docs/python.md shows works, and importing it costs nothing."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from warm_python import warm_python

import torchdeck

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
# Only settings that make a run short.
SHORT = {"epochs": 2, "warmup_epochs": 0, "show": False}


def test_every_example_of_the_docs_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)
    program = tmp_path / "page.py"
    program.write_text("\n".join(blocks), encoding="utf-8")
    done = subprocess.run(
        [*warm_python(), str(program)], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "finished 2 " in done.stdout
    assert "did you mean 'epochs'?" in done.stdout


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import torchdeck; print(*(set(sys.modules) - before))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    imported = {name.partition(".")[0] for name in output.split()}
    assert imported - set(sys.stdlib_module_names) == {"torchdeck"}
    assert not {"dataclasses", "inspect", "pathlib"} & imported


def test_reading_runs_imports_no_torch(tmp_path: Path) -> None:
    code = "import sys, torchdeck; print(torchdeck.list_runs(sys.argv[1]), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "False"]


def test_every_public_name_is_there_and_listed() -> None:
    assert {name for name in torchdeck.__all__ if getattr(torchdeck, name, None) is None} == set()
    assert set(torchdeck.__all__) <= set(dir(torchdeck))
    with pytest.raises(AttributeError, match="no attribute 'tran'"):
        torchdeck.tran  # noqa: B018


@pytest.mark.parametrize(
    ("changes", "key", "value"),
    [
        ({"epochs": 3}, "training.epochs", 3),
        ({"training__epochs": 3}, "training.epochs", 3),
        ({"training.epochs": 3}, "training.epochs", 3),
        ({"name": "mine"}, "name", "mine"),
        ({"optimizer__momentum": 0.5}, "optimizer.momentum", 0.5),
        ({"data__root": Path("/data")}, "data.root", "/data"),
        ({"freeze": ("*", "!fc")}, "model.freeze", ["*", "!fc"]),
        ({"precision": "fp32"}, "training.precision", "fp32"),
        ({"compile": True}, "training.compile", True),
    ],
)
def test_a_change_reaches_its_setting(changes: dict[str, object], key: str, value: object) -> None:
    found = torchdeck.load_config("digits", **changes)
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 3}, "epoch: unknown setting; did you mean 'epochs'"),
        ({"metric": "loss"}, "several settings end so; write one of .*early_stopping__metric"),
        ({"lr": object()}, "optimizer.lr = <object.*: a config holds numbers, text, lists and tables only"),
        ({"lr": "fast"}, "optimizer.lr = 'fast': must be a number"),
    ],
)
def test_a_change_that_is_not_allowed_says_what_is(changes: dict[str, object], message: str) -> None:
    with pytest.raises(torchdeck.Error, match=message):
        torchdeck.load_config("digits", **changes)


def test_a_config_is_changed_and_the_first_stays_as_it_was() -> None:
    config = torchdeck.load_config("digits")
    changed = torchdeck.load_config(config, lr=0.5, train_transforms=[{"name": "RandomCrop", "size": 8}])
    assert changed.optimizer.lr == 0.5 != config.optimizer.lr
    assert [step.name for step in changed.data.train_transforms] == ["RandomCrop"]


def test_a_module_is_left_as_it_was() -> None:
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tree = torchdeck.module_tree(model, (4,))
    assert [(row.path, row.output_shape) for row in tree.modules[1:]] == [("0", [1, 3]), ("1", [1, 3])]
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert tree.params == sum(parameter.numel() for parameter in model.parameters())
    with pytest.raises(torchdeck.Error, match="input is missing"):
        torchdeck.module_tree(model)


def test_code_of_a_checkpoint_that_never_ran_here_is_refused_until_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(
        "from torch import nn\n"
        "def make(num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))\n"
    )
    result = torchdeck.train("digits", model__name="net.py:make", runs="runs", name="own", **SHORT)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    with pytest.raises(torchdeck.Error, match=r"net\.py.*trust_code=True"):
        torchdeck.load_model("own", runs="runs")
    assert torchdeck.load_model("own", runs="runs", trust_code=True).training is False
    assert result.status == "finished"


def test_ctrl_c_saves_stops_and_is_reported(tmp_path: Path) -> None:
    code = (
        "import signal, sys, torchdeck\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "result = torchdeck.train('digits', epochs=4000, warmup_epochs=0, runs=sys.argv[1])\n"
        "print(result.status, result.step > 0, result.checkpoint.exists())\n"
    )
    process = subprocess.Popen(
        [*warm_python(), "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    while "epoch   1" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=120)[0].splitlines()[-1] == "stopped True True"
    assert process.returncode == 0
