"""What a checkpoint may hold: everything that safe loading opens, and nothing else."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from run_cases import new_run

from torchdeck.engine.errors import CheckpointError
from torchdeck.engine.runs.saving.checkpoint import load_checkpoint
from torchdeck.engine.tensor_files.plain_content import check_plain


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Path("/data"), "config.root is a PosixPath"),
        (np.float64(0.5), "config.root is a float64"),
        (np.zeros(3), "config.root is a ndarray"),
        (defaultdict(int), "config.root is a defaultdict"),
        (torch.__version__, "config.root is a TorchVersion"),
        ({("a", 1): 2}, "config.root has a key of type tuple"),
        ({2.5: 1}, "config.root has a key of type float"),
        ({1 << 40: 1}, "config.root has a key of type int"),
        ([1, [2, {"x": object()}]], r"config.root\[1\]\[1\].x is a object"),
        (1 << 3000, "config.root is an integer of 3001 bits"),
    ],
)
def test_content_that_could_not_be_opened_again_is_refused_by_the_name_of_its_key(value: Any, named: str) -> None:
    with pytest.raises(CheckpointError, match=named):
        check_plain({"epoch": 1, "config": {"root": value}})


def test_content_that_holds_itself_is_refused() -> None:
    content: dict[str, Any] = {"a": {}}
    content["a"]["b"] = content
    with pytest.raises(CheckpointError, match="holds itself"):
        check_plain(content)


def test_everything_that_is_allowed_comes_back_through_safe_loading(tmp_path: Path) -> None:
    content = {
        "values": [
            1,
            -(1 << 2000),
            0.5,
            float("inf"),
            1 + 2j,
            True,
            None,
            "ü\n",
            b"\x00\xff",
            bytearray(b"ab"),
            {1, 2},
        ],
        "tuple": (1, (2, 3)),
        "ordered": OrderedDict(a=1),
        "keys": {1: "a", False: "c", None: "d", b"e": "f"},
        "torch": [torch.float16, torch.device("cpu"), torch.Size([2, 3]), torch.strided],
        "tensors": [
            torch.ones(3, dtype=dtype)
            for dtype in (torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.uint8, torch.complex64)
        ],
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(5),
        "float8": torch.ones(4).to(torch.float8_e4m3fn),
        "rng": torch.get_rng_state(),
    }
    check_plain(content)
    run = new_run(tmp_path)
    run.save_checkpoint(content, step=1, epoch=1, metrics={}, reason="t")
    run.flush()
    assert not run.save_error
    loaded = load_checkpoint(run.path / "checkpoints" / "last.pt")
    assert loaded["values"] == content["values"]
    assert loaded["tuple"] == content["tuple"]
    assert loaded["keys"] == content["keys"]
    assert loaded["torch"] == content["torch"]
    for mine, theirs in zip(content["tensors"], loaded["tensors"], strict=True):
        assert mine.dtype == theirs.dtype
        assert torch.equal(mine, theirs)
    assert torch.equal(loaded["rng"], content["rng"])
    run.close("finished")
