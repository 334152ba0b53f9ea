"""Why torchrun's agent ended, from what it printed: it has no other way to tell."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

from ..config import ParallelConfig
from ..runs.rank_states import RankState
from .meeting import Meeting

# Names of torchrun's errors.
_NOT_ALL_CAME = "RendezvousTimeoutError"
_NO_ANSWER = "RendezvousConnectionError"


def why_machines_parted(output: str, meeting: Meeting, parallel: ParallelConfig, ranks: Sequence[RankState]) -> str:
    """Why the machines of a run are not, or no longer, together.

    Args:
        output: what the agent printed.
        meeting: where they meet.
        parallel: how many there are, and how long they wait for each other.
        ranks: what their processes last said of themselves; empty where the run has not begun.

    Returns:
        A sentence with what to do; empty where it is not the machines that ended the agent.
    """
    minutes = f"within {parallel.meeting_minutes:g} minutes (parallel.meeting_minutes)"
    if _NO_ANSWER in output:
        return (
            f"nothing answers at {meeting.text}: give the same command on that machine, too, and see that its port "
            "can be reached from here"
        )
    if _NOT_ALL_CAME not in output:
        return ""
    if not ranks:
        return (
            f"{parallel.machines} machines did not meet at {meeting.text} {minutes}: give the same command on each of "
            "them"
        )
    lost = "a machine was lost and did not come back"
    others = [state for state in ranks if state.get("host") != socket.gethostname()]
    if others:
        silent = min(others, key=lambda state: state["time"])
        ago = time.time() - silent["time"]
        lost = f"{silent['host']}, last heard of {ago:.0f} s ago at step {silent.get('step')}, did not come back"
    return f"{lost} {minutes}: resume the run when the machines are there"
