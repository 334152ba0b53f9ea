"""Every command of the studio with its keys, by the part of the screen that offers it.

Small letters act on what is under the cursor, capitals drive the run from anywhere, and a letter means one idea in
every pane: `MEANINGS` says which. A command without a key is in the command palette only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MEANINGS: Mapping[str, str] = {
    "j": "move down",
    "k": "move up",
    "g": "first",
    "G": "last",
    "n": "next match, draw or problem",
    "N": "previous match, draw or problem",
    "v": "next view of the pane",
    "V": "previous view of the pane",
    "z": "one panel on the whole screen",
    "i": "inspect in full",
    "e": "edit",
    "a": "add",
    "d": "delete, or back to the default",
    "u": "undo",
    "U": "redo",
    "m": "measure",
    "r": "resume, run",
    "f": "fork into the draft",
    "w": "write into the draft",
    "p": "pin",
    "x": "export to a file",
    "y": "copy",
    "o": "open by path",
    "s": "sort by this column; again: reversed",
    "b": "band: runs that differ by the seed alone, as one",
    "c": "compare what is marked, or the splits",
    "l": "level: logarithmic y axis; in the log, how much is shown",
    "t": "x axis: step, epoch or time",
    "h": "hide the other lines of a chart",
    "S": "start the draft",
    "P": "pause, or continue",
    "C": "checkpoint now",
    "E": "edit the live run",
    "X": "stop the run",
    "q": "leave",
    "J": "move what is under the cursor down",
    "K": "move what is under the cursor up",
}
"""What each letter means, wherever it means something."""


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        keys: Textual's names of its keys, separated by commas; empty if it is in the command palette only.
        action: the action, in the namespace of the part that offers it.
        does: what it does, as a sentence without a period: for the help and the command palette.
        label: a word or two for the last line; empty to leave it out there.
        shown: how the last line and the help write the keys; by default, as Textual does.
        priority: whether it works while something is typed.
    """

    keys: str
    action: str
    does: str
    label: str = ""
    shown: str = ""
    priority: bool = False


PANES: Mapping[str, str] = {
    "data": "Data",
    "model": "Model",
    "setup": "Setup",
    "train": "Train",
    "runs": "Runs",
    "sweeps": "Sweeps",
    "log": "Log",
}
"""Titles of the panes by name, in their order."""

_PANES_DO = {
    "data": "data sets, samples, transforms",
    "model": "module tree, memory, gradients",
    "setup": "every setting of the next run",
    "train": "curves, progress, devices",
    "runs": "all runs, curves, checkpoints, what differs",
    "sweeps": "searches of settings: trials, the best, what matters",
    "log": "what happened and what was printed",
}

_CLOSE = Command("escape,q", "dismiss", "Back", "Back", "Esc")
# What `i` opened, `i` closes.
_CLOSE_INSPECTED = Command("escape,q,i", "dismiss", "Back", "Back", "Esc")

COMMANDS: Mapping[str, Mapping[str, Command]] = {
    "studio": {
        **{
            name: Command(str(number), f"show('{name}')", f"{title}: {_PANES_DO[name]}")
            for number, (name, title) in enumerate(PANES.items(), start=1)
        },
        "next_pane": Command("f8,ctrl+pagedown", "next_pane(1)", "Next pane", priority=True),
        "previous_pane": Command("f7,ctrl+pageup", "next_pane(-1)", "Previous pane", priority=True),
        "next_panel": Command("tab", "app.focus_next", "Next panel", "Panel", "Tab"),
        "previous_panel": Command("shift+tab", "app.focus_previous", "Previous panel"),
        "view": Command("v", "view(1)", "Next view of the pane", "View"),
        "previous_view": Command("V", "view(-1)", "Previous view of the pane"),
        "zoom": Command("z", "zoom", "One panel on the whole screen, and back", "Zoom"),
        "back": Command("escape", "back", "One step back: filter, zoom"),
        "undo": Command("u,ctrl+z", "undo", "Undo the last change of the draft"),
        "redo": Command("U,ctrl+y", "redo", "Redo what was undone"),
        "pause": Command("P", "command('pause')", "Pause the run at its next step", "Pause"),
        "resume": Command("P", "command('resume')", "Continue the paused run", "Continue"),
        "save": Command("C", "command('save')", "Save a checkpoint at the next step", "Checkpoint"),
        "live": Command("E", "edit_live", "Edit the live run: rate, epochs, clipping", "Edit live"),
        "stop": Command("X", "stop", "Stop the run: asks when", "Stop"),
        "profile": Command("", "command('profile')", "Profile 20 steps of the live run"),
        "redraw": Command("ctrl+l", "redraw", "Paint the screen anew", priority=True),
        "theme": Command("", "change_theme", "Choose the theme"),
        "find_lr": Command("", "find_value('optimizer.lr')", "Find a learning rate for the draft"),
        "find_batch": Command("", "find_value('loader.batch_size')", "Find the largest batch for the draft"),
        "start": Command("S,f5", "start", "Start the draft", "Start", "S"),
        "palette": Command("colon,ctrl+p", "command_palette", "Commands: everything by name", "Commands", ":"),
        "keys": Command("question_mark,f1", "keys", "Keys: what works here", "Keys", "?"),
        "leave": Command("q", "leave", "Leave; asks what to do with a live run"),
        "quit": Command("ctrl+q", "leave", "Leave, also while typing", priority=True),
    },
    "rows": {
        "down": Command("down,j", "move(1)", "Next row"),
        "up": Command("up,k", "move(-1)", "Previous row"),
        "page_down": Command("pagedown", "page(1)", "Next page"),
        "page_up": Command("pageup", "page(-1)", "Previous page"),
        "first": Command("home,g", "go_to(0)", "First row"),
        "last": Command("end,G", "go_to(-1)", "Last row"),
    },
    "form": {
        "edit": Command("enter", "edit", "Type a value, switch it, or list its choices", "Edit", "⏎"),
        "next_choice": Command("right", "change(1)", "Next choice of the field", "Change", "← →"),
        "previous_choice": Command("left", "change(-1)", "Previous choice of the field"),
    },
    "typing": {
        "apply": Command("enter", "finish(0)", "Apply what you typed", "Apply", "⏎"),
        "restore": Command("escape", "restore", "Cancel: the value stays as it was", "Cancel", "Esc"),
        "next": Command("tab", "finish(1)", "Apply, and go to the next field", "Apply, next"),
        "previous": Command("shift+tab", "finish(-1)", "Apply, and go to the previous field"),
        "down": Command("down", "finish(1)", "Apply, and go to the next field"),
        "up": Command("up", "finish(-1)", "Apply, and go to the previous field"),
    },
    "sections": {
        "enter": Command("enter", "enter", "The fields of the section", "Fields", "⏎"),
    },
    "setup": {
        "find": Command("slash", "find", "Find a setting by part of its name or help", "Find", "/"),
        "reset": Command("d", "reset", "Back to the preset's value; again: to the default", "Default"),
        "copy": Command("y", "copy", "Copy as --set KEY=VALUE; from the plan, the whole command", "Copy"),
        "measure": Command(
            "m", "measure", "Dry run with a real step; on lr and batch_size, find the value", "Measure"
        ),
        "take": Command("w", "take", "Write the suggested value into the draft", "Take"),
        "add": Command("a", "add", "Add an argument of the loss, optimizer or schedule", "Add argument"),
        "inspect": Command("i", "inspect", "The plan in full: learning rates, parameter groups", "Plan"),
        "back": Command("escape", "back", "Clear the rejected value, then the filter"),
    },
    "pictures": {
        "right": Command("right", "move(1)", "Next picture"),
        "left": Command("left", "move(-1)", "Previous picture"),
        "down": Command("down,j", "move_row(1)", "Picture below"),
        "up": Command("up,k", "move_row(-1)", "Picture above"),
        "choose": Command("enter,i", "choose", "Inspect it in full", "In full", "⏎"),
    },
    "data": {
        "next_draw": Command(
            "n", "draw(1)", "Next draw of the random transforms; in the batch view, next step", "Next"
        ),
        "previous_draw": Command("N", "draw(-1)", "Previous draw, or previous step"),
        "measure": Command("m", "measure", "Measure every sample, and how long an epoch is read", "Measure"),
        "compare": Command("c", "compare", "Compare the splits: copies and leakage; again: by pixels", "Copies"),
        "step_back": Command("escape", "step_back", "Stop the current work, or show all data sets again"),
        "samples": Command("", "show_part('samples')", "Samples: stored and as trained on"),
        "batch": Command("", "show_part('batch')", "What the model sees at a step"),
        "download": Command("", "download", "Download the data set of the draft"),
    },
    "catalog": {
        "choose": Command("enter", "choose", "Choose the data set; asks before it downloads one", "Choose", "⏎"),
        "filter": Command("slash", "filter", "Filter the data sets", "Filter", "/"),
        "open": Command("o", "open", "Open a folder, a file or file.py:factory", "Open"),
    },
    "samples": {
        "page_down": Command("pagedown", "other_samples(1)", "Other samples", "Others", "PgDn"),
        "page_up": Command("pageup", "other_samples(-1)", "Previous samples"),
        "class": Command("slash", "choose_class", "Samples of one class", "Class", "/"),
    },
    "transforms": {
        "add": Command("a", "add", "Add a transform below", "Add"),
        "edit": Command("enter,e", "edit", "Edit the transform", "Edit", "e"),
        "delete": Command("d,delete", "delete", "Delete the transform", "Delete", "d"),
        "lower": Command("J,shift+down", "shift(1)", "Apply the transform later", "Move", "J K"),
        "higher": Command("K,shift+up", "shift(-1)", "Apply the transform earlier", shown="K"),
        "write": Command("w", "write", "Take the train transforms into eval, without the random ones", "To eval"),
        "trace": Command("i", "trace", "A sample after each transform", "Trace"),
    },
    "numbers": {
        "class": Command("enter", "choose", "Samples of this class", "Show", "⏎"),
        "write": Command("w", "write", "Write the measured mean and std into Normalize", "To Normalize"),
    },
    "batch": {
        "step": Command("e", "edit_step", "Another step by its number", "Step"),
    },
    "sample": {
        "back": Command("escape,q", "back", "Back to the samples", "Back", "Esc"),
        "next_draw": Command("n", "draw(1)", "Next draw of the random transforms", "Next draw"),
        "previous_draw": Command("N", "draw(-1)", "Previous draw"),
        "next": Command("right", "sample(1)", "Next sample", "Sample", "← →", priority=True),
        "previous": Command("left", "sample(-1)", "Previous sample", priority=True),
    },
    "dialog": {
        "keys": Command("question_mark,f1", "app.keys", "Keys: what works here", "Keys", "?"),
    },
    "selection": {
        "copy": Command("ctrl+c,super+c", "screen.copy_text", "Copy the text selected by mouse"),
    },
    "answers": {
        "previous": Command("left,up", "app.focus_previous", "Previous answer"),
        "next": Command("right,down", "app.focus_next", "Next answer"),
    },
    "code": {
        "up": Command("up", "scroll(-1)", "Scroll up"),
        "down": Command("down", "scroll(1)", "Scroll down"),
        "page_up": Command("pageup", "scroll(-10)", "Page up"),
        "page_down": Command("pagedown", "scroll(10)", "Page down"),
    },
    "key_list": {
        "close": Command("escape,q,question_mark,f1,enter", "dismiss", "Close"),
    },
    "list": {
        "down": Command("down", "move(1)", "Next name", priority=True),
        "up": Command("up", "move(-1)", "Previous name", priority=True),
        "page_down": Command("pagedown", "page(1)", "Next page", priority=True),
        "page_up": Command("pageup", "page(-1)", "Previous page", priority=True),
        "close": Command("escape", "dismiss", "Choose nothing"),
    },
    "model_list": {
        "sort": Command("ctrl+o", "order", "Sort by the next column, largest first", priority=True),
    },
    "filter": {
        "keep": Command("enter,down", "leave(True)", "Keep the filter"),
        "clear": Command("escape", "leave(False)", "Show all again"),
    },
    "transform": {
        "down": Command("down", "app.focus_next", "Next field"),
        "up": Command("up", "app.focus_previous", "Previous field"),
        "close": Command("escape", "dismiss", "Cancel, and change nothing"),
    },
    "weights": {
        "close": Command("escape", "dismiss", "Change nothing"),
    },
    "model": {
        "freeze": Command("e", "freeze", "Freeze the module, or train it", "Freeze/train"),
        "inspect": Command("i", "inspect", "Inspect the module: tensors, weights, docstring", "Inspect"),
        "measure": Command("m", "measure", "Measure a real step (separate process)", "Measure"),
        "open": Command("o", "open", "Open path/to/file.py:factory, or a file of weights", "Open"),
        "find": Command("", "find", "Find a model among all, with sizes and accuracy"),
        "weights": Command("", "weights", "Start from weights in a file"),
        "groups": Command("", "groups", "Parameter groups of the optimizer"),
    },
    "models": {
        "choose": Command("enter", "choose", "Put the model into the draft", "Choose", "⏎"),
        "find": Command("slash", "find", "Find a model among all, with sizes and accuracy", "Find", "/"),
    },
    "log": {
        "choose": Command("enter", "choose", "Show the source under the cursor", "Show", "⏎"),
        "search": Command("slash", "search", "Show only lines with a text", "Search", "/"),
        "level": Command("l", "next_level", "Everything; warnings and errors; errors only", "Level"),
        "next": Command("n", "next_problem(1)", "Next problem", "Next problem"),
        "previous": Command("N", "next_problem(-1)", "Previous problem"),
        "inspect": Command("i", "inspect", "The line in full", "In full"),
        "copy": Command("y", "copy", "Copy the line", "Copy"),
        "open": Command("o", "open", "Follow another file", "Open"),
        "end_search": Command("escape", "end_search", "Show all lines again"),
    },
    "tree": {
        "turn": Command("enter", "turn", "Expand or collapse the module", "Unfold", "⏎"),
        "unfold": Command("right", "unfold", "Expand, or go to the first child"),
        "fold": Command("left", "fold", "Collapse, or go to the parent"),
        "search": Command("slash", "search", "Search for a path or type", "Search", "/"),
        "next": Command("n", "next_match(1)", "Next match"),
        "previous": Command("N", "next_match(-1)", "Previous match"),
        "deeper": Command("plus,equals_sign", "deeper", "Expand one more level", shown="+"),
        "shallower": Command("minus", "shallower", "Collapse the deepest level", shown="-"),
        "all": Command("asterisk", "expand_all", "Expand everything", shown="*"),
        "order": Command("s", "next_order", "Sort by parameters, by FLOPs, in model order", "Sort"),
        "copy": Command("y", "copy_path", "Copy the module's path", "Copy path"),
        "end_search": Command("escape", "end_search", "End the search"),
        "repeats": Command("", "fold_repeats", "Fold repeated blocks of the model, or unfold them"),
        "biggest": Command("", "biggest", "Go to the largest module, then to the next largest"),
    },
    "train": {
        "inspect": Command("i", "inspect", "Inspect the newest evaluation: every class, confusion", "Classes"),
        "add": Command("a", "add_chart", "Add a chart", "Add chart"),
        "edit": Command("e", "edit_chart", "Show another metric in this chart", "Metric"),
        "remove": Command("d", "remove_chart", "Remove this chart"),
        "x_axis": Command("t", "x_axis", "X axis of all charts: step, epoch or time", "X axis"),
        "defaults": Command("", "default_charts", "As many charts as fit, the most telling metrics first"),
    },
    "runs": {
        "compare": Command("c", "compare", "Compare two that are marked: weights, settings, metrics", "Compare"),
        "resume": Command("r", "resume", "Resume the run, or from the checkpoint under the cursor", "Resume"),
        "fork": Command("f", "fork", "Fork it into the draft: its whole state, or its weights alone", "Fork"),
        "fork_weights": Command("", "fork_weights", "Fork its weights alone into the draft"),
        "evaluate": Command("m", "evaluate", "Measure the checkpoint: metrics, classes, worst mistakes", "Measure"),
        "inspect": Command("i", "inspect", "Inspect the checkpoint: tensors, settings, exactness", "Inspect"),
        "export": Command("x", "export", "Export weights or model to a file", "Export"),
        "export_averaged": Command("", "export_averaged", "Export the averaged (EMA) weights to a file"),
        "weights": Command("w", "use_weights", "Write its weights into the draft's model", "Weights to draft"),
        "pin": Command("p", "pin", "Pin the checkpoint, so that it is kept, or unpin it", "Pin"),
        "delete": Command("d,delete", "delete", "Delete the run or the checkpoint; asks", "Delete"),
        "open": Command("o", "open_path", "Open a checkpoint file, or another folder of runs, by path", "Open"),
        "copy": Command("y", "copy_path", "Copy the path"),
        "queue": Command("a", "queue_draft", "Add the draft to the queue of this machine", "Queue draft"),
        "step_back": Command("escape", "step_back", "One step back: filter, marks"),
    },
    "trial_table": {
        "show": Command("enter", "show", "Show the trial's run in 4 Train", "Show", "⏎"),
    },
    "sweeps": {
        "write": Command("w", "write", "Write the trial's values into the draft", "Values to draft"),
        "rerun": Command("r", "rerun", "Run the trial at full length, as the draft; asks", "Full length"),
        "inspect": Command("i", "inspect", "Inspect the trial: values, runs, why it failed", "Inspect"),
        "prune": Command("d,delete", "prune", "Stop the trial; asks", "Stop trial", "d"),
        "edit": Command("e", "edit", "Start workers, pause, or save and stop the sweep", "Sweep"),
        "add": Command("a", "add", "Add trials", "Add trials"),
        "sort": Command("s", "sort", "Sort by value, or by number", "Sort"),
        "open": Command("o", "open", "Open another sweep, or begin one from a file", "Open"),
    },
    "run_table": {
        "show": Command("enter", "ask('watch')", "Show the run in 4 Train", "Show", "⏎"),
        "mark": Command("space", "ask('mark')", "Mark it: marked runs are drawn over each other", "Mark", "␣"),
        "mark_all": Command("asterisk", "ask('mark_all')", "Mark all that are listed, or none", shown="*"),
        "filter": Command("slash", "ask('filter')", "Filter: name, tag=baseline, lr>0.01, status=died", "Filter", "/"),
        "sort": Command("s", "ask('sort')", "Sort by the column under ← →; again: reversed", "Sort"),
        "next_column": Command("right", "column(1)", "Next column"),
        "previous_column": Command("left", "column(-1)", "Previous column"),
        "edit": Command("e", "ask('edit')", "Edit the run's name, tags and note", "Edit"),
        "by_seed": Command(
            "b", "ask('by_seed')", "One line for runs that differ by the seed alone, or one each", "Seeds"
        ),
        "columns": Command("", "ask('columns')", "Add, remove and move columns of the table of runs"),
    },
    "checkpoint_table": {
        "open": Command("enter", "ask('inspect')", "Inspect the checkpoint", "Inspect", "⏎"),
        "mark": Command("space", "ask('mark')", "Mark it, to compare two checkpoints", "Mark", "␣"),
    },
    "checkpoint": {
        "norms": Command("m", "norms", "Measure the norm of every tensor", "Norms"),
        "weights": Command("w", "use_weights", "Write the weights into the draft's model", "Weights to draft"),
        "export": Command("x", "export", "Export weights or model to a file", "Export"),
        "export_averaged": Command("", "export_averaged", "Export the averaged (EMA) weights to a file"),
        "copy": Command("y", "copy_path", "Copy the path", "Copy path"),
        "close": _CLOSE,
    },
    "comparison": {
        "metric": Command("e", "next_curve", "Next metric", "Next metric"),
        "overlay": Command("o", "overlay", "Overlay curves of a CSV or TensorBoard log", "Overlay a log"),
        "close": _CLOSE,
    },
    "scores": {
        "split": Command("m", "next_split", "Measure the next split", "Next split"),
        "averaged": Command("v", "averaged", "Switch between trained and averaged (EMA) weights", "EMA weights"),
        "close": _CLOSE,
    },
    "evaluation": {
        "averaged": Command("v", "averaged", "Switch between trained and averaged (EMA) weights", "EMA weights"),
        "close": _CLOSE_INSPECTED,
    },
    "plan": {
        "close": _CLOSE_INSPECTED,
    },
    "lines": {
        "close": _CLOSE_INSPECTED,
    },
    "groups": {
        "close": _CLOSE,
    },
    "run_chart": {
        "metric": Command("e", "ask('metric')", "Choose the metric", "Metric"),
        "axis": Command("t", "ask('axis')", "x axis: step, epoch or time", "X axis"),
    },
    "columns": {
        "toggle": Command("space", "toggle_column", "Show the column, or hide it"),
        "down": Command("J", "shift(1)", "Move the column down"),
        "up": Command("K", "shift(-1)", "Move the column up"),
        "default": Command("d", "default", "Back to the default columns"),
        "apply": Command("enter", "apply", "Apply"),
        "close": Command("escape", "dismiss", "Change nothing"),
    },
    "gpus": {
        "toggle": Command("space", "toggle_gpu", "Train on the GPU, or not"),
        "all": Command("asterisk", "toggle_all", "Every GPU, or none", shown="*"),
        "apply": Command("enter", "apply", "Apply"),
        "close": Command("escape", "dismiss", "Change nothing"),
    },
    "chart": {
        "left": Command("left", "cursor(-1)", "Cursor: values at a step", "Cursor", "← →"),
        "right": Command("right", "cursor(1)", "Cursor to the right"),
        "far_left": Command("shift+left", "cursor(-10)", "Cursor ten columns to the left"),
        "far_right": Command("shift+right", "cursor(10)", "Cursor ten columns to the right"),
        "zoom_in": Command("plus,equals_sign", "zoom(True)", "Zoom in on the x axis", "Zoom in", "+ -"),
        "zoom_out": Command("minus", "zoom(False)", "Zoom out", shown="-"),
        "smoother": Command("full_stop", "smooth(1)", "Smooth more", "Smooth", ", ."),
        "rougher": Command("comma", "smooth(-1)", "Smooth less", shown=","),
        "log": Command("l", "toggle_log", "Logarithmic y axis", "Log y"),
        "line": Command("h", "next_line", "One line alone, then the next; at last all of them"),
        "outliers": Command("0", "toggle_outliers", "Show outliers, or leave them out"),
        "all": Command("escape", "show_all", "Clear the cursor, then the zoom"),
    },
}


def command_id(part: str, name: str) -> str:
    """The name by which a user remaps a command, such as "studio.start"."""
    return f"{part}.{name}"
