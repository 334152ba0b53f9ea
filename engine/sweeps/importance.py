"""How much each setting of a sweep matters, for the studio: called in its worker process, as it needs Optuna."""

from __future__ import annotations

from pathlib import Path

from .folder import SweepFolder
from .study import Study


def setting_importances(path: Path) -> dict[str, float]:
    """The share of each setting in reaching good results, the largest first, by PED-ANOVA.

    Args:
        path: the sweep's folder.

    Returns:
        Shares by dotted key; empty while there are too few results to say.

    Raises:
        ConfigError: Optuna is not installed, or the sweep's file is damaged.
    """
    folder = SweepFolder(path)
    return Study(folder, folder.definition()).importances()
