"""The pictures of README and docs: the real studio on real runs.

    uv run python docs/make_pictures.py [NAME …]

Trains a few short runs of the digits preset in a temporary folder, opens the studio on them, presses keys, and writes
`docs/images/NAME.svg`. The recording in the README is `tour.svg`: its frames are such pictures, shown in turn by CSS.
`tests/test_pictures.py` says which pictures no longer show the panels and keys that the studio has.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from textual.pilot import Pilot

from torchdeck.engine.config.file import load_config
from torchdeck.engine.launching.launch import launch
from torchdeck.tui.app import Studio
from torchdeck.tui.messages import WatchRequested

IMAGES = Path(__file__).resolve().parent / "images"
_SECONDS_A_FRAME = 2.6
_RUNS = (
    ("digits-cnn", ("optimizer.lr=0.05", "training.probe_every=4")),
    ("digits-slow", ("optimizer.lr=0.004",)),
    ("digits-mlp", ("model.name=mlp", "optimizer.lr=0.02")),
    ("digits-smooth", ("loss.label_smoothing=0.1",)),
)


_SWEEP = """
name = "search"
[data]
dataset = "digits"
validation = 0.2
[model]
name = "mlp"
[optimizer]
name = "AdamW"
lr = 3e-3
[loader]
batch_size = 256
[training]
epochs = 6
[sweep]
trials = 12
epochs = 2
[sweep.space]
"optimizer.lr" = { low = 1e-4, high = 1e-1, log = true }
"optimizer.weight_decay" = { low = 0.0, high = 0.1 }
"loader.batch_size" = [64, 128, 256]
"model.dropout" = { low = 0.0, high = 0.5 }
"""


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        keys: keys that lead to it, from the first pane on; "…" waits for what a pane reads.
        size: columns and lines.
        theme: theme of the studio.
        watches: whether a run is watched before the keys are pressed.
        shows: text that is on the screen when all has been read.
    """

    keys: tuple[str, ...]
    size: tuple[int, int] = (120, 40)
    theme: str = "torchdeck"
    watches: bool = True
    shows: str = ""


PICTURES = {
    "studio": Picture(("4",), (160, 48)),
    "data": Picture(("1",), shows="✓ balanced"),
    "model": Picture(("2", "…", "end"), shows="gradients at step"),
    "setup": Picture(("3", "…", "down", "down", "down", "down", "down"), shows="ready to start"),
    "train": Picture(("4",)),
    "runs": Picture(("5", "…", "space", "space", "space", "space", "up"), (160, 48), shows="digits-mlp"),
    "sweeps": Picture(("6", "…", "down"), shows="PED-ANOVA"),
    "log": Picture(("7",)),
    "palette": Picture(("4", "colon"), shows="Start the draft"),
    "light": Picture(("4",), theme="torchdeck-light"),
}
TOUR = ("data", "model", "setup", "train", "log")
"""Pictures of the recording, in their order, all of one size."""


def train_runs(folder: Path) -> list[Path]:
    """Train the runs that the pictures show."""
    paths = []
    for name, overrides in _RUNS:
        run = launch(load_config("digits", [f"name={name}", "training.epochs=12", *overrides]), folder)
        run.join()
        assert run.path is not None, run.error
        paths.append(run.path)
    return paths


def search(folder: Path) -> None:
    """A sweep of short runs, worked on to its end."""
    file = folder / "search.toml"
    file.write_text(_SWEEP, encoding="utf-8")
    command = [sys.executable, "-P", "-m", "torchdeck", "sweep", str(file), "--runs", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


async def take(picture: Picture, runs: Path, watched: Path) -> str:
    """Open the studio, press the keys, and return what it shows as SVG."""
    app = Studio(load_config("digits", []), runs, spec="digits")
    async with app.run_test(size=picture.size) as pilot:
        app.theme = picture.theme
        if picture.watches:
            app.post_message(WatchRequested(watched))
        await settle(pilot, 4.0)
        for key in picture.keys:
            if key == "…":
                await settle(pilot, 6.0)
            else:
                await pilot.press(key)
                await settle(pilot, 0.4)
        await until_shown(pilot, picture.shows)
        await settle(pilot, 3.0)
        app.clear_notifications()
        await pilot.pause()
        return app.export_screenshot(title="torchdeck")


async def settle(pilot: Pilot[None], seconds: float) -> None:
    """Wait until the panes have read what they show."""
    for _ in range(int(seconds / 0.2)):
        await pilot.pause(0.2)


async def until_shown(pilot: Pilot[None], text: str) -> None:
    """Wait until a text is on the screen. Raises TimeoutError after two minutes."""
    async with asyncio.timeout(120):
        while text not in on_screen(pilot):
            await pilot.pause(0.2)


def on_screen(pilot: Pilot[None]) -> str:
    """The text on the screen."""
    strips = pilot.app.screen._compositor.render_strips(pilot.app.size)
    return "\n".join(strip.text for strip in strips)


def recording(frames: list[str]) -> str:
    """Show pictures in turn: one SVG whose groups are visible one after the other."""
    head = re.match(r"<svg[^>]*>", frames[0])
    assert head is not None
    count, share = len(frames), 100 / len(frames)
    style = (
        f".frame {{ opacity: 0; animation: frame {count * _SECONDS_A_FRAME:.1f}s step-end infinite; }}\n"
        f"@keyframes frame {{ 0% {{ opacity: 1; }} {share:.3f}% {{ opacity: 0; }} }}"
    )
    groups = []
    for number, frame in enumerate(frames):
        inside = frame[frame.index(">") + 1 : frame.rindex("</svg>")]
        # Every frame has its own names for styles and clips.
        inside = re.sub(r"terminal-\d+", f"terminal-{number}", inside)
        groups.append(f'<g class="frame" style="animation-delay: {number * _SECONDS_A_FRAME:.1f}s">{inside}</g>')
    return f"{head[0]}<style>{style}</style>{''.join(groups)}</svg>"


async def main(names: list[str]) -> None:
    """Make the named pictures, or all of them and the recording."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        # The pictures name no folder of this machine.
        os.chdir(folder)
        runs = Path("runs")
        paths = await asyncio.to_thread(train_runs, runs)
        if not names or "sweeps" in names:
            await asyncio.to_thread(search, runs)
        for name in names or PICTURES:
            svg = await take(PICTURES[name], runs, paths[0])
            (IMAGES / f"{name}.svg").write_text(svg, encoding="utf-8")
            print(f"{name}.svg")
    frames = [(IMAGES / f"{name}.svg").read_text(encoding="utf-8") for name in TOUR]
    (IMAGES / "tour.svg").write_text(recording(frames), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
