"""How long the randomized campaigns of the tests run."""

import os


def is_full_campaign() -> bool:
    """Whether long randomized campaigns run whole (nightly) or in a short form."""
    return os.environ.get("TORCHDECK_CAMPAIGN") == "full"
