"""The rules that hold the shape of the project."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from torchdeck.tui.process import worker_calls

ROOT = Path(__file__).parent.parent

# From the ground up. A module belongs to the longest of these names that it begins with, and imports nothing of a
# later one.
LAYERS = (
    "engine.errors",
    "engine.run_files",
    "engine.shapes",
    "engine.plurals",
    "engine.progress",
    "engine.user_path",
    "engine.files",
    "engine.randomness",
    "engine.metric_names",
    "engine.series_names",
    "engine.inputs",
    "engine.config",
    "engine.machine",
    "engine.user_code",
    "engine.user_trust",
    "engine.tensor_files",
    "engine.runs.on_disk",
    "engine.runs.saving",
    "engine.runs",
    "engine.runs.browsing",
    "engine.interchange",
    "engine.distributed",
    "engine.recording",
    "engine.adapters",
    "engine.foreign",
    "engine.data.random_keys",
    "engine.data.datasets",
    "engine.data.transforms",
    "engine.data.batched",
    "engine.data.loading",
    "engine.data.exploration",
    "engine.models.nets",
    "engine.models.tree",
    "engine.models.libraries",
    "engine.models",
    "engine.training.metrics",
    "engine.training.optimization",
    "engine.training.compute",
    "engine.training",
    "engine.build",
    "engine.preflight",
    "engine.launching",
    "engine.detached",
    "engine.queue",
    "engine.sweeps",
    "engine.checkpoints",
    "engine.bench",
    "tui.plain_text",
    "tui.drawing",
    "tui.look",
    "tui.keys",
    "tui.polling",
    "tui.tailed_file",
    "tui.working",
    "tui.messages",
    "tui.graphics",
    "tui.process",
    "tui.widgets",
    "tui.widgets.charts",
    "tui.widgets.modules",
    "tui.draft_form",
    "tui.draft_sections",
    "tui.words",
    "tui.headless",
    "tui.runs",
    "tui.screens",
    "tui.code_question",
    "tui.kept_draft",
    "tui.stage",
    "tui.draft_editing",
    "tui.run_control",
    "tui.panes",
    "tui.palette",
    "tui.app",
    "tui.studio",
    "tui.verbs",
    "tui.json_schemas",
    "tui.commands",
    "tui.cli",
    "tui.__main__",
    "torchdeck",
)
PACKAGES = {"engine", "tui"}
ROOMS_ONLY = {"engine", "engine.data", "tui"}


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    """As the layers name it: "engine.files.durable"."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Everything that a file imports, wherever in it and whatever for: the full name, and the line."""
    parts = path.relative_to(ROOT).parts[:-1]
    package = ["torchdeck", *parts] if parts[0] in PACKAGES else ["torchdeck"]
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{prefix}.{alias.name}", node.lineno


@cache
def our_modules() -> dict[str, Path]:
    """Every module by its name."""
    return {module_name(path): path for path in [*sources("engine", "tui"), *(ROOT / "torchdeck").glob("*.py")]}


def our_imports(path: Path) -> Iterator[tuple[str, int]]:
    """The modules of ours that a file imports, as the layers name them, and the line."""
    modules = our_modules()
    for full, line in imports_of(path):
        # The modules beside the links keep their whole name.
        for name in (full.removeprefix("torchdeck."), full):
            target = name if name in modules else name.rpartition(".")[0]
            if full.startswith("torchdeck.") and target in modules:
                yield target, line
                break


def imported_below(folder: str, *names: str) -> list[str]:
    """Who in a folder imports anything whose name begins with one of these."""
    return [
        f"{module_name(path)}:{line} imports {name}"
        for path in sources(folder)
        for name, line in imports_of(path)
        if name.startswith(names)
    ]


def layer_of(module: str) -> int:
    names = [module]
    while "." in names[-1]:
        names.append(names[-1].rpartition(".")[0])
    return next(LAYERS.index(name) for name in names if name in LAYERS)


def modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(' '.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(result.stdout.split())


def test_no_module_imports_a_later_layer() -> None:
    upwards = [
        f"{module}:{line} imports {target}"
        for module, path in our_modules().items()
        if module not in ROOMS_ONLY
        for target, line in our_imports(path)
        if layer_of(target) > layer_of(module)
    ]
    assert upwards == []


def test_a_package_that_holds_only_rooms_imports_nothing() -> None:
    assert [name for name in ROOMS_ONLY if list(our_imports(our_modules()[name]))] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: {target for target, _ in our_imports(path)} - {name} for name, path in our_modules().items()}
    while leaves := [name for name, targets in graph.items() if not targets & graph.keys()]:
        for name in leaves:
            del graph[name]
    while roots := graph.keys() - {target for targets in graph.values() for target in targets}:
        for name in roots:
            del graph[name]
    assert sorted(graph) == []


def test_the_engine_knows_nothing_of_the_screen() -> None:
    assert imported_below("engine", "torchdeck.tui", "textual", "plotext") == []


def test_a_widget_knows_nothing_of_runs() -> None:
    assert imported_below("tui/widgets", "torchdeck.engine") == []


def test_a_screen_is_styled_in_the_stylesheet_of_the_screens() -> None:
    """What a class gives by default loses to studio.tcss, which styles every dialog."""
    styled = [
        f"{module_name(path)}:{node.lineno}"
        for path in sources("tui/screens")
        for node in nodes_of(path)
        if isinstance(node, ast.Name) and node.id == "DEFAULT_CSS"
    ]
    assert styled == []


def test_a_line_of_text_is_typed_into_a_field() -> None:
    """Textual's own input has a cursor that blinks."""
    bare = [
        f"{module_name(path)}:{node.lineno}"
        for path in sources("tui")
        if path.stem != "field"
        for node in nodes_of(path)
        for made in (
            [node.func] if isinstance(node, ast.Call) else node.bases if isinstance(node, ast.ClassDef) else []
        )
        if isinstance(made, ast.Name) and made.id in ("Input", "MaskedInput", "TextArea")
    ]
    assert bare == []


def test_a_line_that_crosses_the_house_is_seen_as_one() -> None:
    """Imports are relative inside engine and inside tui, and absolute from one to the other."""
    wrong = []
    for path in sources("engine", "tui"):
        house, depth = path.relative_to(ROOT).parts[0], len(path.relative_to(ROOT).parts)
        wrong += [
            f"{module_name(path)}:{node.lineno}"
            for node in nodes_of(path)
            if isinstance(node, ast.ImportFrom)
            and (node.level >= depth if node.level else (node.module or "").startswith(f"torchdeck.{house}."))
        ]
    assert wrong == []


@pytest.mark.parametrize("module", ["torchdeck", "torchdeck.tui.cli", "torchdeck.engine.build"])
def test_there_is_one_import_name(module: str) -> None:
    assert not modules_after(f"import {module}") & PACKAGES


@pytest.mark.parametrize(
    "function", [name for name in vars(worker_calls) if name.isupper() and name != "READ_DATA_ONLY"]
)
def test_what_the_worker_process_is_asked_for_is_there(function: str) -> None:
    module, _, name = getattr(worker_calls, function).partition(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_functions_of_the_worker_process_are_named_in_one_table() -> None:
    assert [
        f"{module_name(path)}:{node.lineno}"
        for path in sources("tui")
        if path.stem != "worker_calls"
        for node in nodes_of(path)
        if isinstance(node, ast.Constant) and str(node.value).startswith("torchdeck.engine.")
    ] == []


@pytest.mark.parametrize(
    "statement",
    [
        "import torchdeck",
        "import torchdeck.tui.app",
        "import torchdeck.engine.runs.reader, torchdeck.engine.tensor_files.checkpoint_file",
        "import torchdeck.engine.data.datasets.catalog, torchdeck.engine.models.catalog, torchdeck.engine.config.file",
        "import torchdeck.tui.verbs.runs, torchdeck.tui.verbs.checkpoint",
    ],
)
def test_what_is_shown_first_imports_no_torch(statement: str) -> None:
    assert "torch" not in modules_after(statement)


def test_the_widgets_load_neither_torch_nor_numpy() -> None:
    walk = "import importlib, pkgutil; from torchdeck.tui import widgets as all"
    each = "importlib.import_module(each.name) for each in pkgutil.walk_packages(all.__path__, f'{all.__name__}.')"
    loaded = modules_after(f"{walk}\n[{each}]")
    assert "torchdeck.tui.widgets.charts.chart" in loaded
    assert not loaded & {"torch", "numpy"}


def test_the_package_and_the_parent_process_import_next_to_nothing() -> None:
    heavy = {"asyncio", "click", "textual", "pydantic", "rich", "numpy"}
    assert not modules_after("import torchdeck, torchdeck.tui.cli, torchdeck.tui.process.parent") & heavy


def test_no_file_is_named_after_nothing() -> None:
    nothing = {"util", "utils", "helper", "helpers", "common", "misc", "manager"}
    assert [path for path in sources("engine", "tui") if path.stem in nothing] == []


@pytest.mark.parametrize("folder", ["panes", "screens", "widgets"])
def test_whatever_works_in_the_background_stops_before_it_is_taken_down(folder: str) -> None:
    classes = [node for path in sources(f"tui/{folder}") for node in nodes_of(path) if isinstance(node, ast.ClassDef)]
    working = {"Working"}
    for _ in classes:
        working |= {node.name for node in classes if working & {ast.unparse(base) for base in node.bases}}
    assert [node.name for node in classes if "@work" in ast.unparse(node) and node.name not in working] == []
