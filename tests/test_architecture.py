"""The rules that hold the shape of the project."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def imported_packages(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


def modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(' '.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(result.stdout.split())


@pytest.mark.parametrize("path", sorted((ROOT / "engine").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_engine_knows_nothing_of_the_screen(path: Path) -> None:
    assert not imported_packages(path) & {"tui", "textual", "plotext"}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tui" / "widgets").glob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_widget_knows_nothing_of_runs(path: Path) -> None:
    assert "engine" not in imported_packages(path)


@pytest.mark.parametrize(
    "statement",
    [
        "import torchdeck.tui.app",
        "import torchdeck.engine.runs.reader, torchdeck.engine.tensor_files.checkpoint_file",
        "import torchdeck.engine.data.datasets.catalog, torchdeck.engine.models.catalog, torchdeck.engine.config.file",
        "import torchdeck.tui.verbs.runs, torchdeck.tui.verbs.checkpoint",
    ],
)
def test_what_is_shown_first_imports_no_torch(statement: str) -> None:
    assert "torch" not in modules_after(statement)


def test_the_parent_process_imports_next_to_nothing() -> None:
    heavy = {"asyncio", "click", "textual", "pydantic", "rich", "numpy"}
    assert not modules_after("import torchdeck.tui.cli, torchdeck.tui.process.parent") & heavy


@pytest.mark.parametrize("path", sorted(ROOT.glob("engine/**/*.py")) + sorted(ROOT.glob("tui/**/*.py")))
def test_no_file_is_named_after_nothing(path: Path) -> None:
    assert path.stem not in {"util", "utils", "helper", "helpers", "common", "misc", "manager"}


@pytest.mark.parametrize("folder", ["panes", "screens", "widgets"])
def test_whatever_works_in_the_background_stops_before_it_is_taken_down(folder: str) -> None:
    classes = [
        node
        for path in (ROOT / "tui" / folder).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    working = {"Working"}
    for _ in classes:
        working |= {node.name for node in classes if working & {ast.unparse(base) for base in node.bases}}
    assert [node.name for node in classes if "@work" in ast.unparse(node) and node.name not in working] == []
