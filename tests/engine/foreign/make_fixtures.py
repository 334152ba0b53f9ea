"""Makes the fixtures of other trainers' runs with the real libraries, each in an environment that has it.

    python tests/engine/foreign/make_fixtures.py FORMAT [FOLDER]

FORMAT is one of tensorboard, lightning, huggingface, keras, wandb, mlflow. What is made lies in the folder `fixtures`
beside this script, with the version of the library in `made-by.txt`. Every run has the same figures, those of `RUN`.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from pathlib import Path

LIBRARIES = {
    "tensorboard": "tensorboard",
    "lightning": "lightning",
    "huggingface": "transformers",
    "keras": "keras",
    "wandb": "wandb",
    "mlflow": "mlflow-skinny",
}
# Epoch, step, training loss, learning rate, validation loss, validation accuracy.
RUN = [(1, 10, 1.5, 0.1, 1.25, 0.5), (2, 20, 0.75, 0.05, 0.625, 0.75), (3, 30, 0.5, 0.025, 0.6875, 0.7)]


def tensorboard(folder: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))
    for epoch, step, loss, lr, val_loss, accuracy in RUN:
        writer.add_scalar("Loss/train", loss, step)
        writer.add_scalar("lr", lr, step)
        writer.add_scalar("Loss/val", val_loss, step)
        writer.add_scalar("Accuracy/val", accuracy, step, new_style=True)
        writer.add_scalar("epoch", epoch, step)
        writer.add_text("note", "not a figure", step)
    writer.close()


def lightning(folder: Path) -> None:
    from lightning.pytorch.loggers import CSVLogger

    logger = CSVLogger(str(folder.parent), name="", version=folder.name)
    logger.log_hyperparams({"lr": 0.1, "model": {"name": "unet", "depth": 4}, "augment": True})
    for epoch, step, loss, lr, val_loss, accuracy in RUN:
        logger.log_metrics({"train_loss_step": loss, "lr-SGD": lr, "epoch": epoch}, step)
        logger.save()
        logger.log_metrics({"val_loss": val_loss, "val_acc": accuracy, "epoch": epoch}, step)
        logger.save()


def huggingface(folder: Path) -> None:
    from transformers.trainer_callback import TrainerState

    state = TrainerState(max_steps=30, num_train_epochs=3, train_batch_size=8, logging_steps=10)
    for epoch, step, loss, lr, val_loss, accuracy in RUN:
        state.global_step, state.epoch = step, float(epoch)
        state.log_history.append({"loss": loss, "grad_norm": 1.0, "learning_rate": lr, "epoch": epoch, "step": step})
        evaluated = {"eval_loss": val_loss, "eval_accuracy": accuracy, "eval_runtime": 0.5}
        state.log_history.append({**evaluated, "epoch": epoch, "step": step})
        (folder / f"checkpoint-{step}").mkdir(parents=True)
        state.save_to_json(str(folder / f"checkpoint-{step}" / "trainer_state.json"))


def keras(folder: Path) -> None:
    from keras.callbacks import CSVLogger

    class Model:
        stop_training = False

    logger = CSVLogger(str(folder / "training.csv"))
    logger.set_model(Model())
    logger.on_train_begin()
    for epoch, _, loss, lr, val_loss, accuracy in RUN:
        logs = {"loss": loss, "learning_rate": lr, "val_loss": val_loss, "val_accuracy": accuracy}
        logger.on_epoch_end(epoch, logs)
    logger.on_train_end()


def wandb(folder: Path) -> None:
    import wandb

    os.environ["WANDB_MODE"] = "offline"
    folder.mkdir(parents=True, exist_ok=True)
    settings = wandb.Settings(disable_git=True, console="off", x_disable_stats=True, x_disable_meta=True)
    run = wandb.init(
        project="fixtures", dir=str(folder), config={"lr": 0.1, "model": {"name": "unet"}}, settings=settings
    )
    for epoch, step, loss, lr, val_loss, accuracy in RUN:
        # Longer than a block of the file, once.
        text = "x" * (33_000 if epoch == 1 else 1)
        run.log({"train/loss": loss, "lr": lr, "epoch": epoch, "text": text}, step=step - 1)
        run.log({"val/loss": val_loss, "val": {"accuracy": accuracy}, "epoch": epoch}, step=step)
    run.finish()
    # Its service writes the last block when it ends.
    wandb.teardown()
    (made,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    shutil.copy(made, folder / "run-fixture.wandb")
    shutil.rmtree(folder / "wandb")


def mlflow(folder: Path) -> None:
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    import mlflow

    store = folder.parent / "mlflow-store"
    mlflow.set_tracking_uri(store.as_uri())
    with mlflow.start_run() as run:
        mlflow.log_params({"lr": 0.1, "model.name": "unet"})
        for epoch, step, loss, lr, val_loss, accuracy in RUN:
            figures = {"train_loss": loss, "lr": lr, "val_loss": val_loss, "val/accuracy": accuracy, "epoch": epoch}
            mlflow.log_metrics(figures, step=step)
    (made,) = store.glob(f"*/{run.info.run_id}")
    shutil.copytree(made, folder, dirs_exist_ok=True)
    shutil.rmtree(folder / "tags")
    meta = folder / "meta.yaml"
    # The paths of the machine are nobody's business.
    meta.write_text("".join(line for line in meta.open() if str(store) not in line))
    shutil.rmtree(store)


if __name__ == "__main__":
    name = sys.argv[1]
    folder = (Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent / "fixtures").absolute() / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    globals()[name](folder)
    (folder / "made-by.txt").write_text(f"{LIBRARIES[name]} {importlib.metadata.version(LIBRARIES[name])}\n")
