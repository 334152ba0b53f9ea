"""Opening checkpoints: every byte is checked before torch sees the file, and no code from it ever runs."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ...errors import CheckpointError, RunError
from ...run_files import CHECKPOINTS
from ...tensor_files.bounds import most_copied_bytes
from ...tensor_files.checkpoint_file import CheckpointReport, inspect_open_file, open_checkpoint
from ...tensor_files.object_tree import TensorInfo
from ...tensor_files.tensor_data import read_tensor
from .checkpoint_index import CheckpointInfo, find_checkpoint_files, list_checkpoints, step_of

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "CheckpointInfo",
    "list_checkpoints",
    "load_checkpoint",
    "load_tensors",
    "newest_valid_checkpoint",
    "verify_checkpoint",
]

_PIECE_BYTES = 4 << 20


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, its tensors on the CPU.

    torch itself never compares the checksums that it writes, and a small file can make its unpickler hang or fill the
    memory; so structure and checksums are verified first, on the same open file.

    Raises:
        CheckpointError: it can't be read, is damaged, or holds objects whose code would have to run.
    """
    import torch

    with open_checkpoint(path) as file:
        report = _verify(file, path)
        if report.format == "safetensors":
            return {entry.name: read_tensor(file, entry, path) for entry in report.tensors}
        _refuse_objects(path, report)
        file.seek(0)
        try:
            content = torch.load(file, map_location="cpu", weights_only=True, mmap=False)
        except Exception as error:
            # torch's own text advises to switch the safety off and holds terminal codes.
            raise CheckpointError(f"{path}: torch can't read it ({type(error).__name__})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: contains a {type(content).__name__}, not a dict of named values")
    return content


def load_tensors(path: Path, names: Collection[str]) -> dict[str, Tensor]:
    """Tensors of a checkpoint by their dotted names, on the CPU; the file is not unpickled.

    So the weights of a file can be had whose other content only code could rebuild: the settings of a Lightning
    module, timm's `argparse.Namespace`. Structure and checksums of the whole file are verified first.

    Args:
        path: a file of torch.save, old or new, or of safetensors.
        names: which tensors; those that the file lacks are left out.

    Raises:
        CheckpointError: it can't be read or is damaged.
    """
    with open_checkpoint(path) as file:
        report = _verify(file, path)
        _refuse_oversized(path, report)
        wanted = [entry for entry in report.tensors if entry.name in names]
        _refuse_copies(path, report, wanted)
        return {entry.name: read_tensor(file, entry, path) for entry in wanted}


def verify_checkpoint(path: Path) -> CheckpointReport:
    """Check a file's structure and the checksum of every byte, without torch.

    Files of torch before 1.6 and safetensors hold no checksums; of them only the structure can be checked.

    Raises:
        CheckpointError: it can't be read or is damaged.
    """
    with open_checkpoint(path) as file:
        return _verify(file, path)


def newest_valid_checkpoint(
    run: Path, check: Callable[[Path], object] = lambda path: None
) -> tuple[Path, list[tuple[Path, str]]]:
    """The newest checkpoint of a run that passes verification.

    Args:
        run: the run's directory.
        check: raises CheckpointError for a file that is whole and not what is needed.

    Returns:
        Its path, and the newer ones that were skipped, each with the reason.

    Raises:
        RunError: the run has none; the text says what is wrong with each.
    """
    found = find_checkpoint_files(run / CHECKPOINTS)
    newest_first = sorted(
        found, key=lambda file: (step_of(file.path.name) or -1, file.status.st_mtime_ns), reverse=True
    )
    skipped: list[tuple[Path, str]] = []
    for file in newest_first:
        try:
            report = verify_checkpoint(file.path)
            if report.foreign:
                raise CheckpointError(f"{file.path}: contains objects of {', '.join(report.foreign[:3])}")
            check(file.path)
        except CheckpointError as error:
            skipped.append((file.path, str(error).removeprefix(f"{file.path}: ")))
        else:
            return file.path, skipped
    if not skipped:
        raise RunError(f"{run.name}: has no checkpoint to resume from; it ended before its first save")
    reasons = "".join(f"\n  {path.name}: {reason}" for path, reason in skipped)
    raise RunError(f"{run.name}: none of its {len(skipped)} checkpoints can be used:{reasons}")


def _verify(file: BinaryIO, path: Path) -> CheckpointReport:
    report = inspect_open_file(file, path)
    for span in report.checksums:
        file.seek(span.offset)
        checksum, left = 0, span.bytes
        while left:
            try:
                piece = file.read(min(_PIECE_BYTES, left))
            except OSError as error:
                raise CheckpointError(f"{path}: can't be read: {error.strerror or error}") from error
            if not piece:
                raise CheckpointError(f"{path}: is truncated")
            checksum = zlib.crc32(piece, checksum)
            left -= len(piece)
        if checksum != span.crc32:
            raise CheckpointError(f"{path}: is damaged: the checksum of its part {span.name} is wrong")
    return report


def _refuse_objects(path: Path, report: CheckpointReport) -> None:
    if report.foreign:
        shown = ", ".join(report.foreign[:4])
        raise CheckpointError(
            f"{path}: contains objects of {shown}, which can't be rebuilt without running code that the file names; "
            "torchdeck never does that. Save the state_dict() instead of the object"
        )
    _refuse_oversized(path, report)


def _refuse_copies(path: Path, report: CheckpointReport, wanted: list[TensorInfo]) -> None:
    """Tensors may share their data in the file; read one by one, each has its own."""
    total = sum(entry.bytes for entry in wanted)
    if total > most_copied_bytes(report.bytes):
        raise CheckpointError(
            f"{path}: its tensors share data, and each on its own they would take {total / 1e9:,.1f} GB of memory and "
            f"disk where the file has {report.bytes / 1e9:,.1f} GB; save it again with tensors of their own"
        )


def _refuse_oversized(path: Path, report: CheckpointReport) -> None:
    if report.oversized:
        raise CheckpointError(
            f"{path}: its tensor {report.oversized!r} is larger than the data stored for it, as expanded tensors are; "
            "copied out of the file they would fill the memory"
        )
