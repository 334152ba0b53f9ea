"""Weights and models out of checkpoints, in the formats that other programs read; each read back and compared."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import CheckpointError, ConfigError
from ..files.durable import atomic_write, fsync_directory, temporary_path
from ..machine.installation import install_command
from ..models.weights_mapping import entries_of, state_dict_name
from ..runs.saving.checkpoint import load_tensors
from ..tensor_files.checkpoint_file import CheckpointReport, inspect_checkpoint
from ..tensor_files.safetensors_file import safetensors_content
from .code import PROGRAM_SUFFIXES

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMATS = {
    ".safetensors": "safetensors",
    ".pt": "state_dict",
    ".pth": "state_dict",
    ".pt2": "torch.export program",
    ".onnx": "ONNX",
}

_AVERAGED = ("ema_state_dict", "state_dict_ema", "model_ema", "ema")
_NOT_WEIGHTS = re.compile(
    r"(optimizers?|optimizer_states?|optimizer_state_dict|optim|lr_schedulers?|scheduler_state_dict|rng|"
    r"scaler_state_dict|loops|callbacks)\."
)
# Relative to the largest output: what other kernels and another order of additions may differ by in float32.
_TOLERANCE = 1e-3
_BATCH = 2
# Left free on the disk beside the new file.
_SPARE_BYTES = 16 << 20

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ExportReport:
    """Result of an export: the file and how it was checked.

    Attributes:
        path: the new file.
        format: name of the file format.
        bytes: size of the new file in bytes.
        tensors: how many tensors were exported; 0 for a program.
        checked: how it was verified, in words.
    """

    path: Path
    format: str
    bytes: int
    tensors: int
    checked: str


def export_checkpoint(
    path: Path,
    out: Path,
    *,
    averaged: bool = False,
    overwrite: bool = False,
    progress: Progress = lambda message, done, total: None,
) -> ExportReport:
    """Write the weights of a checkpoint, or its model as a program, and verify the new file by reading it back.

    Args:
        path: any checkpoint for `.safetensors`, `.pt` and `.pth`, a pickled model too, of which only the tensors are
            read; one of torchdeck for `.pt2` and `.onnx`, which need its model.
        out: the new file; its suffix says the format.
        averaged: take the averaged (EMA) weights.
        overwrite: replace a file that is there.
        progress: called with what is being done.

    Raises:
        ConfigError: an unknown suffix, a file that is there already, or a package that is needed and missing.
        CheckpointError: the checkpoint can't be read, holds no such weights, or the new file is not what it should be;
            nothing is left of it then.
    """
    if out.suffix not in FORMATS:
        raise ConfigError(f"{out}: unknown export format; the name must end in {', '.join(FORMATS)}")
    if out.exists() and not overwrite:
        raise ConfigError(f"{out}: already exists")
    temporary = temporary_path(out).with_suffix(out.suffix)
    try:
        if out.suffix in PROGRAM_SUFFIXES:
            tensors, checked = 0, _export_program(path, temporary, averaged, progress)
        else:
            tensors, checked = _export_weights(path, temporary, averaged, progress)
        size = temporary.stat().st_size
        os.replace(temporary, out)
        fsync_directory(out.absolute().parent)
    except OSError as error:
        raise ConfigError(f"{out}: can't be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return ExportReport(out, FORMATS[out.suffix], size, tensors, checked)


def weight_names(report: CheckpointReport, *, averaged: bool = False) -> dict[str, str]:
    """The tensors of a file that are weights: the name each has in a state_dict, and its name in the file.

    Raises:
        CheckpointError: there are none.
    """
    names = [tensor.name for tensor in report.tensors if not _NOT_WEIGHTS.match(tensor.name)]
    entries = entries_of({tensor.name: tensor.shape for tensor in report.tensors})
    wanted = [entry for entry in entries if (entry in _AVERAGED) is averaged]
    if averaged and not wanted:
        raise CheckpointError(f"{report.path}: has no averaged (EMA) weights")
    prefix = f"{wanted[0]}." if wanted else ""
    found = {state_dict_name(name.removeprefix(prefix)): name for name in names if name.startswith(prefix)}
    if not found:
        raise CheckpointError(f"{report.path}: contains no model tensors")
    return found


def _export_weights(path: Path, out: Path, averaged: bool, progress: Progress) -> tuple[int, str]:
    import torch

    progress("reading the weights", 0, 0)
    names = weight_names(inspect_checkpoint(path), averaged=averaged)
    loaded = load_tensors(path, set(names.values()))
    tensors = {name: loaded[in_file] for name, in_file in names.items()}
    _require_room(out, sum(tensor.nbytes for tensor in tensors.values()))
    progress("writing them", 0, 0)

    def write(file: BinaryIO) -> None:
        if out.suffix == ".safetensors":
            for piece in safetensors_content(tensors, {"format": "pt"}):
                file.write(piece)
        else:
            torch.save(tensors, file)

    atomic_write(out, write)
    progress("verifying the file", 0, 0)
    back = load_tensors(out, set(tensors))
    different = [name for name, tensor in tensors.items() if name not in back or not _is_same(tensor, back[name])]
    if different or len(back) != len(tensors):
        raise CheckpointError(f"{out}: was not written correctly: {', '.join(different[:5])} differ")
    return len(tensors), f"read back, all {len(tensors)} tensors equal bit for bit"


def _require_room(out: Path, needed: int) -> None:
    """Raise OSError (ENOSPC) before a disk is filled up for nothing."""
    disk = os.statvfs(out.absolute().parent)
    free = disk.f_bavail * disk.f_frsize
    if free < needed + _SPARE_BYTES:
        words = f"the disk has {free / 1e6:,.0f} MB free, the file needs {needed / 1e6:,.0f} MB"
        raise OSError(errno.ENOSPC, words)


def _is_same(one: Tensor, other: Tensor) -> bool:
    import torch

    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.equal(*(tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (one, other)))


def _export_program(path: Path, out: Path, averaged: bool, progress: Progress) -> str:
    if out.suffix == ".onnx":
        _require_onnx()
    import torch

    from .restored import restore_model

    progress("building the model", 0, 0)
    restored = restore_model(path, averaged=averaged)
    generator = torch.Generator().manual_seed(0)
    example = torch.rand((_BATCH, *restored.input_shape), generator=generator)
    with torch.no_grad():
        expected = _tensor_of(restored.model(example))
    progress("exporting it", 0, 0)
    export, run = (_to_onnx, _run_onnx) if out.suffix == ".onnx" else (_to_pt2, _run_pt2)
    try:
        export(restored.model, example, out)
    except OSError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()
        words = f"{type(error).__name__}{f': {reason[0]}' if reason else ''}"
        raise CheckpointError(f"{path}: its model can't be exported as {FORMATS[out.suffix]}: {words}") from error
    progress("running it", 0, 0)
    # Another number of samples than it was exported with, so that a batch size frozen into it is noticed.
    more = torch.rand((_BATCH + 1, *restored.input_shape), generator=generator)
    with torch.no_grad():
        pairs = [(expected, run(out, example)), (_tensor_of(restored.model(more)), run(out, more))]
    largest = max(_difference(wanted, got) for wanted, got in pairs)
    if not largest <= _TOLERANCE:
        raise CheckpointError(
            f"{path}: the exported {FORMATS[out.suffix]} does not return the same as the model "
            f"(relative difference {largest:.2g})"
        )
    return f"loaded and run on {_BATCH} and {_BATCH + 1} samples: outputs differ by at most {largest:.1g}"


def _difference(wanted: Tensor, got: Tensor) -> float:
    """The largest difference as a share of the largest value."""
    if wanted.shape != got.shape:
        return float("inf")
    return float((wanted - got).abs().max() / wanted.abs().max().clamp(min=1e-12))


def _tensor_of(output: Any) -> Tensor:
    import torch

    if isinstance(output, tuple | list):
        output = output[0]
    if not isinstance(output, torch.Tensor):
        raise CheckpointError(
            f"the model returns a {type(output).__name__}; only one that returns a tensor can be exported"
        )
    return output


def _to_pt2(model: nn.Module, example: Tensor, out: Path) -> None:
    import torch

    batch = torch.export.Dim("batch", min=1, max=4096)
    torch.export.save(torch.export.export(model, (example,), dynamic_shapes=({0: batch},)), out)


def _run_pt2(file: Path, batch: Tensor) -> Tensor:
    import torch

    return _tensor_of(torch.export.load(file).module()(batch))


def _to_onnx(model: nn.Module, example: Tensor, out: Path) -> None:
    import torch

    program = torch.onnx.export(
        model,
        (example,),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
        input_names=["images"],
        output_names=["outputs"],
        verbose=False,
    )
    assert program is not None
    # A single file, with no external data.
    program.save(out, external_data=False)


def _run_onnx(file: Path, batch: Tensor) -> Tensor:
    import torch
    from onnx.reference import ReferenceEvaluator

    # The format's own definition of its operations: slow, and needs no further package.
    outputs: Any = ReferenceEvaluator(str(file)).run(None, {"images": batch.numpy()})
    return torch.as_tensor(outputs[0])


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"ONNX needs the package {error.name}: {install_command(extra='onnx')}; .pt2 needs nothing more"
        ) from error
