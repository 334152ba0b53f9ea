import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest
from warm_python import warm_python


def run(*command: str, **keywords: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*warm_python(), *command], capture_output=True, text=True, **keywords)  # type: ignore[call-overload, no-any-return]


def test_a_fork_has_what_it_was_started_with_and_torch(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("word = 'mine'\n")
    code = (
        "import os, sys\n"
        "print('torch' in sys.modules, sys.argv, os.getcwd(), os.environ['WORD'], sys.stdin.read(), end='')\n"
        "import mine\n"
        "print(mine.word, file=sys.stderr, end='')\n"
        "sys.exit(3)\n"
    )
    environment = {**os.environ, "WORD": "yes", "PYTHONPATH": str(tmp_path)}
    result = run("-P", "-c", code, "argument", cwd="/", env=environment, input="typed")
    assert result.stdout == "True ['-c', 'argument'] / yes typed"
    assert (result.stderr, result.returncode) == ("mine", 3)


def test_a_script_and_a_module_are_run_as_python_runs_them(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("")
    (tmp_path / "script.py").write_text("import beside, sys\nprint(__name__, __file__, sys.argv[1:])\n")
    script = tmp_path / "script.py"
    assert run(str(script), "a").stdout == f"__main__ {script} ['a']\n"
    assert run("-m", "script", "a", cwd=tmp_path).stdout == f"__main__ {script} ['a']\n"


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("raise SystemExit('no')", 1, "no"),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("import os; os._exit(7)", 7, ""),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
    ],
)
def test_it_ends_as_the_fork_ends(code: str, status: int, words: str) -> None:
    result = run("-c", code)
    assert result.returncode == status
    assert words in result.stderr


@pytest.mark.parametrize(("number", "words"), [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGTERM, "")])
def test_a_signal_goes_on_to_the_fork(number: int, words: str) -> None:
    command = [*warm_python(), "-c", "import time; print('up', flush=True); time.sleep(600)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    assert process.returncode == -number
    assert words in error


def test_the_fork_ends_when_what_stands_for_it_is_killed() -> None:
    command = [*warm_python(), "-c", "import time; print('up', flush=True); time.sleep(600)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        process.kill()
        # The fork holds the other end of the pipe.
        assert process.stdout.read() == ""


def test_a_terminal_whose_session_the_asking_process_leads_becomes_the_forks(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, time\n"
        f"signal.signal(signal.SIGHUP, lambda *_: open('{tmp_path}/hung up', 'w').close() or sys.exit(4))\n"
        "print(os.ttyname(0), os.tcgetpgrp(0) == os.getpgrp(), flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [*warm_python(), "-c", code]
    process, terminal = pty.fork()
    if process == 0:
        os.execv(command[0], command)
    assert os.read(terminal, 100).decode().split()[1:] == ["True"]
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 4
    assert (tmp_path / "hung up").exists()
