"""Whatever the files of one run hold, the others are listed and this one is shown as damaged, with the reason."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from textual.content import Content

import torchdeck
from torchdeck.engine.checkpoints.compatibility import standing_of
from torchdeck.engine.config.file import load_config, parse_config
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.launching.fork import fork_config
from torchdeck.engine.launching.launch import launch_resumed
from torchdeck.engine.runs.browsing.renaming import rename_run
from torchdeck.engine.runs.browsing.run_catalog import RunCatalog
from torchdeck.engine.runs.on_disk.directory import list_runs
from torchdeck.engine.runs.reader import RunReader
from torchdeck.tui.cli import run_command
from torchdeck.tui.words.train.run_text import notices

DEEP = '{"a":' * 600 + "1" + "}" * 600
CONFIGS = {
    "brackets": "a = " + "[" * 100_000,
    "digits": "a = " + "1" * 100_000,
    "key": "a" + ".a" * 50_000 + " = 1",
    "unknown": "\n".join(f"key{number} = 1" for number in range(10_000)),
    "bytes": "a = '" + "x" * (2 << 20) + "'",
}


@pytest.fixture
def runs(perceptron_checkpoint: Path, tmp_path: Path) -> Path:
    """Three copies of a finished run: a, b and c."""
    for name in "abc":
        shutil.copytree(perceptron_checkpoint.parents[1], tmp_path / "runs" / f"{name}-20260101-000000-000{name}")
    return tmp_path / "runs"


def damaged(runs: Path) -> Path:
    return next(runs.glob("b-*"))


@pytest.mark.parametrize("name", ["state.json", "run.json"])
@pytest.mark.parametrize(
    "content", [DEEP, "[" * 100_000, "1" * 100_000, "[1]", "\x00" * 900, '{"a":"' + "x" * (17 << 20)]
)
def test_a_damaged_file_hides_no_run_and_is_named(
    runs: Path, capsys: pytest.CaptureFixture[str], name: str, content: str
) -> None:
    run = damaged(runs)
    (run / name).write_text(content)
    for summaries in (list_runs(runs), RunCatalog(runs).look()):
        assert {summary.name[0] for summary in summaries} == set("abc")
        (bad,) = [summary for summary in summaries if summary.name == run.name]
        assert bad.status == "damaged"
        assert bad.error.startswith(f"damaged: {name}: ")
        assert all(summary.status == "finished" for summary in summaries if summary is not bad)
    reader = RunReader(run)
    reader.poll()
    assert reader.status() == "damaged"
    for words in (["runs"], ["runs", "--json"], ["show", run.name], ["show", run.name, "--json"]):
        assert run_command([*words, "--runs", str(runs)], None) == 0
        assert "damaged" in capsys.readouterr().out


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_damaged_config_is_one_message_and_hides_no_run(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    run = damaged(runs)
    (run / "run.toml").write_text(CONFIGS[kind])
    assert {summary.name[0] for summary in list_runs(runs)} == set("abc")
    RunCatalog(runs).settings(next(summary for summary in list_runs(runs) if summary.path == run))
    assert run_command(["show", run.name, "--runs", str(runs)], None) == 0
    shutil.copy(run / "run.toml", tmp_path / "own.toml")
    with pytest.raises(ConfigError) as raised:
        load_config(str(tmp_path / "own.toml"))
    assert len(str(raised.value)) < 8_000
    capsys.readouterr()
    assert run_command(["train", str(tmp_path / "own.toml")], None) == 2
    assert "own.toml" in capsys.readouterr().err


def test_lines_of_records_that_are_hostile_are_counted_and_passed_over(runs: Path) -> None:
    run = damaged(runs)
    lines = [
        DEEP,
        "[" * 100_000,
        "1" * 100_000,
        '{"kind":[1]}',
        '{"kind":"note","time":{"a":1}}',
        '{"kind":"saved","time":1}',
    ]
    for name in ("metrics.jsonl", "events.jsonl", "system.jsonl", "probes.jsonl"):
        with (run / name).open("a") as file:
            file.write("\n".join(lines) + "\n")
    reader = RunReader(run)
    reader.poll()
    assert reader.skipped_lines >= 6
    assert all(isinstance(event["time"], float) for event in reader.events())
    assert reader.status() == "finished"


def test_a_key_of_the_command_line_that_is_too_long_is_refused() -> None:
    with pytest.raises(ConfigError, match="key of 50,001 parts"):
        parse_config("", "case", ["a" + ".a" * 50_000 + "=1"])


@pytest.mark.parametrize("name", ["run.toml", "run.json", "state.json", "metrics.jsonl", "events.jsonl", "engine.log"])
def test_a_fifo_in_the_place_of_a_file_is_not_waited_for(
    runs: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    run = damaged(runs)
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    names = {summary.name[0] for summary in list_runs(runs)}
    assert {"a", "c"} <= names
    assert run_command(["runs", "--runs", str(runs)], None) == 0
    capsys.readouterr()
    if name != "run.toml":
        # A directory without a config is no run.
        assert "b" in names
        assert run_command(["show", run.name, "--json", "--runs", str(runs)], None) == 0
        assert json.loads(capsys.readouterr().out)["run"] == run.name


TORN = {"half a line": 'name = "case"\n[data]\ndataset = "dig', "empty": "", "bytes": "\x00" * 900, "text": "{}"}


@pytest.mark.parametrize("kind", TORN)
def test_every_verb_says_in_one_sentence_that_a_config_is_damaged(
    runs: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    run = damaged(runs)
    (run / "run.toml").write_text(TORN[kind])
    sentence = f"{run.name}: damaged: run.toml: "
    for words in (["runs"], ["show", run.name], ["runs", "--json"], ["show", run.name, "--json"]):
        assert run_command([*words, "--runs", str(runs)], None) == 0
        said = capsys.readouterr().out
        assert "run.toml: " in said and "damaged" in said
        if words == ["runs"]:
            assert said.count("damaged") == 2 and said.count("finished") == 2
            assert said.splitlines()[-1].startswith(sentence)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert run_command(["resume", run.name, "--runs", str(runs), "--set", "training.epochs=2"], None) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"torchdeck: {sentence}") and said.count("\n") == 1
    assert f"torchdeck fork {run.name}" in said
    with pytest.raises(ConfigError, match=r"damaged: run\.toml"):
        launch_resumed(run)
    with pytest.raises(ConfigError, match=r"damaged: run\.toml"):
        torchdeck.resume(run, epochs=2)
    with pytest.raises(ConfigError, match=r"damaged: run\.toml"):
        rename_run(run, "other")
    assert "damaged: run.toml" in standing_of(run / "checkpoints" / "last.pt", load_config("digits")).unknown
    for verb in ("batch", "attach"):
        assert run_command([verb, run.name, "--runs", str(runs)], None) == 2
        assert capsys.readouterr().err.startswith(f"torchdeck: {sentence}")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_an_empty_config_of_a_run_starts_no_run_of_defaults(runs: Path) -> None:
    run = damaged(runs)
    (run / "run.toml").write_text("\n")
    for spec in (run, run / "run.toml"):
        with pytest.raises(ConfigError, match=r"run\.toml: damaged: is empty"):
            load_config(str(spec))


def test_a_fork_of_a_run_with_a_damaged_config_says_so_and_takes_the_checkpoints(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = damaged(runs)
    (run / "run.toml").write_text("[data")
    config = fork_config(run / "checkpoints" / "last.pt")
    said = capsys.readouterr().err
    assert said.startswith(f"torchdeck: {run.name}: damaged: run.toml: ") and said.count("\n") == 1
    assert "the fork has the config in last.pt" in said and config.model.name == "mlp"


def test_readers_and_lists_that_are_open_notice_the_damage(runs: Path) -> None:
    run, catalog = damaged(runs), RunCatalog(runs)
    reader = RunReader(run)
    reader.poll()
    assert reader.status() == "finished" and {each.status for each in catalog.look()} == {"finished"}
    (run / "run.toml").write_text("[data")
    assert reader.poll() and reader.status() == "damaged"
    (bad,) = [each for each in catalog.look() if each.status == "damaged"]
    assert bad.path == run and bad.error.startswith("damaged: run.toml: not valid TOML")
    first = notices(reader.status(), reader.state(), "\n".join(reader.damage()), 200)[0]
    assert Content.from_markup(first).plain.startswith("damaged: run.toml: not valid TOML")


def test_a_sound_config_is_not_parsed_for_a_list(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(text: str) -> dict[str, object]:
        raise AssertionError("a config was parsed")

    monkeypatch.setattr("torchdeck.engine.files.documents.parse_toml", refuse)
    assert {each.status for each in list_runs(runs)} == {"finished"}
