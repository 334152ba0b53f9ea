"""Loading the user's own files: what they may import, what clashes with nothing, and what an error says."""

import multiprocessing
import pickle
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

import torchdeck.engine.config
from torchdeck.engine.errors import ConfigError, UserCodeError
from torchdeck.engine.user_code import (
    call_user_code,
    check_arguments,
    defined_names,
    forget_user_modules,
    is_user_spec,
    load_object,
)

WANTED = "a function that returns something"

FILES = {
    "model.py": """
        import engine
        import utils
        from pieces.inner import depth
        from torch import nn

        class Net(nn.Module):
            def __init__(self, width: int = 8, num_classes=10):
                super().__init__()
                self.layer = nn.Linear(width, num_classes)

            def forward(self, x):
                return self.layer(x) * depth()

        def make(width: int = 8, num_classes=10):
            return Net(width, num_classes)

        def who():
            import engine.config, late
            return engine.WHO, utils.WHO, depth(), engine.config.WHO, late.SCALE
        """,
    "engine/__init__.py": "WHO = 'the user'",
    "engine/config.py": "WHO = 'the config of the user'",
    "utils.py": "WHO = 'the utils of the user'",
    "late.py": "SCALE = 2.0",
    "pieces/__init__.py": "",
    "pieces/inner.py": """
        from . import level
        from .level import DEPTH
        def depth():
            return DEPTH + level.DEPTH
        """,
    "pieces/level.py": "DEPTH = 1",
    "data.py": """
        import utils
        from torch.utils.data import Dataset

        class Numbers(Dataset):
            def __len__(self):
                return 8

            def __getitem__(self, index):
                return index, utils.WHO
        """,
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text))
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write(tmp_path / "project", FILES)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    yield
    forget_user_modules()


@pytest.mark.parametrize(
    ("spec", "is_user"),
    [
        ("model.py:make", True),
        ("~/a b/model.py:Net.of", True),
        ("model.py", True),
        ("resnet18", False),
        ("mlp.pyx", False),
    ],
)
def test_a_spec_of_the_user_names_a_python_file(spec: str, is_user: bool) -> None:
    assert is_user_spec(spec) == is_user


def test_a_file_imports_its_siblings_even_those_named_like_ours(project: Path) -> None:
    who = load_object(f"{project}/model.py:who", WANTED)
    assert who() == ("the user", "the utils of the user", 2, "the config of the user", 2.0)


def test_loading_leaves_the_programs_own_modules_and_path_alone(project: Path) -> None:
    path, ours = list(sys.path), sys.modules["torchdeck"]
    load_object(f"{project}/model.py:who", WANTED)()
    assert sys.path == path
    assert sys.modules["torchdeck"] is ours
    assert "utils" not in sys.modules
    import torchdeck.engine.config as again

    assert again is torchdeck.engine.config


def test_loading_writes_nothing_beside_the_users_files(project: Path) -> None:
    load_object(f"{project}/model.py:who", WANTED)()
    assert not list(project.rglob("__pycache__"))


def test_a_file_gets_our_modules_by_our_name(tmp_path: Path) -> None:
    write(tmp_path, {"mine.py": "from torchdeck.engine.models.nets.builtin import mlp\n"})
    from torchdeck.engine.models.nets.builtin import mlp

    assert load_object(f"{tmp_path}/mine.py:mlp", WANTED) is mlp


def test_a_data_folder_does_not_hide_a_library(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "torch/readme.py": "",
            "json/x.py": "",
            "mine.py": "import json, torch\ndef f(): return torch.Tensor, json.dumps",
        },
    )
    import json

    assert load_object(f"{tmp_path}/mine.py:f", WANTED)() == (torch.Tensor, json.dumps)


def test_a_file_inside_a_package_uses_relative_imports(project: Path) -> None:
    assert load_object(f"{project}/pieces/inner.py:depth", WANTED)() == 2


def test_a_dotted_name_reaches_into_a_class(tmp_path: Path) -> None:
    write(tmp_path, {"mine.py": "class A:\n    @staticmethod\n    def make(): return 7\n"})
    assert load_object(f"{tmp_path}/mine.py:A.make", WANTED)() == 7


def test_two_projects_with_the_same_file_names_do_not_mix(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, {"mine.py": "import other\ndef f(): return other.X", "other.py": f"X = '{name}'"})
    assert [load_object(f"{tmp_path}/{name}/mine.py:f", WANTED)() for name in ("one", "two")] == ["one", "two"]


def test_a_changed_sibling_is_seen_by_the_next_load(project: Path) -> None:
    assert load_object(f"{project}/model.py:who", WANTED)()[1] == "the utils of the user"
    (project / "utils.py").write_text("WHO = 'the utils of the USER'\n")
    assert load_object(f"{project}/model.py:who", WANTED)()[1] == "the utils of the USER"


def test_an_unchanged_file_is_not_run_again(project: Path) -> None:
    assert load_object(f"{project}/model.py:Net", WANTED) is load_object(f"{project}/model.py:Net", WANTED)


def test_an_object_of_a_users_class_pickles(project: Path) -> None:
    made = load_object(f"{project}/model.py:make", WANTED)()
    assert type(pickle.loads(pickle.dumps(made))) is type(made)


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_users_data_set_reaches_worker_processes(project: Path, method: str) -> None:
    numbers = load_object(f"{project}/data.py:Numbers", WANTED)()
    loader = DataLoader(
        numbers, batch_size=4, num_workers=1, multiprocessing_context=multiprocessing.get_context(method)
    )
    assert [(batch[0].tolist(), set(batch[1])) for batch in loader] == [
        ([0, 1, 2, 3], {"the utils of the user"}),
        ([4, 5, 6, 7], {"the utils of the user"}),
    ]


def test_a_users_model_compiles_whole(project: Path) -> None:
    model = load_object(f"{project}/model.py:make", WANTED)()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    inputs = torch.ones(2, 8)
    assert torch.equal(compiled(inputs), model(inputs))


def test_a_missing_file_names_the_nearest(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file: .*modle\.py; did you mean 'model\.py'\?"):
        load_object(f"{project}/modle.py:make", WANTED)


def test_a_missing_name_names_the_nearest(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.py defines no 'mak'; did you mean 'make'\?"):
        load_object(f"{project}/model.py:mak", WANTED)


def test_a_file_without_a_name_says_what_it_defines(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"add a name, .*it defines Net, make, who"):
        load_object(f"{project}/model.py", WANTED)


def test_what_can_not_be_called_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"mine.py": "X = 3"})
    with pytest.raises(ConfigError, match="'X' is a int; expected a function"):
        load_object(f"{tmp_path}/mine.py:X", WANTED)


def test_a_syntax_error_gives_the_line(tmp_path: Path) -> None:
    write(tmp_path, {"mine.py": "import broken", "broken.py": "a = 1\ndef f(:\n    pass\n"})
    with pytest.raises(UserCodeError, match=r"broken\.py:2: SyntaxError: .*\n    def f\(:"):
        load_object(f"{tmp_path}/mine.py:f", WANTED)


def test_an_error_at_import_shows_the_users_frames_and_no_others(tmp_path: Path) -> None:
    write(tmp_path, {"mine.py": "import other\n", "other.py": "import torch\n\ntorch.zeros(2).view(3)\n"})
    with pytest.raises(UserCodeError) as caught:
        load_object(f"{tmp_path}/mine.py:f", WANTED)
    text = str(caught.value)
    assert "shape '[3]' is invalid" in text
    assert f'File "{tmp_path}/mine.py", line 1' in text
    assert f'File "{tmp_path}/other.py", line 3' in text
    assert text.count("File ") == 2


def test_a_file_that_failed_is_tried_again(tmp_path: Path) -> None:
    write(tmp_path, {"mine.py": "import other\ndef f(): return other.X", "other.py": "X = 1 / 0"})
    with pytest.raises(UserCodeError, match="ZeroDivisionError"):
        load_object(f"{tmp_path}/mine.py:f", WANTED)
    (tmp_path / "other.py").write_text("X = 1")
    assert load_object(f"{tmp_path}/mine.py:f", WANTED)() == 1


def test_a_missing_dependency_is_named_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, {"mine.py": "\nimport no_such_library\n"})
    with pytest.raises(UserCodeError, match=r"(?s)No module named 'no_such_library'.*line 2"):
        load_object(f"{tmp_path}/mine.py:f", WANTED)


def test_a_file_that_exits_does_not_take_us_along(tmp_path: Path) -> None:
    write(tmp_path, {"mine.py": "import sys\nsys.exit(3)\n"})
    with pytest.raises(UserCodeError, match="SystemExit: 3"):
        load_object(f"{tmp_path}/mine.py:f", WANTED)


def test_what_a_call_raises_shows_the_users_frames(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"mine.py": "def f(width):\n    return g(width)\ndef g(width):\n    raise ValueError(f'bad {width}')\n"},
    )
    function = load_object(f"{tmp_path}/mine.py:f", WANTED)
    with pytest.raises(UserCodeError) as caught:
        call_user_code(function, {"width": 3}, "mine.py:f")
    text = str(caught.value)
    assert text.startswith("mine.py:f: ValueError: bad 3\n")
    assert text.count("File ") == 2
    assert "line 4, in g" in text


def test_an_unknown_argument_names_the_nearest_and_what_is_taken(project: Path) -> None:
    make = load_object(f"{project}/model.py:make", WANTED)
    with pytest.raises(ConfigError) as caught:
        check_arguments(make, {"widht": 3}, "model")
    assert str(caught.value) == (
        "model: unknown argument 'widht'; did you mean 'width'? it accepts (width: int = 8, num_classes=10)"
    )


def test_a_missing_argument_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"mine.py": "from __future__ import annotations\ndef f(a: int, b: str = 'x'): pass"})
    with pytest.raises(ConfigError, match=r"missing a required argument: 'a'; it accepts \(a: int, b: str = 'x'\)"):
        check_arguments(load_object(f"{tmp_path}/mine.py:f", WANTED), {}, "data.arguments")


def test_fitting_arguments_pass(project: Path) -> None:
    check_arguments(load_object(f"{project}/model.py:Net", WANTED), {"width": 3}, "model")


def test_names_are_listed_without_running_the_file(tmp_path: Path) -> None:
    write(tmp_path, {"mine.py": "raise RuntimeError\nclass A: pass\ndef b(): pass\ndef _hidden(): pass\n"})
    assert defined_names(tmp_path / "mine.py") == ["A", "b"]
