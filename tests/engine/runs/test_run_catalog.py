import json
import math
import os
import shutil
from pathlib import Path

import pytest
from run_cases import epoch_record, new_run, save, train_record

from torchdeck.engine.files import documents
from torchdeck.engine.runs.browsing import run_catalog
from torchdeck.engine.runs.browsing.loss_line import loss_line
from torchdeck.engine.runs.browsing.run_catalog import RunCatalog
from torchdeck.engine.runs.saving.checkpoint_index import list_checkpoints


def test_runs_that_ended_are_not_read_again_and_live_ones_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended, live = new_run(tmp_path, "ended"), new_run(tmp_path, "live")
    ended.close("finished")
    read: list[str] = []
    original = run_catalog.summarize_run
    monkeypatch.setattr(
        run_catalog, "summarize_run", lambda run, *unparsed: (read.append(run.name), original(run, *unparsed))[1]
    )
    catalog = RunCatalog(tmp_path)
    first = {run.name: run for run in catalog.look()}
    assert (first[ended.path.name].status, first[live.path.name].status) == ("finished", "preparing")
    read.clear()
    second = {run.name: run for run in catalog.look()}
    assert read == [live.path.name]
    assert second[ended.path.name] is first[ended.path.name]
    live.close("failed", error="the disk is full")
    third = {run.name: run for run in catalog.look()}
    assert (third[live.path.name].status, third[live.path.name].error) == ("failed", "the disk is full")


def test_runs_that_come_and_go_are_noticed(tmp_path: Path) -> None:
    catalog = RunCatalog(tmp_path / "runs")
    assert catalog.look() == []
    writer = new_run(tmp_path / "runs")
    writer.close("stopped")
    assert [run.path for run in catalog.look()] == [writer.path]
    os.rename(writer.path, tmp_path / "elsewhere")
    assert catalog.look() == []


def written_by_an_earlier_version(root: Path, name: str, status: str) -> Path:
    """A run whose writer noted no checksum of its config, which is damaged."""
    writer = new_run(root, name)
    writer.close(status)
    state = json.loads((writer.path / "state.json").read_text())
    del state["config_crc"]
    (writer.path / "state.json").write_text(json.dumps(state))
    (writer.path / "run.toml").write_text("[data")
    return writer.path


def test_of_many_runs_a_config_without_a_checksum_is_parsed_when_the_run_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = written_by_an_earlier_version(tmp_path, "ended", "finished")
    died = written_by_an_earlier_version(tmp_path, "died", "running")
    new_run(tmp_path, "sound").close("finished")
    parsed: list[str] = []
    original = documents.parse_toml
    monkeypatch.setattr(documents, "parse_toml", lambda text: (parsed.append(text), original(text))[1])
    catalog = RunCatalog(tmp_path)
    listed = {run.path: run for run in catalog.look(most_parsed=2)}
    assert parsed == []
    assert (listed[ended].status, listed[died].status) == ("finished", "died")
    for path in (ended, died):
        now = catalog.checked(listed[path])
        assert now.status == "damaged" and now.error.startswith("damaged: run.toml: not valid TOML")
        assert catalog.checked(now) is now
    assert [run.status for run in catalog.look(most_parsed=2)].count("damaged") == 2


@pytest.mark.parametrize("most", [None, 2, 3])
def test_of_few_runs_or_when_asked_to_every_config_is_parsed_at_once(tmp_path: Path, most: int | None) -> None:
    written_by_an_earlier_version(tmp_path, "ended", "finished")
    new_run(tmp_path, "sound").close("finished")
    catalog = RunCatalog(tmp_path)
    catalog.look(most_parsed=1)
    for each in (catalog, RunCatalog(tmp_path)):
        assert sorted(run.status for run in each.look(most)) == ["damaged", "finished"]


def test_settings_are_flat_and_read_again_when_the_config_changed(tmp_path: Path) -> None:
    writer = new_run(tmp_path)
    writer.close("stopped")
    catalog = RunCatalog(tmp_path)
    (run,) = catalog.look()
    assert catalog.known_settings(run) is None
    assert catalog.settings(run)["model.name"] == "mlp"
    assert catalog.settings(run) is catalog.known_settings(run)
    (writer.path / "run.toml").write_text('[data]\ntrain_transforms = [{name = "A"}, {name = "B", p = 1}]\n')
    assert catalog.settings(run) == {"data.train_transforms": "A, B"}
    (writer.path / "run.toml").write_text("[data\n")
    assert catalog.settings(run) == {}


def test_what_a_run_has_on_the_disk_follows_its_folder(tmp_path: Path) -> None:
    writer = new_run(tmp_path)
    save(writer, 10)
    catalog = RunCatalog(tmp_path)
    (run,) = catalog.look()
    assert (catalog.extent(run).checkpoints, catalog.extent(run).losses) == (1, [])
    writer.record(train_record(4, 4))
    save(writer, 20)
    writer.close("stopped")
    extent = catalog.extent(run)
    assert (extent.checkpoints, extent.losses) == (2, [1.0, 2.0, 3.0, 4.0])
    assert catalog.extent(run) is extent


@pytest.mark.parametrize("blocks", [50, 6000])
def test_the_line_of_losses_goes_from_the_first_steps_to_the_last_however_long_the_run(
    tmp_path: Path, blocks: int
) -> None:
    writer = new_run(tmp_path)
    writer.record(epoch_record(1, 1))
    for block in range(1, blocks + 1):
        writer.record(train_record(block * 10, 10))
    writer.close("stopped")
    losses = loss_line(writer.path, points=8)
    assert len(losses) == 8
    assert losses == sorted(losses)
    last = blocks * 10
    assert losses[0] < last / 8
    assert losses[-1] > last * 7 / 8


def test_losses_that_are_not_finite_are_seen_and_garbage_is_passed_over(tmp_path: Path) -> None:
    writer = new_run(tmp_path)
    writer.record(train_record(3, 3, loss=[1.0, math.inf, math.nan]))
    writer.close("stopped")
    with (writer.path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"kind":"train","loss":["x"]}\n{"kind":"train"}\n\xff\n{"kind":"train","loss":7}\n[')
    first, second, third = loss_line(writer.path)
    assert (first, second) == (1.0, math.inf)
    assert math.isnan(third)


def test_a_run_without_records_has_no_line(tmp_path: Path) -> None:
    assert loss_line(tmp_path) == []
    os.mkfifo(tmp_path / "metrics.jsonl")
    assert loss_line(tmp_path) == []


def test_in_a_copy_of_a_run_last_and_best_are_still_names_of_its_checkpoints(tmp_path: Path) -> None:
    writer = new_run(tmp_path / "runs")
    save(writer, 10, is_best=True)
    save(writer, 20)
    writer.close("stopped")
    copy = Path(shutil.copytree(writer.path, tmp_path / "copy", ignore=shutil.ignore_patterns("*.sock")))
    listed = [(checkpoint.file, checkpoint.is_best, checkpoint.is_last) for checkpoint in list_checkpoints(copy)]
    assert listed == [("step-000000020.pt", False, True), ("step-000000010.pt", True, False)]
