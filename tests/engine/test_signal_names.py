import signal

from torchdeck.engine.machine.signal_names import signal_name


def test_a_signal_has_its_name() -> None:
    assert signal_name(9) == "SIGKILL"


def test_a_signal_that_python_has_no_name_for_has_its_number() -> None:
    assert signal_name(signal.SIGRTMIN + 3) == f"signal {signal.SIGRTMIN + 3}"
