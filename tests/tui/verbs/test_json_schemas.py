"""What the verbs print with `--json` is as docs/json says, of runs that are trained here."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

import click
import pytest
from json_documents import FOLDER, check_document
from jsonschema import Draft202012Validator
from warm_python import warm_python

from torchdeck.tui.commands import torchdeck
from torchdeck.tui.json_schemas.documents import DIALECT, DOCUMENTS, Document
from torchdeck.tui.json_schemas.type_schema import Joined, TypeSchemas

# Runs `-m MODULE`; the processes that it starts do so, too, forked from a process with torch imported.
WARM = """
import json, os, runpy, sys
from torchdeck.engine.machine import python_process
command = tuple(json.loads(os.environ["WARM_COMMAND"]))
python_process.python_command = lambda: command
from torchdeck.tui.process import worker_process
worker_process.python_command = lambda: command[: command.index("-P")]
del sys.argv[:2]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
CASE = """
name = "case"
[data]
validation = 0.2
[model]
name = "mlp"
hidden = [8]
[loader]
batch_size = 512
[training]
epochs = 1
device = "cpu"
num_threads = 1
"""
SWEEP = """
[sweep]
trials = 1
[sweep.space]
"optimizer.lr" = [0.1, 0.2]
"""
# What users run, by verb, in a folder with case.toml, other.toml, sweep.toml and runs.
COMMANDS = {
    "train": ("train case.toml --dry-run", "train case.toml --set optimizer.lr=1e30 --name bad"),
    "resume": ("resume other --set training.epochs=2",),
    "fork": ("fork other --name forked --set ema.decay=0.9 --set training.epochs=4",),
    "runs": ("runs", "runs --by-seed", "runs ./foreign"),
    "show": ("show other", "show bad", "show forked", "show ./foreign/lit"),
    "metrics": ("metrics other", "metrics other --epochs", "metrics ./foreign/lit"),
    "model": (
        "model mlp --weights other.safetensors --input 1x8x8 --set hidden=[8] --groups --measure --batch-size 8",
        "model resnet18",
    ),
    "checkpoint": ("checkpoint other.safetensors --norms", "checkpoint other.safetensors"),
    "evaluate": ("evaluate other",),
    "compare": ("compare case other", "compare other other.safetensors"),
    "export": ("export other again.safetensors",),
    "batch": ("batch case.toml", "batch other --step 2"),
    "list": (
        *(f"list {catalog}" for catalog in ("datasets", "transforms", "models", "presets", "optimizers", "schedules")),
        "list models nothing-has-this-name",
    ),
    "lr-find": ("lr-find case.toml --steps 10",),
    "batch-find": ("batch-find case.toml --memory 0.001",),
    "bench": ("bench mlp --seconds 0.1 --rounds 1 --device cpu",),
    "doctor": ("doctor",),
    "sweep join": ("sweep join searched",),
    "sweep show": ("sweep show searched",),
    "sweep best": ("sweep best searched",),
    "queue add": ("queue add case.toml other.toml --memory 1G",),
    "queue list": ("queue list",),
}
# Exit status besides 0: doctor's says what it found, and a run that fails has a document, too.
MAY_FAIL = {"doctor", "train case.toml --set optimizer.lr=1e30 --name bad"}
# Verbs whose documents are held against their schemas elsewhere, with the place.
ELSEWHERE = {"download": "tests/engine/data/test_download.py, which has a server", "sweep": "`fill`, below"}
# Documents that no test makes, with the reason.
NOT_MADE = {"bench --processes": "two runs of torchrun take 15 s", "bench --gpus": "needs a GPU"}


def ran(folder: Path, command: str) -> Any:
    """The document that a command line prints."""
    warm = [*warm_python(), "-P", "-c", WARM]
    # A detached run answers through a descriptor of its own, which forks of the warm process do not get.
    python = [*warm_python(), "-P"] if command.startswith("train") and "--detach" in command else warm
    result = subprocess.run(
        [*python, "-m", "torchdeck", *command.split(), "--json"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={
            **os.environ,
            "TORCHDECK_RUNS": str(folder / "runs"),
            "XDG_STATE_HOME": str(folder / "state"),
            "WARM_COMMAND": json.dumps(warm),
        },
        stdin=subprocess.DEVNULL,
    )
    may_fail = command in MAY_FAIL
    assert result.returncode == 0 or (may_fail and result.returncode == 1), f"{command}: {result.stderr}"
    return json.loads(result.stdout)


def wait_for_end(pid: int) -> None:
    """Wait until a process has ended."""
    end = time.monotonic() + 60
    stat = Path(f"/proc/{pid}/stat")
    while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < end
        time.sleep(0.05)


def fill(folder: Path) -> None:
    """Make runs of two seeds, another run and its weights, one of another trainer, and a sweep."""
    (folder / "case.toml").write_text(CASE)
    (folder / "other.toml").write_text(CASE.replace("epochs = 1", "epochs = 1\nmax_rollbacks = 1"))
    (folder / "sweep.toml").write_text(CASE + SWEEP)
    (folder / "foreign" / "lit").mkdir(parents=True)
    (folder / "foreign" / "lit" / "metrics.csv").write_text("epoch,step,train_loss,val_loss\n0,9,1.5,\n0,9,,1.25\n")
    check_document("train", ran(folder, "train case.toml --seeds 2"))
    check_document("train", ran(folder, "train other.toml --name other --set optimizer.lr=0.5"))
    detached = ran(folder, "train case.toml --name away --detach")
    check_document("train", detached)
    ran(folder, "export other other.safetensors")
    check_document("sweep", ran(folder, "sweep sweep.toml --set name=searched"))
    begun = ran(folder, "sweep searched --detach")
    check_document("sweep", begun)
    for started in (detached, begun):
        wait_for_end(started["pid"])


def test_what_the_verbs_print_is_as_their_schemas_say(tmp_path: Path) -> None:
    """One test, since processes that run tests side by side would each train the runs."""
    fill(tmp_path)
    for verb, commands in COMMANDS.items():
        for command in commands:
            check_document(verb.replace(" ", "-"), ran(tmp_path, command), command)


def verbs_with_json(group: click.Group, above: str = "") -> Iterator[str]:
    """Every verb and subverb with `--json`; one that is hidden stands for its group."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        verb = f"{above} {name}".strip()
        if isinstance(command, click.Group):
            yield from verbs_with_json(command, verb)
        elif any("--json" in parameter.opts for parameter in command.params):
            yield above if command.hidden else verb


def test_every_verb_with_json_has_a_schema_and_is_run() -> None:
    verbs = sorted(verbs_with_json(torchdeck))
    assert verbs == sorted(document.verb for document in DOCUMENTS)
    assert verbs == sorted([*COMMANDS, *ELSEWHERE])
    assert {words.split()[0] for words in NOT_MADE} <= set(COMMANDS)


def test_the_files_in_the_docs_are_what_the_types_say_now() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.schema.json")}
    assert written == {document.file_name: document.text() for document in DOCUMENTS}, (
        "run: python -m torchdeck.tui.json_schemas docs/json"
    )


def properties_in(schema: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        for name, part in schema.get("properties", {}).items():
            yield f"{place}.{name}", part
        for name, part in schema.items():
            yield from properties_in(part, f"{place}.{name}")
    elif isinstance(schema, list):
        for number, part in enumerate(schema):
            yield from properties_in(part, f"{place}[{number}]")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_a_schema_is_valid_and_describes_every_key(document: Document) -> None:
    schema = document.schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == DIALECT
    assert schema["$id"] == f"urn:torchdeck:json:{document.name}:{document.version}"
    assert schema["title"] and schema["description"]
    assert [place for place, part in properties_in(schema) if not part.get("description")] == []


def test_a_wrong_document_is_refused() -> None:
    right = {"trial": 0, "values": [None, 0.5], "settings": {}, "runs": []}
    check_document("sweep-best", right)
    for wrong in ({**right, "trial": "0"}, {**right, "more": 1}, {key: right[key] for key in ("trial", "values")}):
        with pytest.raises(AssertionError, match="sweep-best"):
            check_document("sweep-best", wrong)


class _Point(TypedDict):
    """A place.

    Attributes:
        x: how far right it is, None if
            unknown.
    """

    x: float | None


class _Other(TypedDict, total=False):
    """Another place.

    Attributes:
        y: how high it is.
    """

    y: int


def test_keys_of_several_types_make_one_object() -> None:
    schemas = TypeSchemas({})
    spec = Joined("Place", [_Point, _Other], others=str)
    assert schemas.schema(spec) == {"$ref": "#/$defs/Place"}
    assert schemas.definitions["Place"] == {
        "description": "A place.",
        "type": "object",
        "properties": {
            "x": {"description": "how far right it is, null if unknown.", "type": ["number", "null"]},
            "y": {"description": "how high it is.", "type": "integer"},
        },
        "required": ["x"],
        "additionalProperties": {"type": "string"},
    }


def test_a_type_without_a_schema_and_two_objects_of_one_name_are_refused() -> None:
    schemas = TypeSchemas({})
    with pytest.raises(TypeError, match="no JSON Schema is known"):
        schemas.schema(set[int])
    schemas.schema(Joined("Place", [_Point]))
    with pytest.raises(TypeError, match="two objects have this name"):
        schemas.schema(Joined("Place", [_Other]))
