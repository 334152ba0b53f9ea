"""What the list of GPUs says of each, and of a batch that several of them share."""

from __future__ import annotations

from collections.abc import Sequence

from torchdeck.engine.detached.gpus import GpuState, Occupant
from torchdeck.engine.plurals import plural

from ...drawing import left, name
from ..figures import byte_size

_NAME_CELLS = 18
_FREE_CELLS = 12
# A driver and its display take this much of an idle GPU.
_IDLE_BYTES = 1 << 30


def gpu_line(gpu: GpuState, occupants: Sequence[Occupant], width: int, *, is_chosen: bool) -> str:
    """A GPU as one line: whether it is chosen, what it is, its free memory, and who computes on it."""
    switch = "[$primary]━━●[/]" if is_chosen else "[$text-disabled]●━━[/]"
    tone = "b" if is_chosen else "$text"
    free = f"{byte_size(gpu.free)} free"
    model = left(gpu.name.removeprefix("NVIDIA "), _NAME_CELLS)
    head = f"{switch} [{tone}]{gpu.index:>2}[/]  {model}  {left(free, _FREE_CELLS)}  "
    return f"{head}{_use(gpu, occupants, width - _NAME_CELLS - _FREE_CELLS - 12)}"


def _use(gpu: GpuState, occupants: Sequence[Occupant], width: int) -> str:
    if occupants:
        words = ", ".join(filter(None, (_who(each) for each in occupants)))
        return f"[$warning]▲ {name(words, max(1, width - 2))}[/]"
    if gpu.processes or gpu.total - gpu.free > _IDLE_BYTES:
        # Processes outside of this container are not to be seen.
        return "[$warning]▲ in use[/]"
    return "[$success]✓[/] idle"


def _who(occupant: Occupant) -> str:
    words = [occupant.user, occupant.program or str(occupant.pid), byte_size(occupant.taken) if occupant.taken else ""]
    return " ".join(filter(None, words))


def share_line(gpus: int, batch_size: int) -> str:
    """What each of the chosen GPUs gets of a batch."""
    if gpus == 0:
        return "[$text-muted]none chosen: training.device says where the run trains[/]"
    if gpus == 1:
        return f"one process, batch {batch_size:,}"
    below, rest = divmod(batch_size, gpus)
    if rest:
        nearest = " or ".join(f"{count * gpus:,}" for count in (below, below + 1) if count)
        return f"[$warning]▲[/] batch {batch_size:,} can't be divided into {gpus} equal parts; nearest: {nearest}"
    return f"{plural(gpus, 'process', 'processes')} · batch {batch_size:,} in all, {below:,} each"
