"""A data set that a function in the user's own file makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...config import DataConfig
from ...errors import DataError
from ...user_code import accepted_arguments, call_user_code, check_arguments, load_object
from ...user_path import user_path
from .splits import DatasetParts, SampleDataset


def open_user_dataset(config: DataConfig) -> DatasetParts:
    """Call `path/to/file.py:factory` with `data.arguments`.

    The factory is given `root` where it takes it. It makes the splits in one of three ways: it takes `train` (True or
    False) and is called twice; it takes `split` ("train" or "test") and is called twice; or it is called once and
    returns a data set, or a mapping of data sets by "train", "validation" and "test". A data set is map-style, its
    samples are (input, target). `classes` (names), `targets` (one per sample) and `collate_fn` (samples into a batch)
    are read where it has them; a mapping may hold a `collate_fn` too.

    Raises:
        ConfigError: arguments that the factory doesn't take.
        UserCodeError: no such file or name, or its code failed.
        DataError: its return value is not such a data set.
    """
    factory = load_object(config.dataset, "a function that returns a data set")
    offered = accepted_arguments(factory, {"root": str(user_path(config.root))})
    arguments = {**offered, **config.arguments}
    for argument, values in (("train", (True, False)), ("split", ("train", "test"))):
        if argument not in arguments and accepted_arguments(factory, {argument: None}):
            parts = [_call(factory, {**arguments, argument: value}, config.dataset) for value in values]
            return _opened({"train": parts[0], "test": parts[1]}, config.dataset)
    made = _call(factory, arguments, config.dataset)
    return _opened(made if isinstance(made, Mapping) else {"train": made}, config.dataset)


def _call(factory: Callable[..., Any], arguments: dict[str, Any], spec: str) -> Any:
    check_arguments(factory, arguments, "data.arguments")
    return call_user_code(factory, arguments, spec)


def _opened(parts: Mapping[str, Any], spec: str) -> DatasetParts:
    if "train" not in parts:
        raise DataError(
            f'{spec}: returned data sets named {", ".join(map(str, parts)) or "nothing"}; expected "train"'
        )
    parts = dict(parts)
    collate = parts.pop("collate_fn", None) or getattr(parts["train"], "collate_fn", None)
    if collate is not None and not callable(collate):
        raise DataError(f"{spec}: collate_fn is {type(collate).__name__}; expected a function of a list of samples")
    for name, part in parts.items():
        if name not in ("train", "validation", "test"):
            raise DataError(f'{spec}: returned a data set named "{name}"; known: train, validation, test, collate_fn')
        if part is not None and not (hasattr(part, "__len__") and hasattr(part, "__getitem__")):
            raise DataError(
                f"{spec}: returned {type(part).__name__} for {name}; expected a map-style data set, "
                "with __len__ and __getitem__"
            )
    train: SampleDataset = parts["train"]
    if train is None:
        raise DataError(f"{spec}: returned None; expected a map-style data set")
    classes = getattr(train, "classes", None)
    return DatasetParts(
        train,
        parts.get("validation"),
        parts.get("test"),
        None if classes is None else list(classes),
        collate=collate,
    )
