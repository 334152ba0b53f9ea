"""Steps per second of torchdeck's engine, headless and with the studio's train pane open, against a bare loop.

One process, one model, one data set in memory; the three take turns in short windows, so that other load on the
machine affects all of them alike. The studio is shown on a real pseudo-terminal, whose other end counts its bytes.

    uv run python benchmarks/training_speed.py [--preset NAME] [--tiny-modules] [--seconds 5] [--rounds 10]

With `--tiny-modules` the model has 60 modules with almost no work each, so that the overhead of a step shows most.

Prints the median over rounds of steps/s and of the ratios within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import signal
import statistics
import struct
import sys
import tempfile
import termios
import threading
import time
import traceback
from fcntl import ioctl
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from torchdeck.engine.bench.speed import Rounds, ratios, take_turns, warm_trainer
from torchdeck.engine.bench.speed_loops import BareLoop

if TYPE_CHECKING:
    from torchdeck.engine.config import RunConfig
    from torchdeck.tui.app import Studio

_IDLE_SECONDS = 10.0

_WARM_STEPS = 50

# Each layer is a Linear and a ReLU.
_TINY_WIDTH, _TINY_LAYERS = 16, 30


def main() -> int:
    """Measure behind a pseudo-terminal; the results come back through a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="fashion-mnist-mlp")
    parser.add_argument("--tiny-modules", action="store_true", help="a model of 60 tiny modules")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a window")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--size", default="160x48", help="columns x rows of the terminal")
    options = parser.parse_args()
    if options.tiny_modules:
        options.overrides[:0] = ["model.name=mlp", f"model.hidden={[_TINY_WIDTH] * _TINY_LAYERS}"]
    # So that the studio's process is ended with this one, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            status = 1
            try:
                status = measure(options, folder)
            finally:
                os._exit(status)
        columns, rows = map(int, options.size.split("x"))
        ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        try:
            screen = read_to_the_end(terminal, folder / "bytes")
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            raise
        _, status = os.waitpid(pid, 0)
        results = folder / "results.json"
        if not results.exists():
            failure = folder / "failure.txt"
            sys.stderr.write(failure.read_text() if failure.exists() else screen[-4000:].decode(errors="replace"))
            return os.waitstatus_to_exitcode(status) or 1
        report(json.loads(results.read_text(encoding="utf-8")), options)
    return 0


def read_to_the_end(terminal: int, counter: Path) -> bytes:
    """Take what the studio sends; keep its number of bytes in a file that the studio's side reads."""
    total, kept = 0, b""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            return kept
        if not data:
            return kept
        total += len(data)
        kept = (kept + data)[-20000:]
        counter.write_text(str(total), encoding="utf-8")


def measure(options: argparse.Namespace, folder: Path) -> int:
    """In the child: without a screen at first, then with the studio in the main thread and the windows in another."""
    from torchdeck.engine.config.file import load_config
    from torchdeck.tui.app import Studio
    from torchdeck.tui.process.terminal import Terminal

    overrides = ["training.epochs=100000", "training.device=cpu", *options.overrides]
    config = load_config(options.preset, overrides)
    with Terminal(folder / "studio.log") as terminal:
        results = {"alone": measure_without_screen(config, options, folder)}
        app = Studio(config, folder / "runs", terminal, spec=options.preset)
        windows = threading.Thread(target=measure_with_studio, args=(app, options, folder, results), daemon=True)
        windows.start()
        app.run()
        windows.join()
    return 0


def measure_without_screen(config: RunConfig, options: argparse.Namespace, folder: Path) -> Rounds:
    """The engine and the bare loop in a process that has not shown a screen yet."""
    from torchdeck.engine.launching.launch import launch

    run = launch(config, folder / "runs-alone")
    try:
        loops = [BareLoop(warm_trainer(run, _WARM_STEPS))]
        return take_turns(run, list(loops), ["bare", "headless"], options.seconds, options.rounds)
    finally:
        run.stop()
        run.join(30)


def measure_with_studio(app: Studio, options: argparse.Namespace, folder: Path, results: dict[str, object]) -> None:
    """The bare loop, the engine with another pane shown, and the engine with the live panel; then the idle studio."""
    from torchdeck.engine.launching.launched_run import LaunchedRun
    from torchdeck.tui.messages import StartRequested

    try:
        while not app.is_running:
            time.sleep(0.05)
        time.sleep(1.0)
        app.call_from_thread(app.post_message, StartRequested())
        while not isinstance(app.launched, LaunchedRun):
            time.sleep(0.05)

        def show(name: str) -> None:
            app.call_from_thread(cast(Any, app.action_show), "train" if name == "panel" else "log")
            time.sleep(0.3)

        loops = [BareLoop(warm_trainer(app.launched, _WARM_STEPS))]
        names = ["bare", "headless", "panel"]
        results["studio"] = take_turns(app.launched, list(loops), names, options.seconds, options.rounds, show)
        app.call_from_thread(cast(Any, app.action_show), "data")
        time.sleep(3.0)
        before = bytes_sent(folder)
        time.sleep(_IDLE_SECONDS)
        results["idle_bytes"] = bytes_sent(folder) - before
        (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    except BaseException:
        (folder / "failure.txt").write_text(traceback.format_exc(), encoding="utf-8")
    finally:
        if app.launched is not None:
            app.launched.stop()
            app.launched.join(30)
        app.call_from_thread(app.exit)


def bytes_sent(folder: Path) -> int:
    """Bytes that the studio has sent to its terminal."""
    return int((folder / "bytes").read_text(encoding="utf-8"))


def report(results: dict[str, Any], options: argparse.Namespace) -> None:
    """Print the medians."""
    print(f"{options.preset}, {options.rounds} rounds of {options.seconds:g} s, terminal {options.size}")
    for title, key in (("no screen in the process", "alone"), ("studio open", "studio")):
        rounds: Rounds = results[key]
        names = list(rounds[0])
        for index, unit in enumerate(("steps per second", "steps per CPU second of the training thread")):
            print(f"{title}: {unit}")
            for name in sorted(names):
                values = sorted(row[name][index] for row in rounds)
                print(f"  {name:<18} {statistics.median(values):8.1f}  (min {values[0]:.1f}, max {values[-1]:.1f})")
            for name, base in (("headless", "bare"), ("panel", "headless"), ("panel", "bare")):
                if name in names:
                    found = ratios(rounds, name, base, index)
                    text = f"{name} / {base}"
                    middle = statistics.median(found)
                    print(f"  {text:<18} {middle:8.3f}  (min {found[0]:.3f}, max {found[-1]:.3f})")
    print(f"idle: {results['idle_bytes']} bytes to the terminal in {_IDLE_SECONDS:g} s")


if __name__ == "__main__":
    sys.exit(main())
