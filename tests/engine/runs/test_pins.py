import os
from pathlib import Path

import pytest
from run_cases import new_run, save

from torchdeck.engine.errors import CheckpointError
from torchdeck.engine.files.durable import SYSTEM
from torchdeck.engine.runs.rewind import take_back
from torchdeck.engine.runs.saving.checkpoint import load_checkpoint
from torchdeck.engine.runs.saving.checkpoint_index import list_checkpoints
from torchdeck.engine.runs.saving.pins import pin, pinned_checkpoints, unpin

FIRST = "step-000000010.pt"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with checkpoints at steps 10 and 20."""
    writer = new_run(tmp_path)
    save(writer, 10)
    save(writer, 20)
    writer.close("stopped")
    return writer.path


def marks(run: Path) -> dict[str, bool]:
    return {checkpoint.file: checkpoint.is_pinned for checkpoint in list_checkpoints(run)}


def test_a_pinned_checkpoint_is_listed_once_and_takes_no_space(run: Path) -> None:
    folder = run / "checkpoints"
    pin(folder, FIRST)
    pin(folder, FIRST)
    assert pinned_checkpoints(folder) == {FIRST}
    assert marks(run) == {"step-000000020.pt": False, FIRST: True}
    assert os.path.samefile(folder / FIRST, folder / f"pinned-{FIRST}")
    unpin(folder, FIRST)
    unpin(folder, FIRST)
    assert marks(run) == {"step-000000020.pt": False, FIRST: False}


def test_a_pin_is_a_copy_where_there_are_no_links_and_still_no_second_checkpoint(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(SYSTEM, "link", refused)
    pin(run / "checkpoints", FIRST)
    assert marks(run) == {"step-000000020.pt": False, FIRST: True}


def test_the_data_stay_when_the_checkpoints_own_name_is_deleted_and_unpinning_gives_it_back(run: Path) -> None:
    folder = run / "checkpoints"
    pin(folder, FIRST)
    (folder / FIRST).unlink()
    assert marks(run) == {"step-000000020.pt": False, f"pinned-{FIRST}": True}
    unpin(folder, FIRST)
    assert marks(run) == {"step-000000020.pt": False, FIRST: False}
    assert load_checkpoint(folder / FIRST)["position"]["step"] == 10


@pytest.mark.parametrize("name", ["step-000000099.pt", "best.pt", "../run.json", "step-1.pt"])
def test_what_is_no_checkpoint_of_a_step_can_not_be_pinned(run: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="can't be pinned"):
        pin(run / "checkpoints", name)
    assert pinned_checkpoints(run / "checkpoints") == set()


def test_a_run_that_is_taken_back_puts_later_pinned_checkpoints_aside_with_their_pins(run: Path) -> None:
    folder = run / "checkpoints"
    for name in (FIRST, "step-000000020.pt"):
        pin(folder, name)
    take_back(run, 10, (run / "run.toml").read_text())
    assert marks(run) == {FIRST: True}
    aside = folder / "before-resume.1"
    assert sorted(path.name for path in aside.iterdir()) == ["pinned-step-000000020.pt", "step-000000020.pt"]
