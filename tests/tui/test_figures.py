"""Numbers, sizes and counts as text."""

import pytest

from torchdeck.tui.words.figures import flops_per_sample, plural


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 classes"), (1, "1 class"), (2, "2 classes"), (1000, "1,000 classes")]
)
def test_a_count_agrees_with_its_noun(count: int, text: str) -> None:
    assert plural(count, "class", "classes") == text


def test_most_plurals_end_in_s() -> None:
    assert [plural(count, "step") for count in (1, 2)] == ["1 step", "2 steps"]


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
