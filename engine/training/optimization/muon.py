"""Muon for the matrices of hidden layers and AdamW for everything else, as one optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer


class MuonWithAdamW(Optimizer):
    """Steps `torch.optim.Muon` and `torch.optim.AdamW` together; its groups are Muon's, then AdamW's.

    Muon orthogonalises the update of a matrix and is defined for nothing else; its documentation asks for another
    optimizer for vectors, embeddings and the last layer.
    """

    def __init__(self, muon: list[dict[str, Any]], adamw: list[dict[str, Any]], **arguments: Any) -> None:
        """Set both up.

        Args:
            muon: groups of matrices; may be empty.
            adamw: groups of anything else; may be empty.
            arguments: `lr` and `weight_decay` go to both, `fused` to AdamW, everything else to Muon.
        """
        fused = arguments.pop("fused", None)
        # With this adjustment a learning rate that is right for AdamW is right for Muon: one rate for both.
        own = {"adjust_lr_fn": "match_rms_adamw", **arguments}
        shared = {name: value for name, value in arguments.items() if name in ("lr", "weight_decay")}
        self._parts: list[Optimizer] = []
        if muon:
            self._parts.append(torch.optim.Muon(muon, **own))
        if adamw:
            self._parts.append(torch.optim.AdamW(adamw, fused=fused, **shared))
        self._counts = [len(part.param_groups) for part in self._parts]
        super().__init__([group for part in self._parts for group in part.param_groups], {})
        self._link()

    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Step both optimizers. `closure` is not supported."""
        for part in self._parts:
            part.step()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore from `state_dict`."""
        super().load_state_dict(state_dict)
        self._link()

    def _link(self) -> None:
        """Let both work on this optimizer's groups and state."""
        first = 0
        for part, count in zip(self._parts, self._counts, strict=True):
            part.param_groups = self.param_groups[first : first + count]
            part.state = self.state
            first += count
