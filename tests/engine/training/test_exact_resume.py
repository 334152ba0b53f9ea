import json
import subprocess
from pathlib import Path

import pytest
from campaign import is_full_campaign
from warm_python import warm_python

SCRIPT = Path(__file__).with_name("kill_and_resume.py")


def campaign(*options: str) -> dict[str, object]:
    result = subprocess.run(
        [*warm_python(), str(SCRIPT), *options], capture_output=True, text=True, cwd=Path(__file__).parents[3]
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


in_full_campaigns_only = pytest.mark.skipif(not is_full_campaign(), reason="takes minutes: TORCHDECK_CAMPAIGN=full")


@pytest.mark.campaign
@pytest.mark.parametrize(
    "options",
    [
        pytest.param(
            ["--change", "training.probe_every=0|3", "--epochs", "2" if is_full_campaign() else "1"],
            id="augmentation, accumulation, probes on and off",
        ),
        pytest.param(
            ["--precision", "fp16", "--model", "mlp", "--accumulate", "1", "--epochs", "1"], id="fp16 with GradScaler"
        ),
        pytest.param(["--storage", "loader", "--epochs", "1"], id="DataLoader"),
        pytest.param(
            ["--compile", "--model", "mlp", "--accumulate", "1", "--epochs", "1"],
            id="compiled",
            marks=in_full_campaigns_only,
        ),
        pytest.param(["--precision", "bf16", "--accumulate", "1"], id="bf16", marks=in_full_campaigns_only),
        pytest.param(
            ["--storage", "loader", "--epochs", "1", "--change", "loader.num_workers=0|2"],
            id="number of workers changed",
            marks=in_full_campaigns_only,
        ),
    ],
)
def test_a_run_killed_at_random_moments_ends_bit_identical_to_an_uninterrupted_one(options: list[str]) -> None:
    length = ["--trials", "50"] if is_full_campaign() else ["--trials", "2", "--evaluate-every", "16"]
    result = campaign(*length, *options)
    assert result["mismatches"] == [], result
    assert result["kills"], result
