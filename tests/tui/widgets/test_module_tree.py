"""The module tree: aligned columns, lazy children, search."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult

from torchdeck.tui.look.themes import meanings_for
from torchdeck.tui.widgets.modules.module_outline import Outline
from torchdeck.tui.widgets.modules.module_tree import ModuleHeat, ModuleTree, ModuleTreeRow

ROWS = [
    ModuleTreeRow("", "ResNet", 11_181_642, 5130, "1×10"),
    ModuleTreeRow("conv1", "Conv2d", 1728, 0, "1×64×32×32", "3, 64, kernel_size=(3, 3)"),
    ModuleTreeRow("relu", "ReLU", 0, 0, "1×64×32×32"),
    ModuleTreeRow("layer1", "Sequential", 11_174_784, 0, "1×512×4×4"),
    ModuleTreeRow("layer1.0", "BasicBlock", 73_984, 0),
    ModuleTreeRow("layer1.0.conv1", "Conv2d", 36_864, 0),
    ModuleTreeRow("layer1.0.bn1", "BatchNorm2d", 128, 64),
    ModuleTreeRow("layer1.1", "BasicBlock", 73_984, 0),
    ModuleTreeRow("fc", "Linear", 5130, 5130, "1×10"),
]


class TreeApp(App[None]):
    def get_theme_variable_defaults(self) -> dict[str, str]:
        return meanings_for(self.current_theme)

    def __init__(self) -> None:
        super().__init__()
        self.highlighted: list[str] = []

    def compose(self) -> ComposeResult:
        yield ModuleTree()

    def on_mount(self) -> None:
        self.modules.show_modules(ROWS, "resnet18")

    def on_module_tree_highlighted(self, message: ModuleTree.Highlighted) -> None:
        self.highlighted.append(message.row.path)

    @property
    def modules(self) -> ModuleTree:
        return self.query_one(ModuleTree)


def names(lines: list[str]) -> list[str]:
    return [line.lstrip("│├└─▼▶ ").split()[0] for line in lines[1:] if line]


@pytest.mark.parametrize("width", [60, 80, 119, 120, 200])
async def test_columns_are_aligned_under_their_titles(lines_of, width: int) -> None:
    app = TreeApp()
    async with app.run_test(size=(width, 24)) as pilot:
        await pilot.press("asterisk")
        await pilot.pause()
        header, *lines = [line for line in lines_of(app) if line]
        assert len(lines) == len(ROWS)
        kind, params = header.index("type"), header.index("params") + len("params")
        for line, row in zip(lines, [ROWS[0], *ROWS[1:]], strict=True):
            assert line[kind:].startswith(row.type[:10])
            assert line[:params].endswith(f" {row.params:,}" if row.params else " –")
            assert cell_len(line) <= width
        if width >= 80:
            output = header.index("output")
            assert lines[0][output:].startswith("10")
            assert lines[1][output:].startswith("64×32×32")


async def test_shares_are_bars_and_marks_tell_what_is_trained(lines_of) -> None:
    app = TreeApp()
    async with app.run_test(size=(200, 24)) as pilot:
        await pilot.press("asterisk")
        await pilot.pause()
        lines = lines_of(app)
        assert "  ◐  ━━" in lines[1]
        assert "  ❄  ━━" in lines[4]
        assert "  ✓  ━━" in lines[9]
        assert "━" not in lines[3]
        assert "3, 64, kernel_size" in lines[2]


async def test_children_are_seen_when_their_parent_is_opened(lines_of) -> None:
    app = TreeApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert names(lines_of(app)) == ["resnet18", "conv1", "relu", "layer1", "fc"]
        await pilot.press("down", "down", "down", "enter")
        await pilot.pause()
        assert names(lines_of(app)) == ["resnet18", "conv1", "relu", "layer1", "0", "1", "fc"]
        await pilot.press("enter")
        await pilot.pause()
        assert names(lines_of(app)) == ["resnet18", "conv1", "relu", "layer1", "fc"]


async def test_levels_are_opened_and_closed_everywhere(lines_of) -> None:
    app = TreeApp()
    async with app.run_test(size=(80, 24)) as pilot:
        counts = []
        for key in ("plus", "plus", "plus", "minus", "minus", "minus", "minus", "asterisk"):
            await pilot.press(key)
            await pilot.pause()
            counts.append(len(names(lines_of(app))))
        assert counts == [7, 9, 9, 7, 5, 1, 1, 9]


async def test_search_opens_what_is_above_and_goes_round(lines_of) -> None:
    app = TreeApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("slash", *"CONV", "enter")
        await pilot.pause()
        assert app.modules.current_row == ROWS[1]
        assert "(2 found)" in lines_of(app)[0]
        await pilot.press("n")
        await pilot.pause()
        assert app.modules.current_row == ROWS[5]
        await pilot.press("n")
        await pilot.pause()
        assert app.modules.current_row == ROWS[1]
        await pilot.press("N")
        await pilot.pause()
        assert app.modules.current_row == ROWS[5]
        await pilot.press("escape")
        await pilot.pause()
        assert "found" not in lines_of(app)[0]
        assert app.focused is app.modules


async def test_what_is_not_there_is_not_revealed() -> None:
    app = TreeApp()
    async with app.run_test() as pilot:
        await pilot.pause()
        assert app.modules.reveal("layer1.0.bn1")
        assert not app.modules.reveal("layer1.7")
        assert app.modules.reveal("")


async def test_tells_where_the_cursor_is() -> None:
    app = TreeApp()
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press("down", "down")
        assert app.highlighted[-3:] == ["", "conv1", "relu"]
        assert app.modules.current_row == ROWS[2]


async def test_another_model_replaces_the_tree(lines_of) -> None:
    app = TreeApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("asterisk")
        app.modules.show_modules([ModuleTreeRow("", "MLP", 10, 10), ModuleTreeRow("0", "Linear", 10, 10)], "mlp")
        await pilot.pause()
        assert names(lines_of(app)) == ["mlp", "0"]
        app.modules.show_modules([])
        await pilot.pause()
        assert app.modules.current_row is None


async def test_foreign_names_are_text(lines_of) -> None:
    app = TreeApp()
    async with app.run_test(size=(80, 24)) as pilot:
        rows = [ModuleTreeRow("", "[b]Evil\x1b", 1, 1, "\x07"), ModuleTreeRow("[red]a\x9b", "東京" * 30, 1, 1)]
        app.modules.show_modules(rows, "[link=x]y\x1b")
        await pilot.pause()
        text = "\n".join(lines_of(app))
        assert r"[link=x]y\x1b" in text
        assert r"[b]Evil\x1b" in text
        assert r"[red]a\x9b" in text
        assert all(cell_len(line) <= 80 for line in lines_of(app))


async def test_a_deep_tree_of_thousands_of_modules(lines_of) -> None:
    rows = [ModuleTreeRow("", "Net", 5000, 5000)]
    path = ""
    for depth in range(40):
        path = f"{path}.{depth}".strip(".")
        rows.append(ModuleTreeRow(path, "Block", 100, 100))
        rows += [ModuleTreeRow(f"{path}.leaf{index}", "Linear", 1, 1) for index in range(100)]
    app = TreeApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.modules.show_modules(rows, "deep")
        await pilot.pause()
        await pilot.press("asterisk")
        await pilot.pause()
        assert app.modules.reveal(rows[-1].path)
        await pilot.pause()
        assert app.modules.current_row == rows[-1]
        assert all(cell_len(line) <= 80 for line in lines_of(app))


async def test_only_the_lines_that_are_seen_are_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        ModuleTreeRow("", "Net", 5000, 5000),
        *(ModuleTreeRow(f"m{n}", "Linear", 1, 1, own=1) for n in range(5000)),
    ]
    rendered: list[int] = []
    original = ModuleTree._line
    monkeypatch.setattr(
        ModuleTree, "_line", lambda tree, number, width: (rendered.append(number), original(tree, number, width))[1]
    )
    app = TreeApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.modules.show_modules(rows, "flat")
        await pilot.pause()
        rendered.clear()
        await pilot.press("pagedown")
        await pilot.pause()
        assert 0 < len(rendered) <= 3 * 24
        rendered.clear()
        await pilot.press("end")
        await pilot.pause()
        assert app.modules.current_row == rows[-1]
        assert max(rendered) == 5000
        assert len(rendered) <= 3 * 24


def block(path: str, params: int, note: str = "") -> list[ModuleTreeRow]:
    return [
        ModuleTreeRow(path, "Block", params, params),
        ModuleTreeRow(f"{path}.fc", "Linear", params, params, note=note, own=params, flops=2 * params),
    ]


REPEATED = [
    ModuleTreeRow("", "Net", 460, 460),
    ModuleTreeRow("blocks", "Sequential", 400, 400),
    *(row for number in range(4) for row in block(f"blocks.{number}", 100)),
    *block("wide", 50, "50, 1"),
    ModuleTreeRow("head", "Linear", 10, 10, own=10, flops=900),
]


async def test_repeated_blocks_are_one_line_until_one_of_them_is_looked_for(lines_of) -> None:
    app = TreeApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.modules.show_modules(REPEATED, "net", depth=2)
        app.modules.action_fold_repeats()
        await pilot.pause()
        assert names(lines_of(app)) == ["net", "blocks", "0…3", "wide", "fc", "head"]
        assert "×4" in lines_of(app)[3]
        assert app.modules.reveal("blocks.2.fc")
        await pilot.pause()
        assert names(lines_of(app)) == ["net", "blocks", "0", "1", "2", "fc", "3", "wide", "fc", "head"]
        app.modules.action_fold_repeats()
        app.modules.action_fold_repeats()
        await pilot.pause()
        assert "×4" in lines_of(app)[3]


async def test_siblings_are_sorted_by_a_number(lines_of) -> None:
    app = TreeApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.modules.show_modules([REPEATED[0], REPEATED[-1], *REPEATED[1:-1]], "net")
        await pilot.pause()
        assert names(lines_of(app)) == ["net", "head", "blocks", "wide"]
        await pilot.press("s")
        await pilot.pause()
        assert names(lines_of(app)) == ["net", "blocks", "wide", "head"]
        assert "by parameters" in lines_of(app)[0]
        await pilot.press("s")
        await pilot.pause()
        assert names(lines_of(app)) == ["net", "head", "blocks", "wide"]


async def test_the_biggest_is_found_and_its_path_copied() -> None:
    app = TreeApp()
    async with app.run_test() as pilot:
        app.modules.show_modules(REPEATED, "net")
        app.modules.action_biggest()
        app.modules.action_biggest()
        await pilot.press("y")
        await pilot.pause()
        assert app.modules.current_row is not None
        assert app.modules.current_row.path == "blocks.1.fc"
        assert app.clipboard == "blocks.1.fc"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("BATCH", ["layer1.0.bn1"]),
        ("layer?.*.conv1", ["layer1.0.conv1"]),
        ("*conv1", ["conv1", "layer1.0.conv1"]),
        ("l10bn", ["layer1.0.bn1"]),
        ("zz", []),
    ],
)
def test_what_is_searched_for_is_a_part_a_pattern_or_letters_in_order(typed: str, expected: list[str]) -> None:
    outline = Outline(ROWS)
    assert [outline.rows[index].path for index in outline.search(typed)] == expected


async def test_left_and_right_close_and_open(lines_of) -> None:
    app = TreeApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("down", "down", "down", "right", "right", "right")
        await pilot.pause()
        assert names(lines_of(app)) == ["resnet18", "conv1", "relu", "layer1", "0", "conv1", "bn1", "1", "fc"]
        assert app.modules.current_row == ROWS[4]
        await pilot.press("left", "left", "left")
        await pilot.pause()
        assert names(lines_of(app)) == ["resnet18", "conv1", "relu", "layer1", "fc"]


async def test_every_view_has_its_columns_and_the_gradients_only_with_a_run(lines_of) -> None:
    app = TreeApp()
    async with app.run_test(size=(100, 24)) as pilot:
        rows = [
            ModuleTreeRow("", "Net", 9_999_999, 9, flops=4_000_000, calls=1, mode="train"),
            ModuleTreeRow("bn", "BatchNorm2d", 6, 0, own=6, dtype="float32", buffers=7, calls=0, mode="eval"),
        ]
        app.modules.show_modules(rows, "net")
        titles = []
        for _ in range(3):
            await pilot.pause()
            titles.append(lines_of(app)[0].split()[1:])
            app.modules.next_columns(1)
        assert titles == [
            ["type", "params", "t", "of", "all", "output", "FLOPs", "arguments"],
            ["own", "total", "trained", "frozen", "of", "all", "buffers", "dtype"],
            ["calls", "FLOPs", "of", "all", "mode", "output", "type"],
        ]
        app.modules.set_heat({"": ModuleHeat(2.0, 1e-3), "bn": ModuleHeat(math.nan, 0.0)})
        for _ in range(3):
            app.modules.next_columns(1)
        await pilot.pause()
        header, net, bn = lines_of(app)[:3]
        assert header.split()[1:] == ["gradient", "heat", "update", "params", "type"]
        assert "2.0e+00" in net
        assert "1.0e-03" in net
        assert "✗ nan" in bn


async def test_the_same_model_keeps_its_place(lines_of) -> None:
    app = TreeApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.modules.reveal("layer1.0.bn1")
        frozen = [replace(row, trainable=0) for row in ROWS]
        app.modules.show_modules(frozen, "resnet18", keeps_place=True)
        await pilot.pause()
        assert app.modules.current_row == frozen[6]
        assert "bn1" in names(lines_of(app))
