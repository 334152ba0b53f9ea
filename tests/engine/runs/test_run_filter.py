import math
import time
from pathlib import Path
from typing import Any

import pytest

from torchdeck.engine.errors import ConfigError
from torchdeck.engine.runs.browsing.run_filter import parse_filter
from torchdeck.engine.runs.browsing.run_order import in_order
from torchdeck.engine.runs.on_disk.directory import RunSummary

SETTINGS = {
    "name": "cifar-first",
    "data.dataset": "CIFAR10",
    "loader.batch_size": 128,
    "model.name": "resnet18",
    "model.pretrained": True,
    "optimizer.name": "SGD",
    "optimizer.lr": 0.1,
    "loss.name": "cross_entropy",
}


def run(name: str = "cifar-first-20260101-000000-abcd", **fields: Any) -> RunSummary:
    values: dict[str, Any] = {
        "status": "finished",
        "epoch": 3,
        "epochs": 10,
        "step": 300,
        "metrics": {"loss": 0.4, "accuracy": 0.92, "macro_f1": 0.9},
        "best": {"metric": "accuracy", "value": 0.93},
        "modified": time.time() - 3 * 3600,
        **fields,
    }
    return RunSummary(name, Path(name), **values)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cifar",
        "CIFAR first",
        "!mnist",
        "lr>0.01 model=resnet acc>0.9",
        "optimizer.lr=1e-1",
        "lr==0.1",
        "model==ResNet18",
        "model!=vgg",
        "pretrained=true",
        "dataset=cifar10 batch_size>=128",
        "optimizer=sgd",
        "loss<0.5",
        "loss.name=cross",
        "macro>0.8",
        "best>0.9",
        "status=finished",
        "epoch=3 epochs>5 step<1000",
        "age<1d age>2h",
        "name='first'",
    ],
)
def test_a_run_is_chosen_by_name_metric_setting_status_or_age(text: str) -> None:
    assert parse_filter(text).matches(run(), SETTINGS)


@pytest.mark.parametrize(
    "text",
    [
        "mnist",
        "!cifar",
        "cifar lr>0.5",
        "lr=fast",
        "model==resnet",
        "model!=resnet",
        "pretrained=false",
        "loss>0.5",
        "acc<0.9",
        "age<1h",
        "momentum=0.9",
        "momentum!=0.9",
        "status!=finished",
    ],
)
def test_a_run_is_left_out_when_one_word_does_not_hold(text: str) -> None:
    assert not parse_filter(text).matches(run(), SETTINGS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("'open", "missing closing quote"),
        ("lr>", "missing value"),
        ("lr>fast", "fast is not a number"),
        ("age<2", "an age needs a unit"),
    ],
)
def test_what_can_not_be_understood_is_said(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_filter(text)


def test_a_key_that_no_run_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"batch_siez: no run has this.*batch_size"):
        parse_filter("batch_siez=3").check_keys([run()], [SETTINGS])
    parse_filter("acc>0 lr<1 model=x age<1d").check_keys([run()], [SETTINGS])
    parse_filter("anything=1").check_keys([], [])


def test_runs_are_ordered_by_a_column_with_what_is_not_known_last() -> None:
    runs = [
        run("a", metrics={"accuracy": 0.5, "loss": 2.0}),
        run("b", metrics={"accuracy": 0.9, "loss": math.nan}),
        run("c", metrics={}),
        run("d", metrics={"accuracy": 0.7, "loss": 1.0, "top5": 0.9}),
    ]

    def names(order: str, *, is_reversed: bool = False) -> str:
        return "".join(run.name for run in in_order(runs, order, is_reversed=is_reversed))

    assert names("accuracy") == "bdac"
    assert names("accuracy", is_reversed=True) == "adbc"
    assert names("loss") == "dabc"
    assert names("run") == "abcd"
    assert names("run", is_reversed=True) == "dcba"
    assert names("top5") == "dabc"
    with pytest.raises(ConfigError, match=r"acuracy: unknown sort key.*accuracy"):
        names("acuracy")
