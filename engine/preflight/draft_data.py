"""The data of a draft, opened for looking only: as they are on this machine, and nothing is downloaded."""

from __future__ import annotations

from ..config import RunConfig
from ..data.datasets.sources import DataSources
from ..data.loading.bad_files import open_usable
from ..progress import Progress, unreported


def open_draft(config: RunConfig, *, finds_bad_files: bool, progress: Progress = unreported) -> DataSources:
    """Open the data of a draft whatever its `data.download` says.

    Args:
        config: the draft.
        finds_bad_files: whether `data.bad_files = "skip"` decodes every file once, which a look that needs only the
            number of samples does not wait for.
        progress: called while folders are listed and files decoded.

    Raises:
        TorchdeckError: the data are not there, or can't be used.
    """
    changed = {"download": False} if finds_bad_files else {"download": False, "bad_files": "stop"}
    draft = config.model_copy(update={"data": config.data.model_copy(update=changed)})
    return open_usable(draft, progress)[0]
