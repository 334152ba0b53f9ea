"""One sample after each step of its pipeline."""

import numpy as np
import pytest
from data_cases import component, run_config

from torchdeck.engine.data.datasets.sources import open_sources
from torchdeck.engine.data.exploration.preview import preview
from torchdeck.engine.data.exploration.sample_trace import trace_sample

STEPS = [
    component("RandomCrop", size=8, padding=2),
    component("RandomRotation", degrees=40),
    component("Resize", size=[16, 16]),
    component("Normalize", mean=[0.3], std=[0.4]),
]


@pytest.mark.parametrize("storage", ["auto", "loader"])
def test_a_trace_ends_with_what_the_model_gets(storage: str) -> None:
    config = run_config(seed=3, dataset="digits", validation=0.2, train_transforms=STEPS, storage=storage)
    trace = trace_sample(config, epoch=4, position=17)
    assert [step.name for step in trace.steps] == ["as stored", *(spec.name for spec in STEPS)]
    assert [step.shape for step in trace.steps] == [(1, 8, 8)] * 3 + [(1, 16, 16)] * 2
    assert [step.dtype for step in trace.steps] == ["uint8"] * 4 + ["float32"]
    assert trace.batched == (storage == "auto")
    (shown,) = preview(open_sources(config.data, 3), config.data, 3, 4, [17], train=True)
    assert np.array_equal(trace.steps[0].pixels, shown.raw)
    assert np.array_equal(trace.steps[-1].pixels, shown.shown)
    assert trace.label == shown.target


def test_bytes_are_scaled_at_the_end_where_no_step_does_it() -> None:
    config = run_config(dataset="digits", validation=0.2, train_transforms=[component("RandomHorizontalFlip", p=1.0)])
    stored, flipped, last = trace_sample(config, epoch=0, position=3).steps
    assert (flipped.dtype, last.name, last.dtype) == ("uint8", "into the model", "float32")
    assert np.array_equal(flipped.pixels, stored.pixels[:, ::-1])
    assert last.maximum == pytest.approx(flipped.maximum / 255)
    assert last.mean == pytest.approx(flipped.mean / 255)


def test_what_mixes_batches_is_no_step_of_a_sample() -> None:
    config = run_config(
        dataset="digits", validation=0.2, train_transforms=[component("RandomHorizontalFlip"), component("MixUp")]
    )
    assert "MixUp" not in [step.name for step in trace_sample(config, epoch=0, position=3).steps]
