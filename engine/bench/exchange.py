"""How long processes need to add up their gradients where nothing else goes on.

    torchrun … -m torchdeck.engine.bench.exchange ELEMENTS DEVICE

The first process prints the median seconds of one exchange. Training hides a part of it behind the backward pass.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from ..errors import TorchdeckError
from ..machine.python_process import module_command, python_command

# The size of the pieces in which DistributedDataParallel sends gradients, in float32 elements: 25 MiB.
_PIECE = 25 * (1 << 20) // 4
_WARM, _ROUNDS = 3, 15
_LIMIT_SECONDS = 300.0


def exchange_seconds(elements: int, processes: int, *, device: str, devices: Sequence[int] = ()) -> float:
    """Start processes that add up `elements` float32 numbers, and return the median seconds of that.

    Args:
        elements: gradients of the model.
        processes: how many processes.
        device: "cpu" or "cuda".
        devices: GPUs, one for each process; empty for the first ones.

    Raises:
        TorchdeckError: they could not.
    """
    result = subprocess.run(
        [
            *module_command("torch.distributed.run"),
            "--standalone",
            f"--nproc-per-node={processes}",
            "--no-python",
            *python_command(),
            "-m",
            "torchdeck.engine.bench.exchange",
            str(elements),
            device,
            ",".join(map(str, devices[:processes])),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_LIMIT_SECONDS,
    )
    if result.returncode:
        raise TorchdeckError(f"the processes could not exchange gradients: {result.stderr.strip()[-2000:]}")
    return float(result.stdout.split()[-1])


def main(elements: int, kind: str, devices: Sequence[int]) -> None:
    """Exchange, as one of the processes."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("nccl" if kind == "cuda" else "gloo")
    rank = dist.get_node_local_rank()
    device = torch.device("cuda", devices[rank] if devices else rank) if kind == "cuda" else torch.device("cpu")
    gradients = torch.zeros(elements, device=device).split(_PIECE)
    seconds = []
    for _ in range(_WARM + _ROUNDS):
        dist.barrier()
        began = time.perf_counter()
        for work in [dist.all_reduce(piece, async_op=True) for piece in gradients]:
            work.wait()
        if kind == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - began)
    if dist.get_rank() == 0:
        print(statistics.median(seconds[_WARM:]))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], [int(word) for word in sys.argv[3].split(",") if word])
