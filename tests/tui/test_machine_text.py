from torchdeck.tui.words.machine_text import machine_line, time_shares

SECONDS = {"computing": 6.0, "data": 3.0, "evaluation": 1.0, "saving": 0.01, "compiling": 0.0}
SAMPLE = {"cpu": 1.87, "memory": 1_200_000_000, "gpu": None}


def test_the_time_of_a_run_is_shown_as_shares_and_what_rounds_to_nothing_is_left_out() -> None:
    assert machine_line({"seconds": SECONDS}, {}, is_live=False).plain == "compute 60%  data 30%  evaluation 10%"
    assert time_shares({}) == {}


def test_numbers_that_no_float_holds_are_as_good_as_none() -> None:
    huge = 10**400
    line = machine_line({"seconds": {**SECONDS, "saving": huge}}, {**SAMPLE, "cpu": huge}, is_live=True)
    assert line.plain.startswith("compute 60%  data 30%  evaluation 10%")


def test_a_starved_run_stands_out() -> None:
    line = machine_line({"seconds": SECONDS}, {}, is_live=False)
    assert [line.plain[span.start : span.end] for span in line.spans if span.style == "yellow"] == ["data 30%"]


def test_processor_and_memory_are_those_of_now_only_while_the_run_lives() -> None:
    assert machine_line({}, SAMPLE, is_live=True).plain == "CPU 187%  RAM 1.2 GB"
    assert machine_line({}, SAMPLE, is_live=False).plain == ""


def test_a_gpu_that_tells_nothing_is_unknown_and_one_that_tells_is_shown() -> None:
    assert machine_line({"uses_gpu": True}, SAMPLE, is_live=True).plain.endswith("GPU unknown")
    gpu = {"utilisation": 0.97, "memory_used": 12.3e9, "memory_total": 80e9, "power": 310.2, "temperature": 61.0}
    line = machine_line({"uses_gpu": True}, {**SAMPLE, "gpu": gpu}, is_live=True)
    assert line.plain.endswith("GPU 97%  12.3 GB of 80.0 GB  310 W  61 °C")


def test_at_80_columns_the_gpu_is_seen_and_what_says_less_is_left_out() -> None:
    gpu = {"utilisation": 0.97, "memory_used": 112.3e9, "memory_total": 141e9, "power": 650.2, "temperature": 61.0}
    state = {"seconds": {**SECONDS, "compiling": 2.0}, "uses_gpu": True}
    line = machine_line(state, {**SAMPLE, "gpu": gpu}, is_live=True, width=78)
    assert line.plain == "compute 50%  data 25%  │  CPU 187%  RAM 1.2 GB  GPU 97%  112 GB of 141 GB"
    assert machine_line(state, {**SAMPLE, "gpu": gpu}, is_live=True, width=10).plain.endswith(
        "GPU 97%  112 GB of 141 GB"
    )
