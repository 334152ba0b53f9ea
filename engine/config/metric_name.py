"""The metrics that a setting may name."""

from __future__ import annotations

from typing import Literal

MetricName = Literal[
    "auto",
    "loss",
    "accuracy",
    "top_k",
    "macro_f1",
    "micro_f1",
    "weighted_f1",
    "macro_precision",
    "macro_recall",
    "calibration_error",
    "likelihood",
    "exact_match",
    "mae",
    "rmse",
    "r2",
]
