"""The command `torchdeck`: without a verb it opens the studio, with one it works without a screen.

Starts in milliseconds: the studio's small parent process is forked before anything else is imported, and a verb's
module is imported when the verb is used.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.parent import Parent

# verb -> (module, name of the click command in it, one line of help)
VERBS = {
    "train": ("tui.verbs.train", "train", "Train a preset or a TOML file, without the studio."),
    "resume": ("tui.verbs.train", "resume", "Go on with a run, exactly where it was."),
    "fork": ("tui.verbs.train", "fork", "A new run from the state or the weights of another, with changed settings."),
    "attach": ("tui.verbs.attach", "attach", "The studio on a run that lives in another process."),
    "runs": ("tui.verbs.runs", "runs", "All runs."),
    "show": ("tui.verbs.runs", "show", "One run: config, state, metrics, checkpoints."),
    "metrics": ("tui.verbs.metrics", "metrics", "A run's metrics as CSV, JSON or TensorBoard event files."),
    "send": ("tui.verbs.runs", "send", "Send a command to a live run."),
    "pin": ("tui.verbs.keeping", "pin", "Keep a checkpoint whatever its run saves later."),
    "unpin": ("tui.verbs.keeping", "unpin", "Leave a checkpoint to its run's own rules again."),
    "rename": ("tui.verbs.keeping", "rename", "Give a run another name."),
    "delete": ("tui.verbs.keeping", "delete", "Delete a run or a checkpoint."),
    "model": ("tui.verbs.model", "model", "The module tree of a model, with parameter counts."),
    "checkpoint": ("tui.verbs.checkpoint", "checkpoint", "What is inside a checkpoint, without loading it."),
    "evaluate": (
        "tui.verbs.evaluate",
        "evaluate",
        "What a checkpoint scores: metrics, classes, confusion, worst samples.",
    ),
    "compare": ("tui.verbs.evaluate", "compare", "Two checkpoints: settings, metrics, distance of their weights."),
    "export": ("tui.verbs.export", "export", "Weights or a model for other programs: safetensors, pt2, ONNX."),
    "batch": ("tui.verbs.batch", "batch", "What the model sees at a step: samples, inputs, targets."),
    "download": ("tui.verbs.download", "download", "Fetch a data set; goes on where it was interrupted."),
    "list": ("tui.verbs.catalogues", "list_catalogue", "The catalogues: datasets, transforms, models, …"),
    "lr-find": ("tui.verbs.lr_find", "lr_find", "Find a learning rate: a short test with growing rates."),
    "batch-find": ("tui.verbs.batch_find", "batch_find", "Find the largest batch that fits, by real steps."),
    "bench": ("tui.verbs.bench", "bench", "How fast training is on this box, beside other loops."),
    "doctor": ("tui.verbs.doctor", "doctor", "What works on this machine, and what to do about what doesn't."),
}
_VERBS_WITH_SCREEN = {"attach"}
_OPTIONS_WITHOUT_SCREEN = {"--help", "-h", "--version"}


def main() -> int:
    """Entry point of the command. Returns the exit status."""
    arguments = sys.argv[1:]
    if opens_studio(arguments):
        from tui.parent import run_behind_parent

        return run_behind_parent(lambda parent: run_command(arguments, parent))
    return run_command(arguments, None)


def opens_studio(arguments: list[str]) -> bool:
    """Whether a command line opens the studio, which needs its parent process before anything is imported."""
    if _OPTIONS_WITHOUT_SCREEN & set(arguments):
        return False
    return not names_a_verb(arguments) or arguments[0] in _VERBS_WITH_SCREEN


def names_a_verb(arguments: list[str]) -> bool:
    """Whether a command line begins with a verb; options of the studio may have a verb's name as their value."""
    return bool(arguments) and arguments[0] in VERBS


def run_command(arguments: list[str], parent: Parent | None) -> int:
    """Parse and run a command line. Returns the exit status; an error is one message on stderr."""
    import click

    from engine.errors import ConfigError, TorchdeckError, UnknownRunError
    from tui.commands import torchdeck
    from tui.widgets.plain_text import printable_lines

    try:
        result = torchdeck.main(args=arguments, prog_name="torchdeck", standalone_mode=False, obj=parent)
    except click.exceptions.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except TorchdeckError as error:
        print(f"torchdeck: {printable_lines(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError | UnknownRunError) else 1
    except BrokenPipeError:
        # The reader of our output (head, less) has seen enough.
        sys.stderr.close()
        return 0
    return int(result or 0)


if __name__ == "__main__":
    sys.exit(main())
