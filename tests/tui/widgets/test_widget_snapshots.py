"""The look of the widgets with fixed data. Accept a wanted change with `pytest --snapshot-update`."""

from __future__ import annotations

import numpy as np
import pytest
from look_app import LookApp
from textual.app import ComposeResult

from torchdeck.tui.widgets.charts.chart import Chart
from torchdeck.tui.widgets.config_form import ConfigForm, FormSection
from torchdeck.tui.widgets.form_field import FormField
from torchdeck.tui.widgets.image_grid import GridImage, ImageGrid
from torchdeck.tui.widgets.modules.module_tree import ModuleTree, ModuleTreeRow
from torchdeck.tui.widgets.pipeline_list import PipelineList, PipelineStep, StepNote


class ChartApp(LookApp):
    def __init__(self, *, is_log: bool) -> None:
        super().__init__()
        self.is_log = is_log

    def compose(self) -> ComposeResult:
        yield Chart("loss")

    def on_ready(self) -> None:
        chart = self.query_one(Chart)
        steps = np.arange(1, 28_141)
        wave = 0.3 * np.sin(steps * 0.7) ** 2
        chart.set_series("train", steps, 2.2 * np.exp(-steps / 5000) + wave + 0.02, "$series-1")
        epochs = steps[937::938]
        chart.set_series("validation", epochs, 2 * np.exp(-epochs / 6000) + 0.2, "$series-2", is_smoothed=False)
        chart.set_marks([(9380, "R")])
        chart.log_y = self.is_log
        chart.smoothing = 0.98 if self.is_log else 0.0
        chart._redraw()


class TreeApp(LookApp):
    def compose(self) -> ComposeResult:
        yield ModuleTree()

    def on_ready(self) -> None:
        rows = [ModuleTreeRow("", "ResNet", 11_181_642, 5130, "[1, 10]")]
        rows.append(ModuleTreeRow("conv1", "Conv2d", 1728, 0, "[1, 64, 32, 32]", "3, 64, kernel_size=(3, 3)"))
        for layer, params in enumerate((147_968, 525_568, 2_099_712, 8_393_728), start=1):
            rows.append(ModuleTreeRow(f"layer{layer}", "Sequential", params, 0, f"[1, {32 << layer}, 8, 8]"))
            rows += [ModuleTreeRow(f"layer{layer}.{block}", "BasicBlock", params // 2, 0) for block in range(2)]
        rows.append(ModuleTreeRow("fc", "Linear", 5130, 5130, "[1, 10]", "512, 10"))
        tree = self.query_one(ModuleTree)
        tree.show_modules(rows, "resnet18")
        tree.reveal("layer3.1")


class FormApp(LookApp):
    def compose(self) -> ComposeResult:
        data = (
            FormField("data.dataset", "dataset", "text", "CIFAR10", help="catalog name or folder", origin="MNIST"),
            FormField("loader.batch_size", "batch_size", "int", "128", help="images in a step", origin="128"),
        )
        optimizer = (
            FormField("optimizer.name", "name", "choice", "SGD", ("SGD", "Adam"), origin="SGD"),
            FormField("optimizer.lr", "lr", "float", "-1", (), "learning rate", "must be above 0", origin="0.1"),
            FormField("training.compile", "compile", "bool", "true", help="torch.compile", origin="true"),
        )
        yield ConfigForm([FormSection("Data", "what is read", data), FormSection("Optimizer", "", optimizer)])
        pipeline = PipelineList("Transforms", {"train": ("Train", "")}, count_words="{} steps".format, empty="none")
        pipeline.styles.margin = (1, 0)
        yield pipeline

    def on_ready(self) -> None:
        steps = [PipelineStep("RandomHorizontalFlip"), PipelineStep("RandomCrop", {"size": 32, "padding": 4})]
        notes = [StepNote("batched", True), StepNote(error="sise is not known")]
        self.query_one(PipelineList).set_steps("train", steps, notes)


class ImagesApp(LookApp):
    def compose(self) -> ComposeResult:
        yield ImageGrid()

    def on_ready(self) -> None:
        ramp = np.arange(32, dtype=np.uint8) * 8
        images = []
        for index in range(6):
            pixels = np.stack(
                [np.tile(ramp, (32, 1)), np.tile(ramp[:, None], (1, 32)), np.full((32, 32), 40 * index)], 2
            )
            images.append(GridImage(pixels.astype(np.uint8), f"class {index}"))
        self.query_one(ImageGrid).set_images(images)


@pytest.mark.parametrize("size", [(80, 24), (120, 30)])
@pytest.mark.parametrize("is_log", [False, True])
def test_chart(snap_compare, size, is_log) -> None:
    assert snap_compare(ChartApp(is_log=is_log), terminal_size=size)


@pytest.mark.parametrize("size", [(80, 24), (200, 24)])
def test_module_tree(snap_compare, size) -> None:
    assert snap_compare(TreeApp(), terminal_size=size)


def test_form_and_steps(snap_compare) -> None:
    assert snap_compare(FormApp(), terminal_size=(80, 24))


def test_images(snap_compare) -> None:
    assert snap_compare(ImagesApp(), terminal_size=(80, 24))
