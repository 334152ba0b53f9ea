"""Which of the user's code may run, told without running it."""

import json
import multiprocessing
import stat
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from torchdeck.engine.config import Component, DataConfig, ModelConfig, NotifyConfig, RunConfig
from torchdeck.engine.user_trust import (
    CodeTrust,
    TrustStore,
    code_files,
    default_store,
    files_in_words,
    notifications,
    notifications_in_words,
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "layers").mkdir()
    (tmp_path / "layers" / "__init__.py").write_text("from . import blocks\n", encoding="utf-8")
    (tmp_path / "layers" / "blocks.py").write_text("", encoding="utf-8")
    (tmp_path / "deep.py").write_text("import sibling\n", encoding="utf-8")
    (tmp_path / "sibling.py").write_text("import deep\n", encoding="utf-8")
    (tmp_path / "unused.py").write_text("", encoding="utf-8")
    (tmp_path / "model.py").write_text(
        "raise SystemExit('ran')\nimport torch\nfrom layers import blocks\n\ndef net():\n    import deep\n",
        encoding="utf-8",
    )
    return tmp_path


def model(project: Path) -> RunConfig:
    return RunConfig(model=ModelConfig(name=f"{project}/model.py:net"))


def test_a_file_comes_with_what_it_imports_from_its_folder_wherever_the_import_stands(project: Path) -> None:
    (file,) = code_files(model(project))
    assert (file.path, file.names) == (project / "model.py", ("net",))
    assert {str(path.relative_to(project)) for path in file.imports} == {
        "layers/__init__.py",
        "layers/blocks.py",
        "deep.py",
        "sibling.py",
    }


def test_every_place_of_a_config_that_names_code_is_seen(project: Path) -> None:
    config = RunConfig(
        data=DataConfig(
            dataset=f"{project}/sibling.py:data", train_transforms=[Component(name=f"{project}/deep.py:Noise")]
        ),
        model=ModelConfig(name="mlp", backbone=f"{project}/unused.py:net"),  # type: ignore[call-arg]
    )
    assert {file.path.name for file in code_files(config)} == {"sibling.py", "deep.py", "unused.py"}


def test_what_was_agreed_to_is_known_until_the_file_or_what_it_imports_changes(project: Path) -> None:
    CodeTrust(TrustStore()).agree(code_files(model(project)))
    assert not CodeTrust(TrustStore()).unknown(model(project))
    (project / "unused.py").write_text("x = 1\n", encoding="utf-8")
    assert not CodeTrust(TrustStore()).unknown(model(project))
    (project / "layers" / "blocks.py").write_text("x = 1\n", encoding="utf-8")
    assert [file.path.name for file in CodeTrust(TrustStore()).unknown(model(project))] == ["model.py"]


def test_a_file_that_was_chosen_in_a_session_may_be_edited_in_it(project: Path) -> None:
    trust = CodeTrust(TrustStore())
    trust.agree(code_files(model(project)))
    (project / "model.py").write_text("x = 1\n", encoding="utf-8")
    assert not trust.unknown(model(project))


def test_what_the_command_line_names_needs_no_question(project: Path) -> None:
    named = files_in_words([f"model={{name='{project}/model.py:net',width=8}}", "seed=1"])
    assert not CodeTrust(TrustStore(), named).unknown(model(project))
    assert not default_store().exists()


def test_only_the_owner_reads_what_is_remembered(project: Path) -> None:
    CodeTrust(TrustStore()).agree(code_files(model(project)))
    assert stat.S_IMODE(default_store().stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "[]", '{"trusted": 3}', json.dumps({"trusted": {"model.py": 1}})])
def test_a_damaged_memory_means_that_nothing_is_known(project: Path, content: str) -> None:
    default_store().parent.mkdir(parents=True)
    default_store().write_text(content, encoding="utf-8")
    trust = CodeTrust(TrustStore())
    assert trust.unknown(model(project))
    trust.agree(code_files(model(project)))
    assert not CodeTrust(TrustStore()).unknown(model(project))


def _agree(number: int) -> None:
    CodeTrust(TrustStore()).agree(notifications(telling(f"./tell.sh {number}")))


def test_processes_that_approve_at_once_lose_no_approval_of_each_other() -> None:
    # A pool that ends its processes by a signal waits for ever if a handler of this process takes it.
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("fork")) as pool:
        list(pool.map(_agree, range(40), chunksize=1))
    trust = CodeTrust(TrustStore())
    assert [number for number in range(40) if trust.unknown_to_train(telling(f"./tell.sh {number}"))] == []


def telling(command: str) -> RunConfig:
    return RunConfig(notify=NotifyConfig(command=command))


def test_a_command_is_asked_about_before_training_and_not_before_a_look_at_the_config() -> None:
    trust = CodeTrust(TrustStore())
    assert [each.text for each in trust.unknown_to_train(telling("./tell.sh"))] == ["./tell.sh"]  # type: ignore[union-attr]
    assert not trust.unknown(telling("./tell.sh"))
    assert not trust.unknown_to_train(telling(" "))


def test_a_command_is_known_by_its_text_in_later_sessions_and_another_one_is_not() -> None:
    CodeTrust(TrustStore()).agree(notifications(telling("./tell.sh")))
    assert not CodeTrust(TrustStore()).unknown_to_train(telling("./tell.sh"))
    assert CodeTrust(TrustStore()).unknown_to_train(telling("./tell.sh; rm -r x"))


@pytest.mark.parametrize("word", ["notify.command=./tell.sh", "notify={command='./tell.sh'}"])
def test_a_command_that_the_command_line_sets_needs_no_question(word: str) -> None:
    named = notifications_in_words(["my_run.toml", "./tell.sh", word])
    assert not CodeTrust(TrustStore(), named).unknown_to_train(telling("./tell.sh"))
    assert CodeTrust(TrustStore(), named).unknown_to_train(telling("my_run.toml"))
    assert CodeTrust(TrustStore(), notifications_in_words(["./tell.sh"])).unknown_to_train(telling("./tell.sh"))


def test_a_change_behind_the_fourth_megabyte_is_asked_about_again(project: Path) -> None:
    store = TrustStore(project / "trust.json")
    large, neighbor = project / "model.py", project / "neighbor.py"
    neighbor.write_text("", encoding="utf-8")
    filling = "# " + "x" * (5 << 20) + "\n"
    large.write_text(f"{filling}import neighbor\n", encoding="utf-8")
    CodeTrust(store).agree(code_files(model(project)))
    assert CodeTrust(store).unknown(model(project)) == []
    neighbor.write_text("print('changed')", encoding="utf-8")
    assert [file.path.name for file in CodeTrust(store).unknown(model(project))] == ["model.py"]
    CodeTrust(store).agree(code_files(model(project)))
    large.write_text(f"{filling}import evil_one\n", encoding="utf-8")
    assert [file.path.name for file in CodeTrust(store).unknown(model(project))] == ["model.py"]


def test_more_imports_than_can_be_looked_at_are_asked_about_every_time(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = TrustStore(project / "trust.json")
    monkeypatch.setattr("torchdeck.engine.user_trust._MAX_FILES", 2)
    CodeTrust(store).agree(code_files(model(project)))
    assert [file.path.name for file in CodeTrust(store).unknown(model(project))] == ["model.py"]
