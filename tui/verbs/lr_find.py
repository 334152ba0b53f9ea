"""`torchdeck lr-find`: the learning-rate range test for a preset or a file, without a screen."""

from __future__ import annotations

from dataclasses import asdict

import click

from torchdeck.engine.config.file import load_config
from torchdeck.engine.errors import RunError
from torchdeck.engine.machine.torch_import import require_torch

from ..process.private_output import PrivateOutput
from ..process.stop_signals import StopSignals
from ..words.figures import figure
from .completing import configs
from .options import json_option, set_option
from .output import print_json


@click.command(name="lr-find")
@click.argument("spec", metavar="PRESET|FILE.toml", shell_complete=configs)
@set_option
@click.option("--from", "lowest", type=float, default=1e-7, show_default=True, help="Learning rate of the first step.")
@click.option("--to", "highest", type=float, default=10.0, show_default=True, help="Learning rate of the last step.")
@click.option("--steps", type=int, default=100, show_default=True, help="Number of steps.")
@json_option
def lr_find(spec: str, overrides: tuple[str, ...], lowest: float, highest: float, steps: int, as_json: bool) -> int:
    """Train fresh weights for some steps with a growing learning rate, and suggest one. Writes nothing."""
    config = load_config(spec, overrides)
    signals = StopSignals()
    with PrivateOutput() as output:
        require_torch("lr-find")
        from torchdeck.engine.preflight.lr_range import find_learning_rate

        is_live = output.stderr.isatty() and not as_json

        def progress(message: str, done: int, total: int) -> None:
            if signals.received:
                raise RunError(f"ended by {signals.name}; nothing was written")
            if is_live:
                print(f"\r\x1b[K{message} {done}/{total}", end="", file=output.stderr, flush=True)

        try:
            found = find_learning_rate(config, progress=progress, lowest=lowest, highest=highest, steps=steps)
        except RunError as error:
            if not signals.received:
                raise
            print(f"torchdeck: {error}", file=output.stderr)
            return signals.exit_status
        if is_live:
            print("\r\x1b[K", end="", file=output.stderr)
        if as_json:
            print_json(asdict(found), output.stdout)
            return 0
        print("learning rate        loss", file=output.stdout)
        shown = max(1, len(found.losses) // 20)
        for rate, loss in list(zip(found.learning_rates, found.losses, strict=True))[::shown]:
            print(f"{rate:13.1e}  {figure(loss):>10}", file=output.stdout)
        end_of_test = "the loss diverged there" if found.diverged else "the loss did not diverge"
        print(end_of_test, file=output.stdout)
        if found.suggested == found.suggested:
            rate_text = f"{found.suggested:.1e}"
            print(f"suggested: --set optimizer.lr={rate_text}", file=output.stdout)
        else:
            print("no suggestion: the loss never fell", file=output.stdout)
    return 0
