"""The series that a figure belongs to by the name that another program gave it.

torchdeck's series are `train/NAME`, `validation/NAME`, `test/NAME` and `lr`. Other programs write `val_loss`,
`eval/acc`, `Loss/train`, `train_loss_step`, `learning_rate`. Without a word for the split, a figure is of the
training.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from .metric_names import METRICS

LR = "lr"
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "eval", "evaluation", "dev"), "validation"),
    "test": "test",
}
_SYNONYMS = {
    "acc": "accuracy",
    "categorical_accuracy": "accuracy",
    "sparse_categorical_accuracy": "accuracy",
    "binary_accuracy": "accuracy",
    "multiclassaccuracy": "accuracy",
    "f1": "macro_f1",
    "grad_norm": "gradient_norm",
}
_RATE = re.compile(r"(?:.*[/._-])?(?:lr|learning[_ -]?rate)(?:[/_-](?:pg|group)?0)?", re.IGNORECASE)
# Lightning's name for a rate: lr-Adam, lr-SGD/pg1.
_NAMED_RATE = re.compile(r"lr-\w+", re.IGNORECASE)
_SEPARATOR = re.compile(r"[/_. -]+")
# What Lightning adds to the name of a figure that it writes both ways.
_PER_STEP = re.compile(r"_step\Z")
# Words of figures that are better when they are larger.
_LARGER = re.compile(
    r"acc|auc|auroc|bleu|dice|exact|f1|fitness|m?iou|likelihood|map\d*|meteor|ndcg|precision|psnr|r2|recall|reward|rouge|"
    r"score|ssim|success|top\w*|win|return",
)
_SMALLER = re.compile(r"loss|error|mae|mse|rmse|perplexity|ppl|nll|wer|cer|fid|kl|time|calibration")


@lru_cache(maxsize=4096)
def series_name(name: str) -> str:
    """The series of a figure: `val_acc` is "validation/accuracy", `learning_rate` is "lr"."""
    if _RATE.fullmatch(name) or _NAMED_RATE.fullmatch(name):
        return LR
    split, rest = _split_of(name)
    rest = _PER_STEP.sub("", rest) or rest
    plain = rest.lower()
    plain = _SYNONYMS.get(plain, plain)
    # What torchdeck has no name for keeps its own.
    return f"{split or 'train'}/{plain if plain in METRICS or plain in _SYNONYMS.values() else rest}"


def split_of(word: str) -> str:
    """The split that a word names: "validation" for val and eval; empty if it names none."""
    return _SPLITS.get(word.lower(), "")


def is_of_evaluation(series: str) -> bool:
    """Whether a series is measured by an evaluation."""
    return series.startswith(("validation/", "test/"))


def larger_is_better(metric: str) -> bool:
    """Whether a metric of another program improves upwards: as torchdeck's own of this name, else by its words."""
    if metric in METRICS:
        return METRICS[metric].larger_is_better
    parted = re.sub(r"([a-z])([A-Z])", r"\1_\2", metric)
    words = [word for word in _SEPARATOR.split(f"{metric} {parted}".lower()) if word]
    if any(_SMALLER.fullmatch(word) or word.endswith("loss") for word in words):
        return False
    return any(_LARGER.match(word) for word in words)


def telling_metric(names: Collection[str]) -> str:
    """The metric that an evaluation of another program is judged by; empty if it measured none.

    Args:
        names: what it measured, without the split.
    """
    upwards = [name for name in names if larger_is_better(name)]
    if "accuracy" in upwards:
        return "accuracy"
    return next(iter(upwards), "loss" if "loss" in names else next(iter(names), ""))


def _split_of(name: str) -> tuple[str, str]:
    """The split that a name begins or ends with, and the rest; an empty split where it names none."""
    parts = _SEPARATOR.split(name)
    if len(parts) > 1:
        if (split := _SPLITS.get(parts[0].lower())) is not None:
            rest = name[len(parts[0]) :].lstrip("/_. -") or name
            # An event file in a folder of its split may name it again: train/Loss/train.
            return split, rest.removesuffix(f"/{parts[0]}") or name
        if (split := _SPLITS.get(parts[-1].lower())) is not None:
            return split, name[: -len(parts[-1])].rstrip("/_. -") or name
    return "", name
