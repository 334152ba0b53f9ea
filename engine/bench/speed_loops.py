"""Training loops to compare the engine with, each in a thread that runs only when it is its turn."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..config import RunConfig

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ..data.loading.storage import ImageStore
    from ..training.trainer import Trainer

_WAIT_SECONDS = 600.0


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
        """Step until the loop is stopped."""
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
        device = trainer.executor.step.placement.device
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
    """Common part of loops over torch's DataLoader: PIL images through ToTensor, one by one."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__()
        self._model = copy.deepcopy(trainer.model).train()
        self._device = trainer.executor.step.placement.device
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

    from .speed_data import random_images

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
    from ..data.datasets.sources import open_sources
    from ..data.loading.storage import DecodedSplit

    sources = open_sources(config.data, config.seed)
    train, validation = (DecodedSplit(split).decode(lambda *_: None) for split in (sources.train, sources.validation))
    return train, validation
