"""What was looked at on a machine, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: part of the machine that was checked.
        verdict: "ok"; "limited" when training works without it; "broken" when it doesn't.
        found: result of the check.
        advice: recommended action; empty if ok.
    """

    subject: str
    verdict: Literal["ok", "limited", "broken"]
    found: str
    advice: str = ""
