"""torchdeck from Python: train, resume, fork and evaluate runs, record your own loops, read runs, inspect models.

Importing this module is light: each name is imported when it is used, and torch only when a function needs it.
docs/python.md has examples. Settings are changed by keywords: `training__epochs=3`, or `epochs=3` if only one setting
has that name. Errors are `torchdeck.Error`, with a message for the user.
"""

from __future__ import annotations

# Not from typing: nothing is imported while `python -m` still has the working directory on the path, where a
# typing.py may be.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from .engine.adapters.accelerate import AccelerateTracker as AccelerateTracker
    from .engine.adapters.hugging_face import HuggingFaceCallback as HuggingFaceCallback
    from .engine.adapters.ignite import IgniteHandler as IgniteHandler
    from .engine.adapters.keras import KerasCallback as KerasCallback
    from .engine.adapters.lightning import LightningLogger as LightningLogger
    from .engine.config import RunConfig
    from .engine.errors import TorchdeckError as Error
    from .engine.recording.recorder import Recorder, record
    from .inspecting import build_loaders, evaluate, list_runs, load_config, load_model, module_tree, open_run
    from .training import Result, fork, resume, train

__all__ = [
    "Error",
    "Recorder",
    "Result",
    "RunConfig",
    "build_loaders",
    "evaluate",
    "fork",
    "list_runs",
    "load_config",
    "load_model",
    "module_tree",
    "open_run",
    "record",
    "resume",
    "train",
]

# name -> the module it comes from; `Error` has a longer name there. Those for other libraries need these, and are not
# in `__all__`: `import *` must not.
_HOMES = {
    "AccelerateTracker": "engine.adapters.accelerate",
    "HuggingFaceCallback": "engine.adapters.hugging_face",
    "IgniteHandler": "engine.adapters.ignite",
    "KerasCallback": "engine.adapters.keras",
    "LightningLogger": "engine.adapters.lightning",
    "Error": "engine.errors",
    "RunConfig": "engine.config",
    **dict.fromkeys(
        ("build_loaders", "evaluate", "list_runs", "load_config", "load_model", "module_tree", "open_run"),
        "inspecting",
    ),
    **dict.fromkeys(("Recorder", "record"), "engine.recording.recorder"),
    **dict.fromkeys(("Result", "fork", "resume", "train"), "training"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'torchdeck' has no attribute '{name}'")
    from importlib import import_module

    home = import_module(f".{_HOMES[name]}", __name__)
    value = globals()[name] = getattr(home, "TorchdeckError" if name == "Error" else name)
    return value


def __dir__() -> list[str]:
    return sorted(globals().keys() | _HOMES.keys())
