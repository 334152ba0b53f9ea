import json
from pathlib import Path

import pytest
from run_cases import new_run, save

from torchdeck.engine.config.file import load_config
from torchdeck.engine.errors import ConfigError, RunError
from torchdeck.engine.runs.browsing.renaming import rename_run
from torchdeck.engine.runs.on_disk.directory import given_name
from torchdeck.engine.runs.on_disk.lock import acquire
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.saving.checkpoint_index import list_checkpoints


@pytest.fixture
def run(tmp_path: Path) -> Path:
    writer = new_run(tmp_path, "first")
    save(writer, 10)
    writer.close("stopped")
    return writer.path


def test_a_renamed_run_keeps_its_date_and_says_its_new_name_everywhere(run: Path) -> None:
    renamed = rename_run(run, "second")
    assert renamed.name == run.name.replace("first", "second")
    assert not run.exists()
    assert given_name(renamed.name) == "second"
    info = RunReader(renamed).info()
    assert (info["id"], info["name"]) == (renamed.name, "second")
    assert load_config(str(renamed)).name == "second"
    assert [checkpoint.step for checkpoint in list_checkpoints(renamed)] == [10]


def test_what_a_run_says_of_itself_survives_however_long_it_is(run: Path) -> None:
    info = {**RunReader(run).info(), "classes": ["class " * 20] * 50_000}
    (run / "run.json").write_text(json.dumps(info), encoding="utf-8")
    assert RunReader(rename_run(run, "second")).info()["classes"] == info["classes"]


def test_an_account_of_a_run_that_can_not_be_read_is_left_as_it_is(run: Path) -> None:
    (run / "run.json").write_text('{"argv": ["train"], "par', encoding="utf-8")
    assert (rename_run(run, "second") / "run.json").read_text(encoding="utf-8") == '{"argv": ["train"], "par'


@pytest.mark.parametrize("name", ["", "../up", "a/b", "-x", "a b"])
def test_a_name_that_a_run_can_not_have_is_refused(run: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        rename_run(run, name)
    assert run.exists()


def test_neither_a_live_run_is_renamed_nor_another_one_replaced(run: Path) -> None:
    run.with_name(run.name.replace("first", "second")).mkdir()
    with pytest.raises(RunError, match="a run of that name already exists"):
        rename_run(run, "second")
    lock = acquire(run)
    with pytest.raises(RunError, match="is being trained"):
        rename_run(run, "third")
    lock.release()
    assert load_config(str(run)).name == "first"
