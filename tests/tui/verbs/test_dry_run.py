"""A dry run builds, checks and prints everything, and writes nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from torchdeck.engine.config.file import load_config
from torchdeck.engine.errors import ConfigError, RunError
from torchdeck.engine.preflight.dry_run import dry_run
from torchdeck.tui.verbs.dry_run import print_dry_run


def test_a_dry_run_says_what_a_run_would_begin_with_and_writes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config("digits", ["model.name=mlp", "ema.decay=0.9"])
    assert print_dry_run(config, Path("runs"), as_json=True) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["train_samples"], found["classes"], found["input_shape"]) == (1438, 10, [1, 8, 8])
    assert (found["plan"]["epochs"], found["plan"]["steps_per_epoch"]) == (15, 23)
    assert found["plan"]["learning_rate"]["highest"] == pytest.approx(0.003)
    assert found["memory"]["peak"] < found["memory"]["free"]
    # Weights, their average, and Adam's two numbers for each.
    assert found["checkpoint_bytes"] == pytest.approx(4 * 4 * found["parameters"], rel=0.01)
    assert print_dry_run(config, Path("runs"), as_json=False) == 0
    assert "checkpoints: runs/digits-…/checkpoints" in capfd.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_samples_of_several_tensors_have_the_shape_of_each(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config("digits", ["model.name=mlp"])
    found = dry_run(config, tmp_path, lambda message, done, total: None)
    several = replace(found, input_shape={"image": (3, 32, 32), "words": (16,)})
    monkeypatch.setattr("torchdeck.engine.preflight.dry_run.dry_run", lambda *given: several)
    assert print_dry_run(config, tmp_path, as_json=False) == 0
    assert "image 3×32×32, words 16 each" in capfd.readouterr().out


def test_a_dry_run_is_refused_for_what_a_run_is_refused_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leaves no batch"):
        print_dry_run(
            load_config("digits", ["loader.drop_last=true", "loader.batch_size=5000"]), tmp_path, as_json=True
        )
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file is not a folder"):
        print_dry_run(load_config("digits", []), tmp_path / "file" / "runs", as_json=True)
