"""How fast the training loop is on this machine: beside a bare loop on the same tensors, and beside other trainers.

The loops take turns in short windows of one process, so that what else the machine does falls on all of them alike;
ratios are taken within a round.
"""

from __future__ import annotations

import copy
import importlib.util
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.config import RunConfig
from engine.config_file import config_from_values
from engine.errors import ConfigError, TorchdeckError, did_you_mean
from engine.launch import LaunchedRun, launch

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from engine.data.loading.storage import ImageStore
    from engine.training.trainer import Trainer

# One dict a round: steps a second by the clock and by the training thread's CPU time, by what was running.
Rounds = list[dict[str, tuple[float, float]]]

SUBJECTS: dict[str, dict[str, Any]] = {
    "mlp": {"model": {"name": "mlp"}, "shape": [28, 28, 1]},
    "cnn": {"model": {"name": "cnn", "channels": [16, 32]}, "shape": [28, 28, 1]},
    "resnet18": {"model": {"name": "resnet18"}, "shape": [32, 32, 3]},
}
_BATCH_SIZE, _SAMPLES, _CLASSES = 64, 4096, 10
_WARM_STEPS = 10
_WAIT_SECONDS = 600.0


def measure(subject: str, *, seconds: float, rounds: int, device: str = "auto") -> Rounds:
    """Let the loops take turns on one of `SUBJECTS`: `bare`, `headless`, and `quickstart`, `accelerate`, `lightning`
    where there are CPU windows for them and the packages are installed.

    Args:
        subject: the network.
        seconds: length of a window.
        rounds: windows of each.
        device: as `training.device`.

    Raises:
        ConfigError: no such subject.
        TorchdeckError: the run can't be started.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = launch(bench_config(subject, device), Path(folder))
        try:
            trainer = warm_trainer(run, _WARM_STEPS)
            loops: list[GatedLoop] = [BareLoop(trainer), QuickstartLoop(trainer)]
            if importlib.util.find_spec("accelerate") is not None:
                loops.append(AccelerateLoop(trainer))
            if importlib.util.find_spec("lightning") is not None:
                loops.append(LightningLoop(trainer))
            return take_turns(run, loops, ["headless", *(loop.label for loop in loops)], seconds, rounds)
        finally:
            run.stop()
            run.join(_WAIT_SECONDS)


def bench_config(subject: str, device: str = "auto") -> RunConfig:
    """A run without an end, on images of random pixels. Raises ConfigError for an unknown subject."""
    if subject not in SUBJECTS:
        raise ConfigError(f"{subject}: not measured{did_you_mean(subject, SUBJECTS)}")
    chosen = SUBJECTS[subject]
    return config_from_values(
        {
            "name": f"bench-{subject}",
            "data": {
                "dataset": f"{Path(__file__).with_name('speed_data.py')}:random_images",
                "arguments": {"count": _SAMPLES, "shape": chosen["shape"], "num_classes": _CLASSES},
                "train_transforms": [{"name": "ToTensor"}],
                "eval_transforms": [{"name": "ToTensor"}],
            },
            "loader": {"batch_size": _BATCH_SIZE},
            "model": chosen["model"],
            "optimizer": {"name": "SGD", "lr": 1e-3},
            "training": {"epochs": 1_000_000, "device": device},
        }
    )


def ratios(rounds: Rounds, name: str, base: str, column: int) -> list[float]:
    """Sorted ratios of steps a second within each round. Column 0: by the clock; 1: by the thread's CPU time."""
    return sorted(row[name][column] / row[base][column] for row in rounds)


def summary(rounds: Rounds, name: str, base: str = "bare") -> dict[str, float]:
    """Median steps a second of a loop and the median of its ratios to another, by the clock and by CPU time."""
    return {
        "steps_per_s": statistics.median(row[name][0] for row in rounds),
        "ratio": statistics.median(ratios(rounds, name, base, 0)),
        "cpu_ratio": statistics.median(ratios(rounds, name, base, 1)),
    }


def warm_trainer(run: LaunchedRun, steps: int) -> Trainer:
    """The trainer of a run once it has done some steps; the run then stands paused. Raises TorchdeckError."""
    run.wait_for_directory()
    while run.is_alive and (run.trainer is None or run.trainer.state.position.step < steps):
        time.sleep(0.05)
    if run.trainer is None or not run.is_alive:
        raise run.error or TorchdeckError("the run ended before it could be measured")
    pause(run)
    return run.trainer


def take_turns(
    run: LaunchedRun,
    loops: list[GatedLoop],
    names: list[str],
    seconds: float,
    rounds: int,
    show: Callable[[str], None] = lambda name: None,
) -> Rounds:
    """Rounds of one window each; the order changes from round to round. The run stands paused in between.

    Args:
        run: paused, and training in this process.
        loops: what it is compared with; not yet started.
        names: who takes part: labels of the loops; any other name is the run itself, in a state that `show` brings.
        seconds: length of a window.
        rounds: how many.
        show: called before each window with the name whose turn it is.
    """
    by_label = {loop.label: loop for loop in loops}
    trainer = run.trainer
    assert trainer is not None
    for loop in loops:
        loop.start()
    engine = next(thread.ident for thread in threading.enumerate() if thread.name == "engine")
    measured: Rounds = []
    for number in range(rounds):
        row = {}
        first = number % len(names)
        for name in names[first:] + names[:first]:
            show(name)
            if (loop_now := by_label.get(name)) is not None:
                row[name] = _window(seconds, loop_now.running, lambda one=loop_now: one.steps, loop_now.ident)  # type: ignore[misc]
            else:
                row[name] = _window(seconds, lambda: training(run), lambda: trainer.state.position.step, engine)
        measured.append(row)
    for loop in loops:
        loop.stop()
    return measured


def _window(
    seconds: float, running: Callable[[], AbstractContextManager[None]], steps: Callable[[], int], thread: int | None
) -> tuple[float, float]:
    """Steps a second of the clock, and a second of the thread's CPU time, while `running` is entered."""
    assert thread is not None
    cpu = time.pthread_getcpuclockid(thread)
    with running():
        _settle(steps, steps())
        first, began, cpu_began = steps(), time.perf_counter(), time.clock_gettime(cpu)
        time.sleep(seconds)
        _settle(steps, first)
        done = steps() - first
        return done / (time.perf_counter() - began), done / max(1e-9, time.clock_gettime(cpu) - cpu_began)


def _settle(steps: Callable[[], int], first: int) -> None:
    """Wait until some steps are done since `first`: a slow loop has none in a short window."""
    end = time.monotonic() + _WAIT_SECONDS
    while steps() < first + 2 and time.monotonic() < end:
        time.sleep(0.02)


@contextmanager
def training(run: LaunchedRun) -> Iterator[None]:
    """Let the paused run train in here."""
    run.control.submit({"cmd": "resume"})
    try:
        yield
    finally:
        pause(run)


def pause(run: LaunchedRun) -> None:
    """Pause a run that is trained in this process, and wait until it stands."""
    trainer = run.trainer
    assert trainer is not None
    run.control.submit({"cmd": "pause"})
    before = -1
    while trainer.state.position.step != before:
        before = trainer.state.position.step
        time.sleep(0.2)


class GatedLoop(threading.Thread):
    """A training loop in a thread that runs only while its gate is open.

    Attributes:
        label: its name in the table.
        steps: steps done.
    """

    label = ""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.steps = 0
        self._gate = threading.Event()
        self._stands = threading.Event()
        self._is_over = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the loop run in here."""
        self._stands.clear()
        self._gate.set()
        try:
            yield
        finally:
            self._gate.clear()
            self._stands.wait(_WAIT_SECONDS)

    def stop(self) -> None:
        """End the thread."""
        self._is_over = True
        self._gate.set()

    def run(self) -> None:
        """Step as long as nobody ends it."""
        for _ in self.training():
            self.steps += 1
            if self.must_end():
                return

    def must_end(self) -> bool:
        """Wait at the gate; whether the loop is over."""
        if not self._gate.is_set():
            self._stands.set()
            self._gate.wait()
        return self._is_over

    def training(self) -> Iterator[None]:
        """Train for ever; yields after each step."""
        raise NotImplementedError


class BareLoop(GatedLoop):
    """The loop one would write by hand, on a copy of the same model and on the same tensors."""

    label = "bare"

    def __init__(self, trainer: Trainer) -> None:
        super().__init__()
        self._model = copy.deepcopy(trainer.model)
        self._config = trainer.config
        device = trainer.placement.device
        self._train, self._test = (store.to(device) for store in decoded_stores(self._config))

    def training(self) -> Iterator[None]:
        """Epochs of steps, each with a test at its end, nothing else."""
        import torch
        from torch.nn import functional

        optimizer = torch.optim.SGD(self._model.parameters(), lr=self._config.optimizer.lr, fused=True)
        images, targets = self._train.images, self._train.targets
        batch_size, model = self._config.loader.batch_size, self._model.train()
        while True:
            order = torch.randperm(len(images), device=images.device)
            for start in range(0, len(images), batch_size):
                if self.must_end():
                    return
                index = order[start : start + batch_size]
                loss = functional.cross_entropy(model(images[index].float().div_(255)), targets[index])
                loss.backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                yield
            self._evaluate()

    def _evaluate(self) -> None:
        """Loss and accuracy on the test split, as the quickstart's test loop."""
        import torch
        from torch.nn import functional

        self._model.eval()
        loss, correct = 0.0, 0
        with torch.no_grad():
            for start in range(0, len(self._test.images), 256):
                targets = self._test.targets[start : start + 256]
                logits = self._model(self._test.images[start : start + 256].float().div_(255))
                loss += float(functional.cross_entropy(logits, targets, reduction="sum"))
                correct += int((logits.argmax(1) == targets).sum())
        self._model.train()


class _LoaderLoop(GatedLoop):
    """What loops over torch's DataLoader have in common: PIL images through ToTensor, one by one."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__()
        self._model = copy.deepcopy(trainer.model).train()
        self._device = trainer.placement.device
        self._config = trainer.config
        self._loader = _tutorial_loader(trainer.config)


class QuickstartLoop(_LoaderLoop):
    """PyTorch's quickstart tutorial: DataLoader, ToTensor, SGD, the loss read every hundred batches."""

    label = "quickstart"

    def training(self) -> Iterator[None]:
        """Epochs without their tests."""
        import torch

        loss_function = torch.nn.CrossEntropyLoss()
        optimizer = torch.optim.SGD(self._model.parameters(), lr=self._config.optimizer.lr)
        while True:
            for number, (images, targets) in enumerate(self._loader):
                images, targets = images.to(self._device), targets.to(self._device)
                loss = loss_function(self._model(images), targets)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                if number % 100 == 0:
                    loss.item()
                yield


class AccelerateLoop(_LoaderLoop):
    """The quickstart's loop with Accelerate's objects."""

    label = "accelerate"

    def training(self) -> Iterator[None]:
        """Epochs without their tests."""
        import torch
        from accelerate import Accelerator

        accelerator = Accelerator(cpu=self._device.type == "cpu")
        optimizer = torch.optim.SGD(self._model.parameters(), lr=self._config.optimizer.lr)
        model, optimizer, loader = accelerator.prepare(self._model, optimizer, self._loader)
        while True:
            for images, targets in loader:
                optimizer.zero_grad()
                accelerator.backward(torch.nn.functional.cross_entropy(model(images), targets))
                optimizer.step()
                yield


class LightningLoop(_LoaderLoop):
    """Lightning's Trainer with its defaults, without its bar, its logger and its checkpoints."""

    label = "lightning"

    def run(self) -> None:
        """Lightning owns the loop; its callback waits at the gate."""
        import lightning
        import torch

        outer = self

        class Module(lightning.LightningModule):
            def __init__(self) -> None:
                super().__init__()
                self.network = outer._model

            def training_step(self, batch: tuple[Tensor, Tensor], number: int) -> Tensor:
                images, targets = batch
                return torch.nn.functional.cross_entropy(self.network(images), targets)

            def configure_optimizers(self) -> torch.optim.Optimizer:
                return torch.optim.SGD(self.network.parameters(), lr=outer._config.optimizer.lr)

        class Gate(lightning.Callback):
            def on_train_batch_end(self, trainer: Any, *arguments: Any) -> None:
                outer.steps += 1
                trainer.should_stop = outer.must_end()

        trainer = lightning.Trainer(
            max_epochs=-1,
            accelerator="cpu" if self._device.type == "cpu" else "gpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[Gate()],
        )
        trainer.fit(Module(), self._loader)


def _tutorial_loader(config: RunConfig) -> torch.utils.data.DataLoader[Any]:
    """The training split as the tutorial loads it."""
    import torch
    from PIL import Image
    from torchvision.transforms.functional import to_tensor

    from engine.speed_data import random_images

    split = random_images(train=True, **config.data.arguments)

    class Samples(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return len(split)

        def __getitem__(self, index: int) -> Any:
            pixels, target = split[index]
            return to_tensor(Image.fromarray(pixels.squeeze())), target

    return torch.utils.data.DataLoader(Samples(), batch_size=config.loader.batch_size, shuffle=True)


def decoded_stores(config: RunConfig) -> tuple[ImageStore, ImageStore]:
    """Both splits as the uint8 tensors that the engine works on as well."""
    from engine.data.datasets.sources import open_sources
    from engine.data.loading.storage import DecodedSplit

    sources = open_sources(config.data, config.seed)
    train, validation = (DecodedSplit(split).decode(lambda *_: None) for split in (sources.train, sources.validation))
    return train, validation
