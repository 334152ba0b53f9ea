"""The time to read an epoch is that of the run's own loader."""

import math

import pytest

from torchdeck.engine.config.file import load_config
from torchdeck.engine.data.exploration.look import look_at_samples
from torchdeck.engine.data.exploration.reading_time import time_reading


class StoppedError(Exception):
    """Raised by a progress callback."""


def test_an_epoch_is_read_batch_by_batch_and_can_be_stopped() -> None:
    config = load_config("digits", ["loader.batch_size=100", "training.device=cpu"])
    seen: list[tuple[str, int, int]] = []
    seconds = time_reading(config, progress=lambda *report: seen.append(report))
    assert math.isfinite(seconds) and seconds > 0
    assert [report for report in seen if report[0] == "reading an epoch"][14] == ("reading an epoch", 15, 15)

    def stop(what: str, done: int, total: int) -> None:
        if what == "reading an epoch":
            raise StoppedError

    with pytest.raises(StoppedError):
        time_reading(config, progress=stop)


def test_the_parts_of_the_storage_add_up_to_what_is_allowed_for() -> None:
    look = look_at_samples(load_config("digits", ["training.device=cpu"]), epoch=0, count=2)
    assert look.storage is not None
    assert dict(look.storage.parts) == {"pixels": 1438 * 64, "padded": 143_800}
    assert sum(size for _, size in look.storage.parts) < look.storage.allowed
