"""Names of the files in a run's directory."""

from __future__ import annotations

CONFIG_FILE = "run.toml"
INFO_FILE = "run.json"
STATE_FILE = "state.json"
EVALUATION_FILE = "evaluation.json"
METRICS_FILE = "metrics.jsonl"
EVENTS_FILE = "events.jsonl"
PROBES_FILE = "probes.jsonl"
SYSTEM_FILE = "system.jsonl"
LABELS_FILE = "labels.json"
LOG_FILE = "engine.log"

RANKS_FOLDER = "ranks"
"""Of a run of several processes: where each stands, and the log of each but the first."""

CHECKPOINTS = "checkpoints"
"""The folder of checkpoints; `LAST_FILE` and `BEST_FILE` in it are further names of two of them."""
LAST_FILE = "last.pt"
BEST_FILE = "best.pt"
