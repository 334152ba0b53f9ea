"""What is exported is what was in the checkpoint, whichever program wrote it, and nothing of a file is ever run."""

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from torchdeck.engine.checkpoints import export as export_module
from torchdeck.engine.checkpoints.export import export_checkpoint, weight_names
from torchdeck.engine.errors import CheckpointError, ConfigError
from torchdeck.engine.tensor_files.checkpoint_file import inspect_checkpoint


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
        self.head = nn.Linear(2, 3)


class Trap:
    """Leaves a trace when it is unpickled by code that runs what a file names."""

    def __reduce__(self) -> Any:
        return os.mkdir, (os.environ["TRACE"],)


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return Net().state_dict()


def is_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_weights_come_out_as_safetensors_and_as_a_bare_state_dict(perceptron_checkpoint: Path, tmp_path: Path) -> None:
    wanted = torch.load(perceptron_checkpoint, weights_only=True)["model_state_dict"]
    report = export_checkpoint(perceptron_checkpoint, tmp_path / "w.safetensors")
    assert (report.tensors, report.bytes) == (len(wanted), (tmp_path / "w.safetensors").stat().st_size)
    assert is_equal(load_file(tmp_path / "w.safetensors"), wanted)
    for name in ("w.pt", "w.pth"):
        export_checkpoint(perceptron_checkpoint, tmp_path / name)
        assert is_equal(torch.load(tmp_path / name, weights_only=True), wanted)


@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
@pytest.mark.filterwarnings("ignore")
def test_the_model_comes_out_as_a_program_that_takes_any_number_of_samples(
    perceptron_checkpoint: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"model{suffix}"
    report = export_checkpoint(perceptron_checkpoint, out)
    assert "run on 2 and 3 samples" in report.checked
    images = torch.rand(5, 1, 8, 8)
    if suffix == ".pt2":
        outputs = torch.export.load(out).module()(images)
    else:
        from onnx.reference import ReferenceEvaluator

        outputs = torch.as_tensor(np.array(ReferenceEvaluator(str(out)).run(None, {"images": images.numpy()})[0]))
    assert outputs.shape == (5, 10)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


FOREIGN = {
    "tutorial.pt": lambda: {"epoch": 3, "model_state_dict": weights(), "optimizer_state_dict": {"state": {}}},
    "bare.pt": weights,
    "lightning.ckpt": lambda: {
        "state_dict": weights(),
        "hyper_parameters": {"where": Path("/data")},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2)}}}],
    },
    "timm.pth.tar": lambda: {"arch": "net", "args": argparse.Namespace(lr=0.1), "state_dict": weights()},
    "averaged.pt": lambda: {"state_dict": weights(1), "state_dict_ema": weights()},
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", FOREIGN)
def test_the_weights_of_other_programs_checkpoints_are_found(name: str, legacy: bool, tmp_path: Path) -> None:
    torch.save(FOREIGN[name](), tmp_path / name, _use_new_zipfile_serialization=not legacy)
    export_checkpoint(tmp_path / name, tmp_path / "out.safetensors", averaged=name == "averaged.pt")
    assert is_equal(load_file(tmp_path / "out.safetensors"), weights())


def test_the_tensors_of_a_pickled_model_come_out_under_their_names_and_nothing_of_it_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))
    torch.manual_seed(0)
    model = Net()
    model.extra = Trap()
    torch.save(model, tmp_path / "model.pt")
    export_checkpoint(tmp_path / "model.pt", tmp_path / "out.safetensors")
    assert is_equal(load_file(tmp_path / "out.safetensors"), weights())
    assert not (tmp_path / "trace").exists()
    with pytest.raises(CheckpointError, match="contains objects of"):
        export_checkpoint(tmp_path / "model.pt", tmp_path / "out.pt2")


def test_views_and_tied_tensors_come_out_with_their_values(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    torch.save(
        {"base": base, "transposed": base.T, "row": base[1], "tied": base, "none": torch.empty(0)}, tmp_path / "v.pt"
    )
    export_checkpoint(tmp_path / "v.pt", tmp_path / "v.safetensors")
    out = load_file(tmp_path / "v.safetensors")
    assert torch.equal(out["transposed"], base.T)
    assert torch.equal(out["row"], base[1])
    assert torch.equal(out["tied"], base)
    assert out["none"].shape == (0,)


def test_what_can_not_be_exported_is_said_and_nothing_is_left(perceptron_checkpoint: Path, tmp_path: Path) -> None:
    torch.save({"epoch": 1}, tmp_path / "empty.pt")
    (tmp_path / "there.pt").write_bytes(b"mine")
    before = sorted(path.name for path in tmp_path.iterdir())
    for arguments, error, words in (
        ((perceptron_checkpoint, tmp_path / "out.h5"), ConfigError, "must end in .safetensors"),
        ((perceptron_checkpoint, tmp_path / "there.pt"), ConfigError, "already exists"),
        ((perceptron_checkpoint, tmp_path / "no" / "out.pt"), ConfigError, "can't be written"),
        ((tmp_path / "empty.pt", tmp_path / "out.pt"), CheckpointError, "contains no model tensors"),
        ((tmp_path / "there.pt", tmp_path / "out.pt"), CheckpointError, "is not a checkpoint"),
    ):
        with pytest.raises(error, match=words):
            export_checkpoint(*arguments)
    with pytest.raises(CheckpointError, match=r"has no averaged \(EMA\) weights"):
        export_checkpoint(perceptron_checkpoint, tmp_path / "out.pt", averaged=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "there.pt").read_bytes() == b"mine"


def test_a_file_that_reads_back_otherwise_is_not_left(
    perceptron_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = export_module.safetensors_content

    def damaged(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> list[bytes]:
        *pieces, last = map(bytes, original(tensors, metadata))
        return [*pieces, bytes([last[0] ^ 1]) + last[1:]]

    monkeypatch.setattr(export_module, "safetensors_content", damaged)
    with pytest.raises(CheckpointError, match="was not written correctly"):
        export_checkpoint(perceptron_checkpoint, tmp_path / "w.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_weights_are_told_apart_from_what_else_a_checkpoint_holds(perceptron_checkpoint: Path) -> None:
    names = weight_names(inspect_checkpoint(perceptron_checkpoint))
    assert names
    assert all(in_file == f"model_state_dict.{name}" for name, in_file in names.items())
