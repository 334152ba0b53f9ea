"""Where the time of a run goes, and the boundaries between its steps."""

import threading

from torchdeck.engine.training.records.time_breakdown import TimeShares


def test_a_thread_that_is_given_up_at_a_boundary_goes_on_when_that_is_taken_back() -> None:
    times = TimeShares()
    items = iter(times.waited_for(iter([1, 2])))
    next(items)
    times.is_given_up = True
    thread = threading.Thread(target=next, args=(items,), daemon=True)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    times.is_given_up = False
    thread.join(30)
    assert not thread.is_alive()
