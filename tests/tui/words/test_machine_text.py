"""Where a run's time goes, and what it takes of its machine, as text."""

import pytest
from plain_markup import plain

from torchdeck.tui.words.train.machine_text import device_lines, devices_title, time_line, time_shares

SECONDS = {"computing": 6.0, "data": 3.0, "evaluation": 1.0, "saving": 0.01, "compiling": 0.0}
SAMPLE = {"time": 100.0, "cpu": 1.87, "memory": 1_200_000_000, "memory_free": 10_800_000_000, "gpu": None}
GPU = {"utilisation": 0.97, "memory_used": 12.3e9, "memory_total": 80e9, "power": 310.2, "temperature": 61.0}


def test_the_time_of_a_run_is_one_bar_and_what_rounds_to_nothing_is_left_out() -> None:
    line = plain(time_line({"seconds": SECONDS}, 80))
    assert line.endswith("■ compute 60%   ■ data ▲ 30%   ■ evaluation 10%")
    assert len(line) <= 80
    assert line.count("━") == 80 - len("time    ") - len("■ compute 60%   ■ data ▲ 30%   ■ evaluation 10%")
    assert time_shares({}) == {}
    assert time_line({}, 80) == ""


def test_numbers_that_no_float_holds_are_as_good_as_none() -> None:
    assert "60%" in plain(time_line({"seconds": {**SECONDS, "saving": 10**400}}, 80))
    (cpu, _) = device_lines([{**SAMPLE, "cpu": 10**400}], 60, 2, uses_gpu=False, cores=4)
    assert " – " in plain(cpu)


def test_only_a_starved_run_has_a_mark_at_its_data() -> None:
    assert "▲" in plain(time_line({"seconds": SECONDS}, 80))
    assert "▲" not in plain(time_line({"seconds": {**SECONDS, "data": 0.5}}, 80))


@pytest.mark.parametrize("width", [20, 40, 60, 100])
def test_the_shares_fit_at_every_width_and_waiting_for_data_is_named_last_to_go(width: int) -> None:
    line = plain(time_line({"seconds": SECONDS}, width))
    assert len(line) <= width
    assert "data" in line


def test_without_room_a_device_has_one_line_and_else_its_history_below() -> None:
    lines = [plain(line) for line in device_lines([SAMPLE] * 100, 50, 2, uses_gpu=False, cores=4)]
    assert lines[0].startswith("CPU")
    assert "187%" in lines[0]
    assert lines[0].endswith("of 4 cores")
    assert lines[1].startswith("RAM")
    assert "1.2 GB" in lines[1]
    assert lines[1].endswith("of 12.0 GB")
    assert all(len(line) == 50 for line in lines)
    tall = [plain(line) for line in device_lines([SAMPLE] * 100, 50, 12, uses_gpu=False, cores=4)]
    assert [number for number, line in enumerate(tall) if line[:3] in ("CPU", "RAM")] == [0, 6]
    assert all(set(line) <= {" ", *map(chr, range(0x2800, 0x2900))} for line in tall[1:6])


def test_a_gpu_that_tells_nothing_is_unknown_and_one_that_tells_is_shown_in_full() -> None:
    first = plain(device_lines([SAMPLE], 80, 3, uses_gpu=True, cores=4)[0])
    assert first.startswith("GPU")
    assert "unknown" in first
    told = plain(device_lines([{**SAMPLE, "gpu": GPU}], 80, 3, uses_gpu=True, cores=4)[0])
    assert "97%" in told
    assert told.endswith("12.3 GB of 80.0 GB 61 °C 310 W")


def test_at_40_columns_the_load_is_seen_and_what_says_less_is_left_out() -> None:
    line = plain(device_lines([{**SAMPLE, "gpu": GPU}], 40, 3, uses_gpu=True, cores=4)[0])
    assert len(line) <= 40
    assert "97%" in line
    assert "310 W" not in line


def test_a_run_from_another_machine_is_scaled_by_the_most_that_it_used() -> None:
    samples = [{**SAMPLE, "cpu": share} for share in (4.0, 2.0)]
    line = plain(device_lines(samples, 50, 2, uses_gpu=False, cores=0)[0])
    assert "200%" in line
    assert "cores" not in line


def test_the_title_says_how_far_the_history_reaches_and_whether_it_is_that_of_now() -> None:
    samples = [{"time": 100.0}, {"time": 340.0}]
    assert plain(devices_title(samples, is_live=True)) == "Devices  last 4 min 00 s"
    assert plain(devices_title(samples, is_live=False)).endswith("as of the end")


def test_before_the_first_sample_it_is_said_when_it_comes() -> None:
    assert (
        plain(device_lines([], 50, 5, uses_gpu=False, cores=4)[0]) == "no sample yet: the first one is taken after 5 s"
    )
