import math
from pathlib import Path

from run_cases import new_run

from torchdeck.engine.runs.browsing.run_catalog import RunCatalog
from torchdeck.engine.runs.browsing.used_values import PastRun, UsedValue, past_runs, used_values


def run(name: str, best: float, metric: str = "accuracy", dataset: str = "digits", **settings: object) -> PastRun:
    return PastRun(name, {"data.dataset": dataset, **settings}, metric, best)


def test_values_come_with_the_best_result_of_their_runs_best_first() -> None:
    runs = [
        run("a", 0.90, **{"optimizer.lr": 0.1}),
        run("b", 0.95, **{"optimizer.lr": 0.01}),
        run("c", 0.92, **{"optimizer.lr": 0.1}),
        run("d", 0.99, dataset="MNIST", **{"optimizer.lr": 1.0}),
        run("e", 0.01, metric="loss", **{"optimizer.lr": 2.0}),
    ]
    assert used_values(runs, "optimizer.lr", "digits") == [
        UsedValue(0.01, "accuracy", 0.95, 1),
        UsedValue(0.1, "accuracy", 0.92, 2),
    ]
    assert used_values(runs, "optimizer.momentum", "digits") == [UsedValue(None, "accuracy", 0.95, 3)]
    assert used_values(runs, "optimizer.lr", "CIFAR10") == []


def test_a_smaller_loss_is_better() -> None:
    runs = [run("a", 0.5, metric="loss", seed=1), run("b", 0.2, metric="loss", seed=2)]
    assert [used.value for used in used_values(runs, "seed", "digits")] == [2, 1]


def test_a_secret_of_an_earlier_run_is_not_among_them() -> None:
    secrets = ("https://hooks.example.com/T0/secret", "$WEBHOOK", "")
    runs = [run(f"r{at}", 0.9, **{"notify.webhook": secret}) for at, secret in enumerate(secrets)]
    assert [used.value for used in used_values(runs, "notify.webhook", "digits")] == ["$WEBHOOK", ""]


def test_runs_without_a_result_are_left_out(tmp_path: Path) -> None:
    for name, value in (("good", 0.5), ("nothing", None), ("broken", math.nan)):
        writer = new_run(tmp_path, name)
        if value is not None:
            writer.update_state(best={"metric": "accuracy", "value": value, "epoch": 1, "step": 1})
        writer.close("finished")
    (found,) = past_runs(RunCatalog(tmp_path))
    assert found.name.startswith("good") and found.best == 0.5
    assert found.settings["model.name"] == "mlp"
