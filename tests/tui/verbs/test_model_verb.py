"""`torchdeck model NAME --json` against the tree that the model pane shows."""

import json
import subprocess

import pytest
from campaign import is_full_campaign
from warm_python import warm_python

from torchdeck.engine.config import ModelConfig
from torchdeck.engine.models.catalog import list_models
from torchdeck.engine.models.module_tree import inspect_model, report_json
from torchdeck.tui.words.model.module_text import tree_rows

A_FEW = ["mobilenet_v3_small", "googlenet"]
TORCHVISION = [entry.name for entry in list_models() if entry.source == "torchvision"]
ALL_OF_THEM = """
import sys
from torchdeck.tui.verbs.model import model
for name in sys.argv[1:]:
    model.main([name, "--json"], standalone_mode=False)
"""


@pytest.mark.campaign
def test_the_verb_prints_the_tree_that_the_pane_shows() -> None:
    names = TORCHVISION if is_full_campaign() else A_FEW
    printed = subprocess.run([*warm_python(), "-c", ALL_OF_THEM, *names], capture_output=True, text=True, check=True)
    decoder, place = json.JSONDecoder(), 0
    for name in names:
        document, place = decoder.raw_decode(printed.stdout, place)
        place += len(printed.stdout[place:]) - len(printed.stdout[place:].lstrip())
        report = inspect_model(ModelConfig(name=name))
        assert document == json.loads(json.dumps(report_json(report))), name
        shown = [(row.path, row.type, row.params, row.trainable, row.flops, row.output) for row in tree_rows(report)]
        assert shown == [
            (
                row["path"],
                row["type"],
                row["params"],
                row["trainable"],
                row["flops"],
                "×".join(map(str, row["output_shape"] or [])),
            )
            for row in document["modules"]
        ]
    assert place == len(printed.stdout)
