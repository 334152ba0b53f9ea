import math

from torchdeck.engine.runs.browsing.group_comparison import GroupDifference
from torchdeck.engine.runs.browsing.seed_groups import Spread
from torchdeck.tui.words.runs.seed_text import difference_text, spread_text


def test_a_mean_has_its_deviation_and_number() -> None:
    assert spread_text("accuracy", Spread(0.9631, 0.0042, 5)) == "96.31% ± 0.42 (n=5)"
    assert spread_text("loss", Spread(0.125, 0.0125, 3)) == "0.1250 ± 0.013 (n=3)"
    assert spread_text("accuracy", Spread(0.9631, math.nan, 1)) == "96.31% (n=1)"
    assert spread_text("accuracy", None) == "–"


def test_a_difference_says_whether_it_is_more_than_noise() -> None:
    real = GroupDifference("accuracy", 0.0104, 0.008, 0.0127, 5, (5, 5))
    assert difference_text(real) == (
        "accuracy +1.04% paired over 5 seeds, 95% interval +0.80% to +1.27%: more than noise"
    )
    noise = GroupDifference("loss", -0.01, -0.05, 0.03, 0, (3, 4))
    assert difference_text(noise) == "loss -0.01 of the means, 95% interval -0.05 to +0.03: within noise"
    unknown = GroupDifference("loss", -0.01, math.nan, math.nan, 0, (2, 2))
    assert "too few runs to tell it from noise; train 4 seeds that both have, or 3 of each" in difference_text(unknown)
