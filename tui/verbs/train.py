"""`torchdeck train` and `torchdeck resume`: a run without the studio."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any, TextIO

import click

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import load_config, replace_value
from torchdeck.engine.config.secret_settings import words_with_secrets_kept
from torchdeck.engine.errors import ConfigError, TorchdeckError
from torchdeck.engine.launching.agreement import agree_to_named, check_agreed, is_of_a_run
from torchdeck.engine.launching.failure_words import describe_failure
from torchdeck.engine.launching.followed_run import FollowedRun
from torchdeck.engine.launching.fork import fork_config
from torchdeck.engine.launching.launch import launch, launch_resumed
from torchdeck.engine.launching.launched_ranks import launch_ranks, launch_ranks_resumed
from torchdeck.engine.launching.meeting import Meeting
from torchdeck.engine.machine.python_process import module_command
from torchdeck.engine.run_files import LOG_FILE
from torchdeck.engine.runs.browsing.references import checkpoint_of, find_checkpoint
from torchdeck.engine.runs.on_disk.directory import find_run, load_run_config, read_state
from torchdeck.engine.runs.on_disk.distant import distant_owner
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.requeue import requeue_job, run_of_restarted_job

from ..headless import Display
from ..plain_text import printable_lines
from ..process.private_output import PrivateOutput
from ..process.stop_signals import StopSignals
from ..words.shell_text import shell_command
from .completing import checkpoints, configs, runs, runs_and_files
from .dry_run import print_dry_run
from .options import (
    TRUST_CODE,
    from_option,
    gpus_option,
    json_option,
    part_of_option,
    runs_root_option,
    set_option,
    trust_option,
)
from .output import print_json
from .run_summary import DetachedRun, summary

_FOLLOWING = (
    set_option,
    runs_root_option,
    trust_option,
    gpus_option,
    click.option(
        "--nodes", type=click.IntRange(1, 1024), help="Machines that train together; start the same on each."
    ),
    click.option("--join", metavar="HOST:PORT", help="Where the machines meet: the first one, and a free port of it."),
    click.option(
        "--processes", type=click.IntRange(0), help="Train with so many processes together; 0: one for each GPU."
    ),
    click.option("--detach", is_flag=True, help="Train in the background; print the run's name and return."),
    json_option,
    click.option("--announce", type=int, default=-1, hidden=True),
)

Start = Callable[[Callable[[Path], None]], FollowedRun]
Verb = Callable[..., int]


def _follows_a_run(verb: Verb) -> Verb:
    """Add the options of every verb that starts a run, and then follows or detaches it."""

    @wraps(verb)
    def with_processes(
        gpus: list[int] | None, processes: int | None, nodes: int | None, join: str | None, **arguments: Any
    ) -> int:
        overrides = arguments.pop("overrides")
        if nodes is not None:
            overrides = (*overrides, f"parallel.machines={nodes}")
        if gpus is not None:
            overrides = (*overrides, f"parallel.devices={gpus}", f"parallel.processes={len(gpus)}")
        if processes is not None:
            overrides = (*overrides, f"parallel.processes={processes}", "parallel.devices=[]")
        return verb(overrides=overrides, meeting=Meeting.at(join) if join is not None else None, **arguments)

    options: Verb = with_processes
    for option in reversed(_FOLLOWING):
        options = option(options)
    return options


@click.command()
@click.argument("spec", metavar="PRESET|FILE.toml", shell_complete=configs)
@_follows_a_run
@click.option("--name", help="Name of the run; without it, the preset's name.")
@click.option("--dry-run", is_flag=True, help="Build, check and print everything, then stop; writes nothing.")
@click.option("--seeds", type=click.IntRange(1, 100), help="Train it once per seed: the config's, and those after it.")
@part_of_option
def train(
    spec: str,
    overrides: tuple[str, ...],
    runs_root: Path,
    trusts_code: bool,
    name: str | None,
    detach: bool,
    dry_run: bool,
    seeds: int | None,
    part_of: dict[str, Any],
    meeting: Meeting | None,
    as_json: bool,
    announce: int,
) -> int:
    """Train a preset or a TOML file, without the studio.

    Shows progress bars on a terminal and plain lines under nohup. If the terminal is closed, the run trains on and its
    output goes to its engine.log. Exit status: 0 done, 1 failed, 2 bad usage or bad config; 128 + n: stopped by signal
    n (SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGXCPU) after saving.
    """
    config = load_config(spec, overrides)
    if name is not None:
        config = replace_value(config, "name", name)
    if dry_run:
        return print_dry_run(config, runs_root, as_json)
    if is_of_a_run(spec):
        check_agreed(config, TRUST_CODE, is_agreed=trusts_code, overrides=overrides)
    else:
        agree_to_named(config)
    if detach:
        return _detached(as_json)
    if seeds is not None and seeds > 1:
        from .train_seeds import train_seeds

        return train_seeds(config, sys.argv[1:], seeds, as_json, announce)
    if config.checkpoint.requeue and (earlier := run_of_restarted_job(runs_root)) is not None:
        check_agreed(load_run_config(earlier), TRUST_CODE, is_agreed=trusts_code, overrides=overrides)
        _wait_for_silence(earlier)
        return _follow(lambda on_directory: _resumed(earlier, on_directory, meeting), as_json, announce)
    return _follow(
        lambda on_directory: _launched(config, runs_root, on_directory, meeting, part_of), as_json, announce
    )


@click.command()
@click.argument("run", shell_complete=runs)
@click.option(
    "--from",
    "checkpoint",
    metavar="CHECKPOINT",
    help="A file, or its name in the run; without it, the newest valid one.",
    shell_complete=checkpoints,
)
@_follows_a_run
def resume(
    run: str,
    checkpoint: str | None,
    overrides: tuple[str, ...],
    runs_root: Path,
    trusts_code: bool,
    detach: bool,
    meeting: Meeting | None,
    as_json: bool,
    announce: int,
) -> int:
    """Resume a run where it was saved, bit for bit; says what is no longer exact if settings changed."""
    path = find_run(runs_root, run)
    chosen = checkpoint_of(path, checkpoint) if checkpoint is not None else None
    config = load_run_config(path, overrides)
    check_agreed(config, TRUST_CODE, is_agreed=trusts_code, overrides=overrides)
    if detach:
        return _detached(as_json)
    return _follow(
        lambda on_directory: _resumed(path, on_directory, meeting, chosen, overrides),
        as_json,
        announce,
    )


@click.command()
@click.argument("run", metavar="RUN|CHECKPOINT", shell_complete=runs_and_files)
@from_option
@click.option(
    "--weights", "weights_only", is_flag=True, help="Take only the weights: start at epoch 1 with a new optimizer."
)
@click.option(
    "--config",
    "spec",
    metavar="PRESET|FILE.toml",
    help="Config of the new run in place of the checkpoint's; needed for a file that another program saved.",
    shell_complete=configs,
)
@click.option("--ema", "averaged", is_flag=True, help="Take the averaged (EMA) weights; needs --weights.")
@_follows_a_run
@click.option("--name", help="Name of the new run; without it, the old name with -fork.")
def fork(
    run: str,
    checkpoint: str | None,
    weights_only: bool,
    spec: str | None,
    averaged: bool,
    overrides: tuple[str, ...],
    runs_root: Path,
    trusts_code: bool,
    name: str | None,
    detach: bool,
    meeting: Meeting | None,
    as_json: bool,
    announce: int,
) -> int:
    """Start a new run from a checkpoint of another, with changed settings; the other run stays as it is.

    A file that another loop saved (model_state_dict, optimizer_state_dict, epoch) needs --config: its weights,
    optimizer state and epoch are taken where they fit, and the run says what is not exact.
    """
    if averaged and not weights_only:
        raise ConfigError("--ema: needs --weights, since only the weights have an average")
    found = find_checkpoint(runs_root, run, checkpoint)
    base = load_config(spec, overrides) if spec is not None else None
    config = fork_config(found.path, weights_only=weights_only, averaged=averaged, overrides=overrides, base=base)
    if name is not None:
        config = replace_value(config, "name", name)
    check_agreed(config, TRUST_CODE, is_agreed=trusts_code, overrides=overrides)
    if detach:
        return _detached(as_json)
    return _follow(lambda on_directory: _launched(config, runs_root, on_directory, meeting), as_json, announce)


def _launched(
    config: RunConfig,
    runs_root: Path,
    on_directory: Callable[[Path], None],
    meeting: Meeting | None,
    part_of: Mapping[str, Any] = MappingProxyType({}),
) -> FollowedRun:
    argv = ["torchdeck", *sys.argv[1:]]
    if config.parallel.is_several:
        return launch_ranks(config, runs_root, argv=argv, on_directory=on_directory, part_of=part_of, meeting=meeting)
    _refuse_meeting(meeting)
    return launch(config, runs_root, argv=argv, on_directory=on_directory, part_of=part_of)


def _resumed(
    path: Path,
    on_directory: Callable[[Path], None],
    meeting: Meeting | None,
    checkpoint: Path | None = None,
    overrides: tuple[str, ...] = (),
) -> FollowedRun:
    if load_run_config(path, overrides).parallel.is_several:
        return launch_ranks_resumed(
            path, checkpoint=checkpoint, overrides=overrides, on_directory=on_directory, meeting=meeting
        )
    _refuse_meeting(meeting)
    return launch_resumed(path, checkpoint=checkpoint, overrides=overrides, on_directory=on_directory)


def _wait_for_silence(run: Path) -> None:
    """A job that was restarted after its machine was lost may find that one's last words still fresh."""
    while (distant := distant_owner(run, read_state(run))) is not None and distant.is_heard:
        time.sleep(1.0)


def _refuse_meeting(meeting: Meeting | None) -> None:
    if meeting is not None:
        raise ConfigError("--join: is where several machines meet; say with --nodes how many they are")


def _follow(start: Start, as_json: bool, announce: int) -> int:
    """Start a run, show it until it ends, and say how it ended."""
    with PrivateOutput(outlives_readers=True) as output:
        signals = StopSignals(hang_up="is outlived")
        display = Display(output.stderr if as_json else output.stdout, quiet=as_json or announce >= 0)
        run = start(lambda path: output.move_log_to(path / LOG_FILE))
        is_announced = announce < 0
        while run.is_alive:
            run.join(0.25 if display.is_live else 0.5)
            signals.pass_on(run)
            if signals.has_hung_up:
                output.lose_terminal()
            if output.is_lost:
                display.end_bars()
            if not is_announced and run.path is not None:
                _announce(announce, _beginning(run.path))
                is_announced = True
            display.update(run)
            if run.save_if_stalled():
                display.finish(run)
                _requeue_if_asked(run, signals.received, output.stderr)
                output.stdout.flush()
                output.stderr.flush()
                os._exit(signals.exit_status)
        display.finish(run)
        _requeue_if_asked(run, signals.received, output.stderr)
        status = _exit_status(run, signals)
        message = describe_failure(run.error) if run.error is not None else ""
        if not is_announced:
            refusal = {"error": message or "stopped before it started", "exit_status": status}
            _announce(announce, _beginning(run.path) if run.path is not None else refusal)
        if message:
            print(f"torchdeck: {printable_lines(message)}", file=output.stderr)
        if as_json and run.path is not None:
            print_json(summary(RunReader(run.path)), output.stdout)
    return status


def _requeue_if_asked(run: FollowedRun, received: int, file: TextIO) -> None:
    """Requeue the SLURM job after a SIGUSR1 has stopped the run, if the config asks for it."""
    # Of several nodes, the first speaks.
    if os.environ.get("SLURM_NODEID", "0") != "0":
        return
    if received != signal.SIGUSR1 or run.status != "stopped" or run.path is None:
        return
    if RunReader(run.path).config().checkpoint.requeue:
        print(f"torchdeck: {requeue_job()}", file=file)


def _exit_status(run: FollowedRun, signals: StopSignals) -> int:
    if run.error is not None:
        return 2 if run.path is None and isinstance(run.error, TorchdeckError) else 1
    return signals.exit_status if run.status == "stopped" else 0


def _detached(as_json: bool) -> int:
    """Run this command line in a new session; return once its run exists or was refused."""
    read_end, write_end = os.pipe()
    arguments = [argument for argument in sys.argv[1:] if argument not in ("--detach", "--json")]
    # Everybody on the machine can read the words of a process that trains for days.
    arguments = words_with_secrets_kept(arguments)
    command = module_command("torchdeck", *arguments, "--announce", str(write_end))
    with tempfile.TemporaryFile() as last_words:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=last_words,
            start_new_session=True,
            pass_fds=(write_end,),
        )
        os.close(write_end)
        with os.fdopen(read_end, encoding="utf-8") as pipe:
            text = pipe.readline()
        if not text:
            status = process.wait()
            last_words.seek(0)
            print(last_words.read().decode(errors="replace"), end="", file=sys.stderr)
            print(f"torchdeck: the background process ended with status {status}", file=sys.stderr)
            return status or 1
    answer = json.loads(text)
    if "error" in answer:
        print(f"torchdeck: {printable_lines(answer['error'])}", file=sys.stderr)
        return int(answer["exit_status"])
    if as_json:
        print_json(answer)
    else:
        path = Path(answer["path"])
        print(f"{path.name} trains in process {answer['pid']}\n{shell_command('attach', path)}")
    return 0


def _beginning(path: Path) -> DetachedRun:
    """The message that a detached run's first process sends about it."""
    return {"run": path.name, "path": str(path), "pid": os.getpid()}


def _announce(descriptor: int, answer: Mapping[str, Any]) -> None:
    # The command that waits for the answer may have been ended meanwhile, which must not end the run.
    with contextlib.suppress(BrokenPipeError), os.fdopen(descriptor, "w", encoding="utf-8") as pipe:
        pipe.write(json.dumps(answer) + "\n")
