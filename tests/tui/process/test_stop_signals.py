import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from torchdeck.tui.process.stop_signals import STOP_SIGNALS

# Handles signals, prints the results line by line, and continues until its input ends.
PROGRAM = """
import sys
from torchdeck.tui.process.stop_signals import StopSignals

class Run:
    def stop(self, after, reason):
        print("stop", after, reason, flush=True)

signals = StopSignals(lambda: print("first", flush=True))
signals.pass_on(Run())
print("ready", signals.received, repr(signals.name), signals.exit_status, flush=True)
for line in sys.stdin:
    signals.pass_on(Run())
    signals.pass_on(Run())
sys.exit(signals.exit_status)
"""


@pytest.fixture
def process() -> Any:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert program.stdout is not None and program.stdout.readline() == "ready 0 '' 0\n"
    with program:
        yield program
        program.kill()


def rest_of(process: Any) -> str:
    """What it still prints once its input has ended; `communicate` would lose what was read together with a line."""
    process.stdin.close()
    printed: str = process.stdout.read()
    process.wait()
    return printed


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_the_first_signal_stops_the_run_once_and_is_the_exit_status(process: Any, number: signal.Signals) -> None:
    process.send_signal(number)
    assert process.stdout.readline() == "first\n"
    process.stdin.write("\n\n")
    assert rest_of(process) == f"stop step {number.name}\n"
    assert process.returncode == 128 + number


def test_a_signal_that_comes_twice_at_once_as_one_to_a_group_does_is_one_request(process: Any) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "first\n"
    process.send_signal(signal.SIGTERM)
    process.stdin.write("\n")
    assert rest_of(process) == "stop step SIGTERM\n"
    assert process.returncode == 128 + signal.SIGTERM


def test_a_second_signal_ends_the_process_at_once(process: Any) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "first\n"
    process.send_signal(signal.SIGINT)
    assert process.wait() == 128 + signal.SIGINT
    assert process.stdout.read() == ""


def test_a_hang_up_ends_what_is_not_a_run(process: Any) -> None:
    process.send_signal(signal.SIGHUP)
    assert process.stdout.readline() == "first\n"
    process.communicate("\n")
    assert process.returncode == 128 + signal.SIGHUP
