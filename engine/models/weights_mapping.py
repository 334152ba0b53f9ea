"""Match the tensors of a file to a model's by name and shape. Imports no torch and reads no tensor.

Both sides are tables of shapes by name: those of a file come from `tensor_files.checkpoint_file`, without opening it
with torch; those of a model from its state_dict, which may lie on the meta device.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import CheckpointError
from ..shapes import tensor_words

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

# Where programs keep a model's state_dict in a checkpoint; torch's tutorial first, averaged weights last.
_ENTRIES = (
    "model_state_dict",
    "state_dict",
    "model",
    "net",
    "weights",
    "ema_state_dict",
    "state_dict_ema",
    "model_ema",
    "ema",
)
_OPTIMIZERS = re.compile(r"(optimizers?|optimizer_states?|optimizer_state_dict|optim|lr_schedulers?)\.")
_AVERAGED = re.compile(r"(^|[._])(ema|swa|averaged?)([._]|$)")
# torch.compile puts this before the names of whatever it wraps, which may be a part of a model.
_COMPILED = re.compile(r"(^|\.)_orig_mod\.")
# Weights that torchvision published for DenseNet have names from when those could hold a dot: `norm.1` for `norm1`.
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
# How a pickled torch.nn.Module keeps its parts; in a state_dict's names these don't occur.
_MODULE_PARTS = {"_modules", "_parameters", "_buffers"}
_SHOWN = 5


@dataclass(frozen=True)
class ShapeDifference:
    """A tensor that both sides have, in two shapes."""

    name: str
    in_file: Shape
    in_model: Shape

    def __str__(self) -> str:
        return f"{self.name} ({tensor_words(self.in_file)} in the file, {tensor_words(self.in_model)} here)"


@dataclass(frozen=True)
class WeightsMapping:
    """The tensors of a file against those of a model.

    Attributes:
        prefix: prefix of the model's names in the file, such as "state_dict.model."; may be empty.
        matched: the file's name for each of the model's whose shape agrees, in the model's order.
        missing: names in the model that are not in the file.
        unexpected: names in the file that are not in the model.
        different: names in both whose shapes differ.
        alternatives: other prefixes under which the file holds as many fitting tensors, such as averaged weights.
    """

    prefix: str
    matched: dict[str, str]
    missing: list[str]
    unexpected: list[str]
    different: list[ShapeDifference]
    alternatives: list[str] = field(default_factory=list)

    def without(self, names: Collection[str]) -> WeightsMapping:
        """The mapping with the mismatches of the model's `names` left out."""
        return WeightsMapping(
            self.prefix,
            self.matched,
            [name for name in self.missing if name not in names],
            self.unexpected,
            [entry for entry in self.different if entry.name not in names],
            self.alternatives,
        )

    def describe(self) -> str:
        """Description of what does not match; empty if everything does."""
        parts = [
            _listed("missing in the file", self.missing),
            _listed("different shape", [str(entry) for entry in self.different]),
            _listed("only in the file", self.unexpected),
        ]
        return "; ".join(part for part in parts if part)


def map_weights(file: Shapes, model: Shapes, entry: str = "") -> WeightsMapping:
    """Find the model's tensors in a file, below whatever prefixes programs and wrappers put before their names.

    The prefix is the one below which the most tensors fit: a checkpoint's entry (`model_state_dict`, `state_dict`,
    …), a wrapper's (`module.`, `_orig_mod.`, `model.`) or the place of the network in a larger one (`backbone.`).
    The tensors of a pickled model have the names that they would have in its state_dict.
    Where several fit alike, the first of them that is not of averaged weights counts.

    Args:
        file: shapes of the file's tensors by dotted name.
        model: shapes of the model's tensors by name.
        entry: look only below this entry of the file, such as "state_dict_ema"; empty for anywhere.

    Raises:
        CheckpointError: the file has no tensors, or no such entry; the text names those it has.
    """
    names = {name: _modern(name) for name in file if not _OPTIMIZERS.match(name)}
    if entry:
        names = {name: clean for name, clean in names.items() if name.startswith(f"{entry}.")}
        if not names:
            known = ", ".join(entries_of(file)) or "none"
            raise CheckpointError(f"has no entry {entry!r} with tensors; its entries: {known}")
    if not names:
        raise CheckpointError("contains no model tensors")
    votes = _votes(names, file, model)
    ranked = sorted(votes, key=lambda prefix: (*(-count for count in votes[prefix]), *_rank(prefix)))
    prefix = ranked[0] if ranked else (f"{entry}." if entry else _largest_entry(names))
    alternatives = [other for other in ranked[1:] if votes[other][0] == votes[prefix][0] > 1]
    return _below(prefix, names, file, model, alternatives)


def same_names(file: Shapes, model: Shapes) -> WeightsMapping:
    """The mapping of equal names, nothing stripped: what `load_state_dict` would find."""
    return _below("", {name: name for name in file}, file, model, [])


def entries_of(file: Shapes) -> list[str]:
    """Entries of a checkpoint that hold tensors of a model, under the names that programs give them."""
    found = {name.partition(".")[0] for name in file}
    return [entry for entry in _ENTRIES if entry in found]


def state_dict_name(name: str) -> str:
    """The name in a state_dict of a tensor that a pickled model keeps below `_modules`, `_parameters`, `_buffers`."""
    return ".".join(part for part in name.split(".") if part not in _MODULE_PARTS)


def _modern(name: str) -> str:
    while (shorter := _COMPILED.sub(r"\1", name)) != name:
        name = shorter
    return _OLD_DENSENET.sub(r"\1\2", state_dict_name(name))


def _votes(names: Mapping[str, str], file: Shapes, model: Shapes) -> dict[str, tuple[int, int]]:
    """How many of the model's tensors the file has below each prefix: of the same shape, and of any."""
    votes: dict[str, tuple[int, int]] = {}
    for name, clean in names.items():
        parts = clean.split(".")
        for cut in range(len(parts)):
            shape = model.get(".".join(parts[cut:]))
            if shape is not None:
                prefix = "".join(f"{part}." for part in parts[:cut])
                same, any_shape = votes.get(prefix, (0, 0))
                votes[prefix] = (same + (file[name] == shape), any_shape + 1)
    return votes


def _rank(prefix: str) -> tuple[bool, int, int]:
    """Which of two prefixes with as many tensors counts: the lower one."""
    entry = prefix.partition(".")[0]
    known = _ENTRIES.index(entry) if entry in _ENTRIES else len(_ENTRIES)
    return bool(_AVERAGED.search(prefix)), known, len(prefix)


def _largest_entry(names: Mapping[str, str]) -> str:
    """Where to look for a network that the file has nothing of, so that what it has instead can be listed."""
    counts = {entry: sum(name.startswith(f"{entry}.") for name in names) for entry in _ENTRIES}
    entry = max(counts, key=lambda entry: counts[entry])
    return f"{entry}." if counts[entry] else ""


def _below(
    prefix: str, names: Mapping[str, str], file: Shapes, model: Shapes, alternatives: list[str]
) -> WeightsMapping:
    place = {clean.removeprefix(prefix): name for name, clean in names.items() if clean.startswith(prefix)}
    used = {place[name] for name in model if name in place}
    entry = prefix.partition(".")[0]
    return WeightsMapping(
        prefix,
        {name: place[name] for name in model if name in place and file[place[name]] == model[name]},
        # Batch counts of batch norms came late; their value hardly matters.
        [name for name in model if name not in place and not name.endswith("num_batches_tracked")],
        [name for name, clean in names.items() if name not in used and _is_beside(clean, entry)],
        [
            ShapeDifference(name, file[place[name]], model[name])
            for name in model
            if name in place and file[place[name]] != model[name]
        ],
        alternatives,
    )


def _is_beside(name: str, entry: str) -> bool:
    """Whether a tensor belongs to the weights found below `entry`, and not to another entry of the checkpoint."""
    first = name.partition(".")[0]
    return not entry or first == entry or first not in _ENTRIES


def _listed(what: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{what}: {', '.join(names[:_SHOWN])}{more}"
