"""Opening a file never runs code from it, never hangs, never fills the memory."""

from __future__ import annotations

import json
import pickle
import random
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from hostile_files import OPENER, hostile_files, zipped
from run_cases import plain_state
from warm_python import warm_python

from torchdeck.engine.errors import CheckpointError
from torchdeck.engine.tensor_files.checkpoint_file import inspect_checkpoint
from torchdeck.engine.tensor_files.pickle_tree import PickleReader


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("hostile")
    canary = tmp_path_factory.mktemp("canary") / "code-ran"
    with warnings.catch_warnings():
        # zipfile warns of the doubled entry that one of the files is made of.
        warnings.simplefilter("ignore", UserWarning)
        hostile_files(folder, canary)
    return folder, canary


def open_all(mode: str, memory: int, folder: Path) -> dict[str, str]:
    # What lists needs no torch, and little address space.
    python = (sys.executable,) if mode == "inspect" else warm_python()
    result = subprocess.run(
        [*python, "-c", OPENER, mode, str(memory), str(folder)], capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, result.stderr
    outcomes: dict[str, str] = json.loads(result.stdout)
    return outcomes


def test_the_canary_lives(hostile: tuple[Path, Path]) -> None:
    folder, canary = hostile
    for name in ("code_os_system.pt", "code_eval.pt", "code_stack_global.pt", "code_open.pt"):
        torch.load(folder / name, weights_only=False)
        assert canary.exists()
        canary.unlink()


def test_inspecting_runs_no_code_and_stays_within_time_and_memory(hostile: tuple[Path, Path]) -> None:
    folder, canary = hostile
    outcomes = open_all("inspect", 900 << 20, folder)
    assert not canary.exists()
    assert len(outcomes) == len(list(folder.iterdir()))
    for name, outcome in outcomes.items():
        assert outcome == "listed" or outcome.startswith(f"refused: {folder / name}: "), f"{name}: {outcome}"
        if name.startswith("wrong"):
            assert outcome.startswith("refused"), f"{name}: {outcome}"
        if name.startswith("good"):
            assert outcome == "listed", f"{name}: {outcome}"


def test_loading_runs_no_code_and_refuses_everything_hostile(hostile: tuple[Path, Path]) -> None:
    folder, canary = hostile
    outcomes = open_all("load", 12 << 30, folder)
    assert not canary.exists()
    for name, outcome in outcomes.items():
        expected = "loaded" if name.startswith("good") or name == "hang_name_growth.pt" else "refused"
        assert outcome.startswith(expected), f"{name}: {outcome}"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"args": Path("/data")}, "PosixPath"),
        ({"model": torch.nn.Linear(2, 2)}, "torch.nn.modules.linear.Linear"),
        ({"f": print}, "print"),
    ],
)
def test_a_file_with_objects_is_listed_with_their_classes(tmp_path: Path, content: object, named: str) -> None:
    torch.save({"state_dict": {"w": torch.ones(3)}, **content}, tmp_path / "foreign.pt")  # type: ignore[dict-item]
    report = inspect_checkpoint(tmp_path / "foreign.pt")
    assert any(named in name for name in report.foreign)
    assert "state_dict.w" in [tensor.name for tensor in report.tensors]


@pytest.mark.campaign
def test_random_damage_to_the_objects_raises_nothing_but_a_checkpoint_error(tmp_path: Path) -> None:
    torch.save(plain_state(1), tmp_path / "good.pt")
    legacy = tmp_path / "legacy.pt"
    torch.save(plain_state(1), legacy, _use_new_zipfile_serialization=False)
    path = tmp_path / "damaged.pt"
    generator = random.Random(7)
    refused = 0
    for source in (tmp_path / "good.pt", legacy):
        data = source.read_bytes()
        for _ in range(400):
            damaged = bytearray(data)
            for _ in range(generator.randrange(1, 5)):
                damaged[generator.randrange(len(damaged))] = generator.randrange(256)
            path.write_bytes(damaged)
            try:
                inspect_checkpoint(path)
            except CheckpointError:
                refused += 1
    assert refused > 50


@pytest.mark.campaign
def test_random_pickles_raise_nothing_but_a_checkpoint_error() -> None:
    generator = random.Random(8)
    seed = pickle.dumps({"a": [1, 2.5, "x", (None, True)], "b": {1: {"c": b"x"}}, "d": {1, 2}}, 4)
    operations = bytes(code[0] for name, code in vars(pickle).items() if name.isupper() and isinstance(code, bytes))
    refused = 0
    for _ in range(5000):
        damaged = bytearray(seed)
        for _ in range(generator.randrange(1, 8)):
            damaged[generator.randrange(len(damaged))] = generator.choice(operations)
        try:
            PickleReader(bytes(damaged)).read()
        except CheckpointError:
            refused += 1
    assert refused > 1000


def test_objects_nested_deeper_than_any_checkpoint_are_refused(tmp_path: Path) -> None:
    for depth in (90, 110):
        content: object = 1
        for _ in range(depth):
            content = {"k": content}
        torch.save(content, tmp_path / f"{depth}.pt")
    assert inspect_checkpoint(tmp_path / "90.pt").foreign == []
    with pytest.raises(CheckpointError, match="more than 100 deep"):
        inspect_checkpoint(tmp_path / "110.pt")


def test_an_archive_that_torch_did_not_write_is_refused(tmp_path: Path) -> None:
    zipped(b"\x80\x02}.", entries={"second_root/data.pkl": b"N."})(tmp_path / "two.pt")
    with pytest.raises(CheckpointError, match=r"not one of torch.save"):
        inspect_checkpoint(tmp_path / "two.pt")
