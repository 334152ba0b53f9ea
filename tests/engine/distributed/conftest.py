import pytest
from warm_python import warm_python

from torchdeck.engine.launching import launched_ranks


@pytest.fixture(autouse=True)
def _processes_start_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun's agent and its processes are forks of a process that has imported torch."""
    monkeypatch.setattr(launched_ranks, "python_command", warm_python)
    monkeypatch.setattr(launched_ranks, "module_command", lambda module: [*warm_python(), "-m", module])
