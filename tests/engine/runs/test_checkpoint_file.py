"""What the inspector tells of real files is what torch finds in them."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from run_cases import plain_state
from torch import nn

from torchdeck.engine.errors import CheckpointError
from torchdeck.engine.runs.saving.checkpoint import load_checkpoint
from torchdeck.engine.tensor_files.checkpoint_file import inspect_checkpoint, report_json


def training_state() -> dict[str, Any]:
    """A network with tied weights and buffers, in the middle of training with AdamW."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 144), nn.Linear(144, 144)
    )
    network[4].weight = network[3].weight
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    return plain_state(
        9,
        epoch=2,
        model_state_dict=network.state_dict(),
        optimizer_state_dict=optimizer.state_dict(),
        metrics={"loss": 0.5},
    )


def tensors_of(value: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from tensors_of(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from tensors_of(item, f"{name}.{number}")


@pytest.mark.parametrize("zip_format", [True, False])
def test_every_tensor_is_listed_with_torchs_own_name_shape_type_and_size(tmp_path: Path, zip_format: bool) -> None:
    path = tmp_path / "state.pt"
    torch.save(training_state(), path, _use_new_zipfile_serialization=zip_format)
    report = inspect_checkpoint(path)
    content = torch.load(path, weights_only=True)
    expected = [
        (name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), tensor.nbytes)
        for name, tensor in tensors_of(content)
    ]
    assert [(tensor.name, tensor.shape, tensor.dtype, tensor.bytes) for tensor in report.tensors] == expected
    assert report.format == ("torch zip" if zip_format else "torch legacy")
    assert report.keys == list(content)
    assert (report.epoch, report.step, report.metrics) == (2, 9, {"loss": 0.5})
    assert report.config == 'name = "run"\n'
    assert report.foreign == []
    assert report.oversized == ""
    assert report.values["optimizer_state_dict.param_groups.0.lr"] == 0.001


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.float8_e4m3fn])
@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (2, 3, 4)])
def test_types_and_shapes_of_every_kind(tmp_path: Path, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    tensor = torch.zeros(shape).to(dtype)
    torch.save({"w": tensor, "view": torch.zeros(40, 50).to(dtype).t()[3:7]}, tmp_path / "file.pt")
    first, second = inspect_checkpoint(tmp_path / "file.pt").tensors
    assert (first.shape, first.dtype, first.bytes) == (shape, str(dtype)[6:], tensor.nbytes)
    assert second.shape == (4, 40)


def test_the_document_has_what_the_command_promises(tmp_path: Path) -> None:
    torch.save(training_state(), tmp_path / "state.pt")
    document = json.loads(json.dumps(report_json(inspect_checkpoint(tmp_path / "state.pt"))))
    assert {"format", "tensors", "keys", "epoch", "step", "metrics"} <= document.keys()
    assert document["tensors"][0] == {
        "name": "model_state_dict.0.weight", "shape": [4, 3, 3, 3], "dtype": "float32", "bytes": 432,
    }  # fmt: skip


def write_safetensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    names = {torch.float32: "F32", torch.bfloat16: "BF16", torch.int64: "I64"}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, tensor in tensors.items():
        raw = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
        data += raw
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + data)


def test_safetensors_are_listed_and_loaded(tmp_path: Path) -> None:
    tensors = {
        "a.weight": torch.randn(3, 4),
        "b": torch.randn(5).bfloat16(),
        "c": torch.tensor(7),
        "d": torch.zeros(0, 2),
    }
    write_safetensors(tmp_path / "w.safetensors", tensors)
    report = inspect_checkpoint(tmp_path / "w.safetensors")
    assert report.format == "safetensors"
    assert [(tensor.name, tensor.shape) for tensor in report.tensors] == [
        (name, tuple(tensor.shape)) for name, tensor in tensors.items()
    ]
    loaded = load_checkpoint(tmp_path / "w.safetensors")
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def test_a_legacy_file_loads_as_torch_loads_it(tmp_path: Path) -> None:
    torch.save(training_state(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    loaded = load_checkpoint(tmp_path / "old.pth")
    content = torch.load(tmp_path / "old.pth", weights_only=True)
    for (name, mine), (_, theirs) in zip(tensors_of(loaded), tensors_of(content), strict=True):
        assert torch.equal(mine, theirs), name


def test_tied_weights_stay_tied(tmp_path: Path) -> None:
    torch.save(training_state(), tmp_path / "state.pt")
    weights = load_checkpoint(tmp_path / "state.pt")["model_state_dict"]
    assert weights["3.weight"].data_ptr() == weights["4.weight"].data_ptr()


def test_a_saved_module_is_listed_and_its_class_named(tmp_path: Path) -> None:
    torch.save(nn.Linear(3, 2), tmp_path / "module.pt")
    report = inspect_checkpoint(tmp_path / "module.pt")
    assert "torch.nn.modules.linear.Linear" in report.foreign
    assert {tensor.shape for tensor in report.tensors} == {(2, 3), (2,)}
    with pytest.raises(CheckpointError, match=r"objects of .*Linear.*never does"):
        load_checkpoint(tmp_path / "module.pt")


def test_names_that_differ_only_in_what_a_terminal_hides_stay_data(tmp_path: Path) -> None:
    name = "\x1b]0;title\x07[@click=app.quit]w[/]\u202e" + "x" * 5000
    torch.save({name: torch.ones(1)}, tmp_path / "names.pt")
    (tensor,) = inspect_checkpoint(tmp_path / "names.pt").tensors
    assert tensor.name == name[:1000]


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
def test_scripted_programs_are_refused_by_name(tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "program.pt"))
    with pytest.raises(CheckpointError, match="TorchScript"):
        inspect_checkpoint(tmp_path / "program.pt")


def test_a_link_to_a_checkpoint_can_be_inspected(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1)}, tmp_path / "file.pt")
    (tmp_path / "link.pt").symlink_to(tmp_path / "file.pt")
    assert len(inspect_checkpoint(tmp_path / "link.pt").tensors) == 1


def test_inspecting_reads_no_tensor_and_imports_no_torch(tmp_path: Path) -> None:
    torch.save({"epoch": 1, "w": torch.zeros(10 << 20)}, tmp_path / "large.pt")
    script = """
import sys
from pathlib import Path
from torchdeck.engine.tensor_files.checkpoint_file import inspect_checkpoint
report = inspect_checkpoint(Path(sys.argv[1]))
read = int([line for line in open("/proc/self/io") if line.startswith("rchar")][0].split()[1])
print(len(report.tensors), "torch" in sys.modules, "numpy" in sys.modules, read < 10 << 20)
"""
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "large.pt")], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["1", "False", "False", "True"]
