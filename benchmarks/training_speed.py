"""Steps a second of torchdeck's engine, headless and with the studio's live panel open, beside a bare loop.

One process, one model, one data set in memory; the three take turns in short windows, so that what else the machine
does falls on all of them alike. The studio is shown on a real pseudo-terminal, whose other end counts its bytes.

    uv run python benchmarks/training_speed.py [--preset fashion-mnist-mlp] [--seconds 5] [--rounds 10]

Prints the median over rounds of steps/s and of the ratios within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import statistics
import struct
import sys
import tempfile
import termios
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fcntl import ioctl
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.config import RunConfig
    from engine.data.storage import ImageStore
    from engine.launch import LaunchedRun
    from engine.training.trainer import Trainer
    from tui.app import Studio

_IDLE_SECONDS = 10.0

# One dict a round: steps a second by the clock and by the training thread's CPU time, by what was running.
Rounds = list[dict[str, tuple[float, float]]]


def main() -> int:
    """Measure behind a pseudo-terminal; the results come back through a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="fashion-mnist-mlp")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a window")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--size", default="160x48", help="columns x rows of the terminal")
    options = parser.parse_args()
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
        screen = read_to_the_end(terminal, folder / "bytes")
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
    from engine.config_file import load_config
    from tui.app import Studio
    from tui.terminal import Terminal

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
    from engine.launch import launch

    run = launch(config, folder / "runs-alone")
    try:
        return take_turns(run, options, ["bare", "headless"], lambda name: None)
    finally:
        run.stop()
        run.join(30)


def measure_with_studio(app: Studio, options: argparse.Namespace, folder: Path, results: dict[str, object]) -> None:
    """The bare loop, the engine with another pane shown, and the engine with the live panel; then the idle studio."""
    try:
        while not app.is_running:
            time.sleep(0.05)
        time.sleep(1.0)
        app.call_from_thread(app.action_start)
        while app.launched is None:
            time.sleep(0.05)

        def show(name: str) -> None:
            app.call_from_thread(app.action_show, "train" if name == "panel" else "log")
            time.sleep(0.3)

        results["studio"] = take_turns(app.launched, options, ["bare", "headless", "panel"], show)
        app.call_from_thread(app.action_show, "data")
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


def take_turns(run: LaunchedRun, options: argparse.Namespace, names: list[str], show: Callable[[str], None]) -> Rounds:
    """Rounds of one window each; the order changes from round to round. The run stands paused in between."""
    path = run.wait_for_directory()
    assert path is not None, run.error
    while (trainer := run.trainer) is None or trainer.state.position.step < 50:
        time.sleep(0.05)
    pause_trainer(run)
    bare = BareLoop(trainer)
    bare.start()
    engine = next(thread.ident for thread in threading.enumerate() if thread.name == "engine")
    rounds: Rounds = []
    for number in range(options.rounds):
        row = {}
        first = number % len(names)
        for name in names[first:] + names[:first]:
            show(name)
            if name == "bare":
                row[name] = window(options.seconds, bare.running, lambda: bare.steps, bare.ident)
            else:
                row[name] = window(
                    options.seconds, lambda: engine_running(run), lambda: trainer.state.position.step, engine
                )
        rounds.append(row)
    bare.stop()
    return rounds


def bytes_sent(folder: Path) -> int:
    """How much the studio has sent to its terminal."""
    return int((folder / "bytes").read_text(encoding="utf-8"))


def window(
    seconds: float, running: Callable[[], AbstractContextManager[None]], steps: Callable[[], int], thread: int | None
) -> tuple[float, float]:
    """Steps a second of the clock, and a second of the thread's CPU time, while `running` is entered."""
    assert thread is not None
    cpu = time.pthread_getcpuclockid(thread)
    with running():
        time.sleep(0.3)
        first, began, cpu_began = steps(), time.perf_counter(), time.clock_gettime(cpu)
        time.sleep(seconds)
        done = steps() - first
        return done / (time.perf_counter() - began), done / (time.clock_gettime(cpu) - cpu_began)


@contextmanager
def engine_running(run: LaunchedRun) -> Iterator[None]:
    """Let the paused engine train for a while."""
    run.control.submit({"cmd": "resume"})
    try:
        yield
    finally:
        pause_trainer(run)


def pause_trainer(run: LaunchedRun) -> None:
    """Pause the engine and wait until it stands."""
    trainer = run.trainer
    assert trainer is not None
    run.control.submit({"cmd": "pause"})
    before = -1
    while trainer.state.position.step != before:
        before = trainer.state.position.step
        time.sleep(0.2)


def decoded_stores(config: RunConfig) -> tuple[ImageStore, ImageStore]:
    """Both splits as the uint8 tensors that the engine works on as well."""
    from engine.data.sources import open_sources
    from engine.data.storage import DecodedSplit

    sources = open_sources(config.data, config.seed)
    train, validation = (DecodedSplit(split).decode(lambda *_: None) for split in (sources.train, sources.validation))
    return train, validation


class BareLoop(threading.Thread):
    """The loop one would write by hand, on a copy of the same model and on the same tensors."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__(daemon=True)
        import copy

        self._model = copy.deepcopy(trainer.model)
        self._config = trainer.config
        self._train, self._test = decoded_stores(self._config)
        self._gate = threading.Event()
        self._is_over = False
        self._stands = threading.Event()
        self.steps = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the loop run for a while."""
        self._stands.clear()
        self._gate.set()
        try:
            yield
        finally:
            self._gate.clear()
            self._stands.wait()

    def stop(self) -> None:
        """End the thread."""
        self._is_over = True
        self._gate.set()

    def run(self) -> None:
        """Epochs of steps, each with a test at its end, nothing else."""
        import torch
        from torch.nn import functional

        optimizer = torch.optim.SGD(self._model.parameters(), lr=self._config.optimizer.lr, fused=True)
        images, targets = self._train.images, self._train.targets
        batch_size = self._config.loader.batch_size
        model = self._model.train()
        while not self._is_over:
            order = torch.randperm(len(images))
            for start in range(0, len(images), batch_size):
                if not self._gate.is_set():
                    self._stands.set()
                    self._gate.wait()
                    if self._is_over:
                        return
                index = order[start : start + batch_size]
                loss = functional.cross_entropy(model(images[index].float().div_(255)), targets[index])
                loss.backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                self.steps += 1
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


def report(results: dict[str, Any], options: argparse.Namespace) -> None:
    """Print the medians."""
    print(f"{options.preset}, {options.rounds} rounds of {options.seconds:g} s, terminal {options.size}")
    for title, key in (("no screen in the process", "alone"), ("studio open", "studio")):
        rounds: Rounds = results[key]
        names = list(rounds[0])
        for index, unit in enumerate(("steps a second", "steps a CPU second of the training thread")):
            print(f"{title}: {unit}")
            for name in sorted(names):
                values = sorted(row[name][index] for row in rounds)
                print(f"  {name:<18} {statistics.median(values):8.1f}  (min {values[0]:.1f}, max {values[-1]:.1f})")
            for name, base in (("headless", "bare"), ("panel", "headless"), ("panel", "bare")):
                if name in names:
                    ratios = sorted(row[name][index] / row[base][index] for row in rounds)
                    text = f"{name} / {base}"
                    middle = statistics.median(ratios)
                    print(f"  {text:<18} {middle:8.3f}  (min {ratios[0]:.3f}, max {ratios[-1]:.3f})")
    print(f"idle: {results['idle_bytes']} bytes to the terminal in {_IDLE_SECONDS:g} s")


if __name__ == "__main__":
    sys.exit(main())
