"""Norms of the tensors in a file."""

from __future__ import annotations

from pathlib import Path

from ..runs.saving.checkpoint import verify_checkpoint
from ..tensor_files.bounds import most_copied_bytes
from ..tensor_files.checkpoint_file import open_checkpoint
from ..tensor_files.tensor_data import read_tensor


def tensor_norms(path: Path) -> dict[str, float]:
    """The Euclidean norm of every tensor in a file, in double precision; NaN where it holds NaN.

    Left out are the largest of those that share data, where reading each of them on its own would not end.

    Reads one tensor after another, so that a file larger than the memory can be looked at; nothing is unpickled.

    Raises:
        CheckpointError: the file can't be read or is damaged.
    """
    import torch

    report = verify_checkpoint(path)
    norms: dict[str, float] = {}
    left = most_copied_bytes(report.bytes)
    with open_checkpoint(path) as file:
        for entry in sorted(report.tensors, key=lambda entry: entry.bytes):
            # Tensors may repeat the data of the file without end; what they would take goes beyond the largest ones.
            left -= entry.bytes
            if left < 0:
                break
            tensor = read_tensor(file, entry, path)
            values = tensor.abs() if tensor.is_complex() else tensor
            norms[entry.name] = float(torch.linalg.vector_norm(values.double().flatten()))
    return norms
