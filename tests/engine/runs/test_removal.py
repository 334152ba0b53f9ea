import os
from pathlib import Path

import pytest
from run_cases import new_run, save

from torchdeck.engine.errors import RunError
from torchdeck.engine.runs.browsing.removal import delete_checkpoint, delete_run, plan_removal
from torchdeck.engine.runs.on_disk.lock import acquire
from torchdeck.engine.runs.saving.checkpoint_index import list_checkpoints
from torchdeck.engine.runs.saving.pins import pin


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with checkpoints at steps 10 (the best), 20 and 30."""
    writer = new_run(tmp_path / "runs")
    for step in (10, 20, 30):
        save(writer, step, is_best=step == 10)
    writer.close("stopped")
    return writer.path


def test_a_run_is_deleted_with_everything_torchdeck_made_in_it(run: Path) -> None:
    aside = run / "checkpoints" / "before-resume.1"
    aside.mkdir()
    (aside / "step-000000040.pt").write_bytes(b"x")
    for name in ("evaluation.json", "metrics.1.jsonl", "system.jsonl", "probes.jsonl", "profiles/step-000000012.json"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("{}\n")
    (run / "checkpoints" / ".step-000000050.pt.123.abcd.tmp").write_bytes(b"x")
    pin(run / "checkpoints", "step-000000020.pt")
    plan = plan_removal(run)
    assert plan.others == []
    assert plan.bytes < 2 * sum(checkpoint.bytes for checkpoint in list_checkpoints(run))
    assert delete_run(run) == plan
    assert not run.exists()


def test_what_torchdeck_did_not_make_stays_and_links_are_not_followed(run: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "step-000000001.pt").write_bytes(b"mine")
    (run / "notes.md").write_text("mine")
    (run / "cache").symlink_to(elsewhere)
    (run / "engine.log").unlink(missing_ok=True)
    (run / "engine.log").symlink_to(elsewhere / "step-000000001.pt")
    (run / "plots").mkdir()
    (run / "plots" / "loss.png").write_bytes(b"mine")
    os.mkfifo(run / "checkpoints" / "step-000000077.pt")
    plan = plan_removal(run)
    assert plan.others == ["cache", "checkpoints/step-000000077.pt", "engine.log", "notes.md", "plots"]
    delete_run(run)
    assert (elsewhere / "step-000000001.pt").read_bytes() == b"mine"
    assert sorted(path.name for path in run.iterdir()) == ["cache", "checkpoints", "engine.log", "notes.md", "plots"]


def test_a_live_run_is_never_deleted(run: Path) -> None:
    lock = acquire(run)
    before = plan_removal(run)
    for delete in (lambda: delete_run(run), lambda: delete_checkpoint(run, "step-000000010.pt")):
        with pytest.raises(RunError, match="is being trained"):
            delete()
    assert plan_removal(run) == before
    lock.release()


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: None])
def test_a_folder_that_is_no_run_is_not_touched(tmp_path: Path, make) -> None:
    make(tmp_path / "photos")
    with pytest.raises(RunError, match="is not the directory of a run"):
        delete_run(tmp_path / "photos")


def test_a_link_to_a_run_is_not_deleted_through(run: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(run)
    with pytest.raises(RunError, match="is not the directory of a run"):
        delete_run(tmp_path / "link")
    assert run.exists()


def test_deleting_the_newest_checkpoint_makes_the_one_before_it_the_last(run: Path) -> None:
    assert delete_checkpoint(run, "step-000000030.pt") > 0
    left = {checkpoint.file: checkpoint.is_last for checkpoint in list_checkpoints(run)}
    assert left == {"step-000000020.pt": True, "step-000000010.pt": False}


def test_deleting_the_best_checkpoint_frees_its_data(run: Path) -> None:
    delete_checkpoint(run, "step-000000010.pt")
    assert not (run / "checkpoints" / "best.pt").exists()
    assert [checkpoint.file for checkpoint in list_checkpoints(run)] == ["step-000000030.pt", "step-000000020.pt"]


def test_a_pinned_checkpoint_has_to_be_unpinned_first(run: Path) -> None:
    pin(run / "checkpoints", "step-000000020.pt")
    with pytest.raises(RunError, match="is pinned; unpin it first"):
        delete_checkpoint(run, "step-000000020.pt")
    with pytest.raises(RunError, match="no such checkpoint"):
        delete_checkpoint(run, "../run.toml")
