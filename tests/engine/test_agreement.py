"""Code and commands of a config that came with a checkpoint or a run run only after they were agreed to."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from trained import PERCEPTRON

import torchdeck
from torchdeck.engine.config.file import parse_config
from torchdeck.engine.config.secret_settings import with_secrets_kept
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.launching.agreement import agree_to_named, check_agreed, is_of_a_run
from torchdeck.engine.user_trust import TrustStore, notifications
from torchdeck.tui.cli import run_command

WEBHOOK = "https://evil.example.org/collect"
NET = """
import pathlib
from torch import nn

pathlib.Path({marker!r}).touch()

def net(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))
"""


@pytest.fixture
def downloaded(perceptron_checkpoint: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A run's folder from elsewhere whose config names code and a command, and the file that either of them makes."""
    marker, run = tmp_path / "code-ran", tmp_path / "runs" / "case-20260101-000000-abcd"
    shutil.copytree(perceptron_checkpoint.parents[1], run)
    (run / "net.py").write_text(NET.format(marker=str(marker)))
    config = PERCEPTRON.replace('name = "mlp"\nhidden = [8]', f'name = "{run}/net.py:net"')
    config += f'[notify]\nafter_minutes = 0\non = ["finished", "failed"]\ncommand = "touch {marker}"\n'
    (run / "run.toml").write_text(config)
    content: dict[str, Any] = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    for file in (run / "checkpoints").glob("*.pt"):
        file.unlink()
    torch.save({**content, "config": config}, run / "checkpoints" / "step-000000003.pt")
    return run, marker


@pytest.fixture
def downloaded_with_address(perceptron_checkpoint: Path, tmp_path: Path) -> Path:
    """A run's folder from elsewhere that notifies somebody else."""
    run = tmp_path / "runs" / "case-20260101-000000-abcd"
    shutil.copytree(perceptron_checkpoint.parents[1], run)
    config = f'{PERCEPTRON}[notify]\nwebhook = "{WEBHOOK}"\n'
    (run / "run.toml").write_text(config)
    content: dict[str, Any] = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    for file in (run / "checkpoints").glob("*.pt"):
        file.unlink()
    torch.save({**content, "config": config}, run / "checkpoints" / "step-000000003.pt")
    return run


@pytest.mark.parametrize("verb", ["fork", "resume", "train"])
def test_no_verb_calls_an_address_that_came_with_a_run_without_being_told_to(
    downloaded_with_address: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    run = downloaded_with_address
    checkpoint = run / "checkpoints" / "step-000000003.pt"
    words = {
        "fork": [str(checkpoint), "--weights"],
        "resume": [str(run), "--from", checkpoint.name, "--set", "training.epochs=2"],
        "train": [str(run / "run.toml")],
    }[verb]
    assert run_command([verb, *words], None) == 2
    said = capsys.readouterr().err
    assert "names an address that has not been sent to from here before" in said and "--trust-code" in said
    assert "notify.webhook = https://evil.example.org/…" in said


def test_no_function_of_the_library_calls_it_either(downloaded_with_address: Path) -> None:
    run = downloaded_with_address
    for call in (
        lambda: torchdeck.resume(run, show=False, epochs=2),
        lambda: torchdeck.fork(run / "checkpoints" / "step-000000003.pt", weights_only=True, show=False),
        lambda: torchdeck.train(run, show=False),
    ):
        with pytest.raises(ConfigError, match=r"evil\.example\.org.*trust_code=True"):
            call()


@pytest.mark.parametrize("verb", ["fork", "resume", "train", "evaluate", "export"])
def test_no_verb_runs_what_came_with_a_run_without_being_told_to(
    downloaded: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    run, marker = downloaded
    checkpoint = run / "checkpoints" / "step-000000003.pt"
    words = {
        "fork": [str(checkpoint), "--weights"],
        "resume": [str(run), "--from", checkpoint.name, "--set", "training.epochs=2"],
        "train": [str(run / "run.toml")],
        "evaluate": [str(checkpoint)],
        "export": [str(checkpoint), str(tmp_path / "model.pt2")],
    }[verb]
    assert run_command([verb, *words], None) == 2
    said = capsys.readouterr().err
    assert "--trust-code" in said and "net.py" in said, said
    assert not marker.exists()
    assert not (tmp_path / "state" / "torchdeck" / "trusted-code.json").exists()


def test_no_function_of_the_library_does(downloaded: tuple[Path, Path]) -> None:
    run, marker = downloaded
    checkpoint = run / "checkpoints" / "step-000000003.pt"
    for call in (
        lambda: torchdeck.resume(run, show=False, epochs=2),
        lambda: torchdeck.fork(checkpoint, weights_only=True, show=False),
        lambda: torchdeck.train(run / "run.toml", show=False),
        lambda: torchdeck.train(run, show=False),
    ):
        with pytest.raises(ConfigError, match="trust_code=True"):
            call()
    assert not marker.exists()


def test_a_command_alone_is_refused_by_its_text_and_remembered_once_it_was_agreed_to() -> None:
    config = parse_config('[notify]\ncommand = "./tell.sh"', "case")
    with pytest.raises(ConfigError, match=r"notify.command = './tell.sh'.*--trust-code"):
        check_agreed(config, "--trust-code", is_agreed=False)
    check_agreed(config, "--trust-code", is_agreed=True)
    check_agreed(config, "--trust-code", is_agreed=False)


def test_an_address_from_elsewhere_is_refused_by_its_server_alone_and_remembered_once_it_was_agreed_to() -> None:
    config = parse_config('[notify]\nwebhook = "https://name:TOKEN@evil.example.org:8443/TOKEN?TOKEN"', "case")
    with pytest.raises(
        ConfigError, match=r"notify\.webhook = https://evil\.example\.org:8443/….*--trust-code"
    ) as refused:
        check_agreed(config, "--trust-code", is_agreed=False)
    assert "TOKEN" not in str(refused.value)
    check_agreed(config, "--trust-code", is_agreed=True)
    check_agreed(config, "--trust-code", is_agreed=False)
    with pytest.raises(ConfigError, match=r"evil\.example\.com"):
        check_agreed(parse_config('[notify]\nwebhook = "https://evil.example.com"', "case"), "x", is_agreed=False)


def test_an_address_in_the_users_environment_is_the_users_own() -> None:
    check_agreed(parse_config('[notify]\nwebhook = "$MY_HOOK"', "case"), "--trust-code", is_agreed=False)


def test_a_reference_to_a_secret_is_trusted_as_its_value_is_and_no_message_repeats_that() -> None:
    literal = parse_config("[notify]\ncommand = 'curl TOKEN'\nwebhook = 'https://example.org/TOKEN'", "case")
    kept = with_secrets_kept(literal)
    with pytest.raises(ConfigError, match=r"notify\.command = 'secret:\w{12}' \(in .*secrets\.json\)") as refused:
        check_agreed(kept, "--trust-code", is_agreed=False)
    assert "TOKEN" not in str(refused.value)
    agree_to_named(literal)
    check_agreed(kept, "--trust-code", is_agreed=False)


def test_what_the_user_changes_is_the_users_own() -> None:
    overrides = ["notify.command=./tell.sh", "notify.webhook=https://example.org"]
    check_agreed(parse_config("", "case", overrides), "--trust-code", is_agreed=False, overrides=overrides)


def test_a_file_that_the_user_names_is_agreed_to_and_one_in_a_run_is_not(
    downloaded: tuple[Path, Path], tmp_path: Path
) -> None:
    run, _ = downloaded
    own = tmp_path / "own.toml"
    shutil.copy(run / "run.toml", own)
    assert is_of_a_run(str(run)) and is_of_a_run(str(run / "run.toml"))
    assert not is_of_a_run(str(own)) and not is_of_a_run("digits")
    agree_to_named(parse_config(own.read_text(), "own"))
    check_agreed(parse_config((run / "run.toml").read_text(), "run"), "--trust-code", is_agreed=False)


def test_a_run_that_was_trained_here_is_resumed_without_a_question_until_its_code_changes(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET.format(marker=str(tmp_path / "ran")))
    own = tmp_path / "own.toml"
    own.write_text(PERCEPTRON.replace('name = "mlp"\nhidden = [8]', f'name = "{tmp_path}/net.py:net"'))
    run = torchdeck.train(own, runs=tmp_path / "runs", show=False).path
    assert torchdeck.resume(run, epochs=2, show=False).epoch == 2
    with (tmp_path / "net.py").open("a") as file:
        file.write("\nx = 1\n")
    with pytest.raises(ConfigError, match="trust_code=True"):
        torchdeck.resume(run, epochs=3, show=False)
    assert torchdeck.resume(run, epochs=3, show=False, trust_code=True).epoch == 3


def test_an_agreement_that_cannot_be_kept_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    config = parse_config('[notify]\ncommand = "./tell.sh"', "case")
    agree_to_named(config)
    assert "can't be saved" in capsys.readouterr().err
    assert not TrustStore().knows(notifications(config)[0])
