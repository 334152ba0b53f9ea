"""Check what several processes need to train together: torchrun, backends, a network address, ways between GPUs."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from ..launching.launched_ranks import TORCHRUN_OPTIONS
from ..plurals import plural
from .finding import Finding

_SUBJECT = "processes"
_NETWORK = "network"
_LINKS = "GPU links"
# More lanes than any NVLink generation has.
_MOST_LANES = 32


def examine_processes() -> list[Finding]:
    """Look at torch.distributed, the name of this machine, and the GPUs if there are several."""
    import torch

    findings = [_distributed(), address_finding(socket.gethostname())]
    if torch.cuda.is_available() and torch.cuda.device_count() > 1:
        count = torch.cuda.device_count()
        apart = [
            (one, other)
            for one, other in combinations(range(count), 2)
            if not torch.cuda.can_device_access_peer(one, other)
        ]
        findings.append(links_finding(count, apart, _nvlinks(count)))
    return findings


def _distributed() -> Finding:
    import torch
    import torch.distributed as dist

    if not dist.is_available():
        advice = "train with one process, or install a torch with torch.distributed"
        return Finding(_SUBJECT, "limited", f"torch {torch.__version__} was built without torch.distributed", advice)
    from torch.distributed.run import get_args_parser

    known = {option for action in get_args_parser()._actions for option in action.option_strings}
    if missing := [option for option in TORCHRUN_OPTIONS if option not in known]:
        found = f"torchrun of torch {torch.__version__} lacks {', '.join(missing)}"
        return Finding(_SUBJECT, "limited", found, "several processes need a newer torch")
    backends = ["gloo"] if dist.is_gloo_available() else []
    if dist.is_nccl_available() and torch.cuda.is_available():
        backends.append(f"NCCL {'.'.join(map(str, torch.cuda.nccl.version()))}")
    elif torch.cuda.is_available():
        found = f"{', '.join(backends)}; this torch has no NCCL"
        return Finding(_SUBJECT, "limited", found, "GPUs of several processes need the CUDA build of torch")
    return Finding(_SUBJECT, "ok", f"torchrun, {', '.join(backends)}")


def address_finding(host: str) -> Finding:
    """Whether the name of this machine is that of an address of its own, at which processes find each other."""
    advice = "set GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME to the interface to use, or mend /etc/hosts"
    try:
        address = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0]
    except OSError as error:
        return Finding(_NETWORK, "limited", f"the host name {host} has no address: {error.strerror or error}", advice)
    try:
        family = socket.AF_INET6 if ":" in str(address) else socket.AF_INET
        with socket.socket(family) as listener:
            listener.bind((str(address), 0))
    except OSError as error:
        found = f"{host} is {address}, which is no address of this machine: {error.strerror or error}"
        return Finding(_NETWORK, "limited", found, advice)
    return Finding(_NETWORK, "ok", f"{host} is {address}")


def links_finding(count: int, apart: Sequence[tuple[int, int]], lanes: Sequence[int]) -> Finding:
    """How GPUs reach each other.

    Args:
        count: how many GPUs there are.
        apart: pairs that can't read each other's memory.
        lanes: active NVLink lanes of each GPU; empty if that is not known.
    """
    nvlink = f", NVLink with {min(lanes)} lanes each" if lanes and min(lanes) > 0 else ", no NVLink: over PCIe"
    if apart:
        pairs = ", ".join(f"{one}-{other}" for one, other in apart[:6])
        found = f"{plural(len(apart), 'pair')} of {count} GPUs can't read each other's memory: {pairs}"
        advice = "gradients take the way over the host's memory, which is slower; choose GPUs that can with --gpus"
        return Finding(_LINKS, "limited", found, advice)
    return Finding(_LINKS, "ok", f"{count} GPUs read each other's memory{nvlink if lanes else ''}")


def _nvlinks(count: int) -> list[int]:
    """Active NVLink lanes of each GPU; empty if the driver does not say."""
    import pynvml

    try:
        pynvml.nvmlInit()
        return [_active_lanes(pynvml, pynvml.nvmlDeviceGetHandleByIndex(index)) for index in range(count)]
    except pynvml.NVMLError:
        return []


def _active_lanes(nvml: Any, handle: Any) -> int:
    active = 0
    for lane in range(_MOST_LANES):
        try:
            active += bool(nvml.nvmlDeviceGetNvLinkState(handle, lane))
        except nvml.NVMLError:
            # There is no such lane, or this GPU has none at all.
            break
    return active
