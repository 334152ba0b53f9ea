"""Adapters record what the libraries themselves train; skipped where a library is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import torchdeck
from torchdeck.engine.runs.run_view import RunView

# Libraries warn of their own ways.
pytestmark = pytest.mark.filterwarnings("ignore")

NAMES = {
    "LightningLogger": "lightning",
    "HuggingFaceCallback": "transformers",
    "KerasCallback": "keras",
    "AccelerateTracker": "accelerate",
    "IgniteHandler": "ignite",
}


def only_run(runs: Path) -> RunView:
    (summary,) = torchdeck.list_runs(runs)
    reader = torchdeck.open_run(summary.path)
    reader.poll()
    return reader


def samples() -> torch.utils.data.TensorDataset:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(64, 4, generator=generator)
    return torch.utils.data.TensorDataset(inputs, inputs.sum(1, keepdim=True))


def lightning_module(*, fails: bool = False) -> Any:
    lightning = pytest.importorskip("lightning")

    class Module(lightning.LightningModule):
        def __init__(self, lr: float) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(4, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            if fails and self.current_epoch:
                raise ValueError("of the test")
            loss = torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch: Any, index: int) -> None:
            self.log("val_loss", torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1]))

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=self.hparams["lr"])

    return Module(lr=0.125)


def fit(module: Any, runs: Path, root: Path) -> None:
    import lightning

    loader = torch.utils.data.DataLoader(samples(), batch_size=16)
    trainer = lightning.Trainer(
        max_epochs=2,
        logger=torchdeck.LightningLogger("case", runs=runs),
        callbacks=[lightning.pytorch.callbacks.ModelCheckpoint(dirpath=root / "saved", monitor="val_loss")],
        log_every_n_steps=1,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, loader, loader)


def test_lightning_figures_settings_and_checkpoints(tmp_path: Path) -> None:
    fit(lightning_module(), tmp_path / "runs", tmp_path)
    run = only_run(tmp_path / "runs")
    assert run.status() == "finished"
    assert run.settings()["lr"] == 0.125
    assert run.series("train/loss")[0].tolist() == list(range(1, 9))
    assert run.series("validation/loss")[0].tolist() == [4, 8]
    assert [record["epoch"] for record in run.epoch_records()] == [1, 2]
    (checkpoint,) = run.checkpoints()
    assert checkpoint.metrics["loss"] == pytest.approx(float(run.series("validation/loss")[1].min()))


def test_lightning_that_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="of the test"):
        fit(lightning_module(fails=True), tmp_path / "runs", tmp_path)
    run = only_run(tmp_path / "runs")
    assert run.status() == "failed" and run.state()["error"] == "ValueError: of the test"


def test_hugging_face_figures_arguments_and_checkpoints(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def forward(self, inputs: Any, labels: Any) -> Any:
            output = self.layer(inputs)
            return {"loss": torch.nn.functional.mse_loss(output, labels), "logits": output}

    data = [{"inputs": inputs, "labels": target} for inputs, target in samples()]
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"),
        num_train_epochs=2,
        per_device_train_batch_size=16,
        logging_steps=1,
        eval_strategy="epoch",
        save_strategy="epoch",
        learning_rate=0.25,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
    )
    callback = torchdeck.HuggingFaceCallback("case", runs=tmp_path / "runs")
    trainer = transformers.Trainer(
        model=Net(), args=arguments, train_dataset=data, eval_dataset=data, callbacks=[callback]
    )
    trainer.train()
    run = only_run(tmp_path / "runs")
    assert run.status() == "finished"
    assert run.settings()["learning_rate"] == 0.25
    assert run.series("train/loss")[0].tolist() == list(range(1, 9))
    told = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert run.series("validation/loss")[1].tolist() == told
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [8, 4]


def test_keras_figures_of_batches_and_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    inputs, targets = (tensor.numpy() for tensor in samples().tensors)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss="mse")
    callback = torchdeck.KerasCallback("case", {"units": 1}, runs=tmp_path / "runs")
    history = model.fit(
        inputs, targets, batch_size=16, epochs=2, validation_data=(inputs, targets), callbacks=[callback], verbose=0
    )
    run = only_run(tmp_path / "runs")
    assert run.status() == "finished" and run.settings()["units"] == 1
    assert run.series("train/loss")[0].tolist() == list(range(1, 9))
    assert set(run.series("lr")[1].tolist()) == {0.5}
    assert run.series("validation/loss")[1].tolist() == pytest.approx(history.history["val_loss"])


def test_accelerate_figures_and_settings(tmp_path: Path) -> None:
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(
        cpu=True, log_with=torchdeck.AccelerateTracker("case", runs=tmp_path / "runs")
    )
    accelerator.init_trackers("project", config={"lr": 0.125})
    for step in range(1, 4):
        accelerator.log({"train_loss": 1 / step}, step=step)
    accelerator.log({"val_loss": 0.5}, step=3, log_kwargs={"torchdeck": {"epoch": 1}})
    accelerator.end_training()
    run = only_run(tmp_path / "runs")
    assert run.status() == "finished" and run.settings()["lr"] == 0.125
    assert run.series("train/loss")[1].tolist() == [1.0, 1 / 2, 1 / 3]
    assert run.epoch_records()[0]["epoch"] == 1


@pytest.mark.parametrize("fails", [False, True])
def test_ignite_figures_and_the_end(tmp_path: Path, fails: bool) -> None:
    engine = pytest.importorskip("ignite.engine")
    layer = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.125)

    def train(_: Any, batch: Any) -> Any:
        if fails:
            raise ValueError("of the test")
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(layer(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return loss

    from ignite.metrics import MeanSquaredError

    trainer, evaluator = engine.Engine(train), engine.Engine(lambda _, batch: (layer(batch[0]), batch[1]))
    MeanSquaredError().attach(evaluator, "mse")
    loader = torch.utils.data.DataLoader(samples(), batch_size=16)
    trainer.add_event_handler(engine.Events.EPOCH_COMPLETED, lambda: evaluator.run(loader))
    torchdeck.IgniteHandler("case", runs=tmp_path / "runs").attach(trainer, {"val": evaluator}, optimizer)
    if fails:
        with pytest.raises(ValueError, match="of the test"):
            trainer.run(loader, max_epochs=2)
    else:
        trainer.run(loader, max_epochs=2)
    run = only_run(tmp_path / "runs")
    assert run.status() == ("failed" if fails else "finished")
    if not fails:
        assert run.series("train/loss")[0].tolist() == list(range(1, 9))
        assert [record["epoch"] for record in run.epoch_records()] == [1, 2]
        assert set(run.series("lr")[1].tolist()) == {0.125}


@pytest.mark.parametrize("name", NAMES)
def test_a_library_that_is_not_installed_is_named(name: str) -> None:
    program = (
        "import sys\n"
        f"sys.modules['{NAMES[name]}'] = None\n"
        "import torchdeck\n"
        "try:\n"
        f"    torchdeck.{name}\n"
        "except torchdeck.Error as error:\n"
        "    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    package = NAMES[name].replace("ignite", "pytorch-ignite")
    assert said.startswith(f"this needs {package}, which is not installed: ")
