"""Numbers and sizes as text."""

import pytest

from torchdeck.tui.words.figures import flops_per_sample, progress_words


@pytest.mark.parametrize(
    ("flops", "text"),
    [
        (12, "12 FLOPs/sample"),
        (999.6, "1 kFLOPs/sample"),
        (4_760_000, "4.76 MFLOPs/sample"),
        (1.8e9, "1.8 GFLOPs/sample"),
        (2e15, "2e+03 TFLOPs/sample"),
    ],
)
def test_operations_have_the_unit_of_their_size(flops: float, text: str) -> None:
    assert flops_per_sample(flops) == text


def test_work_is_said_with_the_numbers_that_there_are() -> None:
    assert progress_words("opening", 0, 0) == "opening …"
    assert progress_words("listing files", 4200, 0) == "listing files 4,200 …"
    assert progress_words("decoding", 4200, 60_000) == "decoding 4,200 of 60,000 …"
