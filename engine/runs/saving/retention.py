"""Decide which checkpoints of a run are kept and which are deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .checkpoint_index import IndexEntry


@dataclass(frozen=True)
class Retention:
    """Retention settings, besides the best checkpoint and pinned ones, which are always kept.

    Attributes:
        keep_last: how many of the newest.
        keep_every: keep the first checkpoint after every N-th epoch; 0 for none.
        always: names of files that are never deleted, such as the one that the run was resumed from.
    """

    keep_last: int
    keep_every: int = 0
    always: frozenset[str] = frozenset()

    def surplus(self, index: Mapping[str, IndexEntry], kept_otherwise: frozenset[str]) -> list[str]:
        """The names of the checkpoints to delete, the newest first.

        Args:
            index: all checkpoints of the run by file name.
            kept_otherwise: names that stay whatever the rules say: the best's and the pinned ones'.
        """
        newest_first = sorted(index, key=lambda name: index[name].step, reverse=True)
        keep = {*newest_first[: self.keep_last], *self._of_epochs(index), *self.always, *kept_otherwise}
        return [name for name in newest_first if name not in keep]

    def _of_epochs(self, index: Mapping[str, IndexEntry]) -> set[str]:
        if not self.keep_every:
            return set()
        first: dict[int, str] = {}
        for name in sorted(index, key=lambda name: index[name].step):
            epoch = index[name].epoch
            if epoch and epoch % self.keep_every == 0:
                first.setdefault(epoch, name)
        return set(first.values())
