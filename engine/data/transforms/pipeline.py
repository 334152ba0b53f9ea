"""Transforms of torchvision.transforms.v2 by name, checked against its signatures, and the pipeline of one sample.

Pixels enter as a uint8 tensor [C, H, W]. They become floats between 0 and 1 where a transform says so (ToTensor,
ToDtype), else before the first transform that needs floats (Normalize), else at the end.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from ...config import Component
from ...errors import ConfigError, TorchdeckError, did_you_mean
from ...plurals import plural
from ...user_code import call_user_code, check_arguments, is_user_spec, load_object, raise_user_error
from ..datasets.samples import is_channels_first
from .albumentations_steps import is_albumentations, make_albumentations_step
from .entries import annotation_text
from .mixing import MIXES, make_mixes, of_samples

# Containers take further transforms, written like the pipeline itself, in this argument.
CONTAINERS = frozenset({"Compose", "RandomApply", "RandomChoice", "RandomOrder"})

_UNUSABLE = {
    "FiveCrop": "it makes several images from one sample",
    "Lambda": "a function can't be written in TOML: use path/to/file.py:factory",
    "TenCrop": "it makes several images from one sample",
    "Transform": "it is the base class of the others",
    "UniformTemporalSubsample": "it is for video",
}

# These keep their own image formats, or are what the pipeline does by itself.
_NO_OPERATION = frozenset({"ToImage", "PILToTensor", "ToPureTensor", "Identity"})
NEEDS_FLOAT = frozenset({"Normalize", "LinearTransformation"})


def check_transforms(specs: Sequence[Component], where: str) -> None:
    """Check names, arguments and values against torchvision, without any data.

    Args:
        specs: the pipeline.
        where: the config's key, such as "data.train_transforms".

    Raises:
        ConfigError: the first thing that is wrong.
        UserCodeError: a transform of the user's own file that can't be loaded.
    """
    for position, spec in enumerate(specs):
        make_transform(spec, f"{where}[{position}]")
    make_mixes(specs, where)


def make_transform(spec: Component, where: str) -> Callable[[Any], Any]:
    """One transform from its name and arguments. Raises ConfigError, UserCodeError."""
    if is_user_spec(spec.name):
        return _make_user_transform(spec, where)
    if is_albumentations(spec.name):
        return make_albumentations_step(spec, where)
    classes = transform_classes()
    if spec.name not in classes:
        if spec.name in _UNUSABLE:
            raise ConfigError(f"{where}: {spec.name} can't be used here: {_UNUSABLE[spec.name]}")
        raise ConfigError(
            f"{where}: torchvision.transforms.v2 has no transform '{spec.name}'{did_you_mean(spec.name, classes)}"
        )
    cls = classes[spec.name]
    arguments = spec.arguments
    _check_names(spec.name, cls, arguments, where)
    parameters = {parameter.name: parameter for parameter in transform_parameters(cls)}
    values = {name: _value(value, parameters[name], f"{where}.{name}", spec.name) for name, value in arguments.items()}
    if spec.name == "ToTensor":
        # The pipeline scales by itself, and torchvision warns of this class.
        return v2.Identity()
    try:
        return cls(**values)
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ConfigError(f"{where}: {spec.name}({_shown(arguments)}): {error}") from error


class SamplePipeline:
    """Transform pipeline of one sample: image in, float tensor [C, H, W] out. Pickles as its specification.

    What mixes whole batches is left to `torchdeck.engine.data.transforms.mixing`.

    Raises ConfigError when it is called on an image that a transform can't take.
    """

    def __init__(self, specs: Sequence[Component], where: str = "transforms", scale: bool = True) -> None:
        """Make the transforms.

        Args:
            specs: the pipeline.
            where: the config's key, for messages.
            scale: whether uint8 pixels become floats between 0 and 1 at the end.

        Raises:
            ConfigError, UserCodeError: what `check_transforms` would refuse.
        """
        self.specs = tuple(specs)
        self.where = where
        self.scale = scale
        self._steps = [(spec, make_transform(spec, f"{where}[{k}]")) for k, spec in enumerate(of_samples(self.specs))]

    def __getstate__(self) -> dict[str, Any]:
        return {"specs": self.specs, "where": self.where, "scale": self.scale}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["specs"], state["where"], state["scale"])  # type: ignore[misc]

    def __call__(self, image: Any) -> Tensor:
        """Apply every transform, in order, to a PIL image, an array [H, W] or [H, W, C], or a tensor [C, H, W]."""
        return self.apply(to_tensor(image))

    def apply(self, image: Tensor) -> Tensor:
        """Apply every transform to a tensor [C, H, W], or [N, C, H, W] where all of them are deterministic."""
        pixels = self._run(image, _apply_step)
        return to_float(pixels) if self.scale else to_tensor(pixels)

    def apply_as_it_is(self, value: Any) -> Any:
        """Apply every transform to an input that is not an image; nothing is scaled or converted."""
        return self._run(value, _apply_plainly)

    def apply_to_pair(self, image: Tensor, target: Any) -> tuple[Tensor, Any]:
        """Apply every transform to an image and to the boxes, masks and key points in its target alike."""
        image, target = self._run((image, target), _apply_to_pair)
        return to_float(image), target

    def _run(self, value: Any, apply: Callable[[Component, Callable[[Any], Any], Any, str], Any]) -> Any:
        pixels = value
        for position, (spec, transform) in enumerate(self._steps):
            try:
                pixels = apply(spec, transform, pixels, f"{self.where}[{position}]: {spec.name}")
            except TorchdeckError:
                raise
            except Exception as error:
                if is_user_spec(spec.name):
                    raise_user_error(error, f"{self.where}[{position}]: {spec.name}")
                shape = "×".join(map(str, getattr(pixels, "shape", ())[-3:]))
                raise ConfigError(
                    f"{self.where}[{position}]: {spec.name}({_shown(spec.arguments)}) can't be applied to "
                    f"{shape or type(pixels).__name__}: {error}"
                ) from error
        return pixels


def to_tensor(image: Any) -> Tensor:
    """A PIL image, an array or a tensor [C, H, W] as a tensor [C, H, W]. Raises TypeError.

    An array is [H, W] or [H, W, C]; [C, H, W] where it can be nothing else.
    """
    if isinstance(image, Tensor):
        return image[None] if image.ndim == 2 else image
    if isinstance(image, Image.Image):
        if image.mode not in ("L", "RGB"):
            image = image.convert("L" if image.mode in ("1", "LA") else "RGB")
        return functional.pil_to_tensor(image)
    if not hasattr(image, "__array__"):
        raise TypeError(f"an image is {type(image).__name__}; expected a PIL image, an array or a tensor")
    # A copy: arrays of data sets in memory are often read-only, which torch can't express.
    array = torch.from_numpy(image.__array__().copy())
    if array.ndim == 2:
        return array[None]
    return array if is_channels_first(array.shape[-3:]) else array.movedim(-1, -3)


def to_float(pixels: Any) -> Tensor:
    """Scale uint8 pixels to float32 between 0 and 1, as ToTensor does; float pixels stay as they are.

    v2's ToDtype multiplies by 1/255 instead, which differs in the last bit.
    """
    tensor = to_tensor(pixels)
    if tensor.is_floating_point():
        return tensor.as_subclass(Tensor).to(torch.float32)
    if tensor.dtype == torch.uint8:
        return tensor.as_subclass(Tensor).float().div_(255)
    return functional.to_dtype(tensor, torch.float32, scale=True).as_subclass(Tensor)


def _apply_plainly(spec: Component, transform: Callable[[Any], Any], value: Any, where: str) -> Any:
    return transform(value)


def _apply_to_pair(spec: Component, transform: Callable[..., Any], pair: Any, where: str) -> Any:
    image, target = pair
    if is_albumentations(spec.name):
        raise ConfigError(f"{where}: transforms only the image, but the boxes or masks must change with it")
    if is_user_spec(spec.name):
        changed = transform(image, target)
        if not isinstance(changed, tuple | list) or len(changed) != 2:
            raise ConfigError(f"{where} returned {type(changed).__name__}; expected a pair (image, target)")
        return _checked(changed[0], where), changed[1]
    if spec.name in _NO_OPERATION or spec.name in NEEDS_FLOAT or spec.name == "ToTensor" or is_plain_scaling(spec):
        return _apply_step(spec, transform, image, where), target
    return transform(tv_tensors.Image(image), target)


def _apply_step(spec: Component, transform: Callable[[Any], Any], pixels: Any, where: str) -> Any:
    if spec.name in _NO_OPERATION:
        return to_tensor(pixels)
    if spec.name == "ToTensor" or is_plain_scaling(spec):
        return to_float(pixels)
    if spec.name in NEEDS_FLOAT:
        pixels = to_float(pixels)
    if spec.name == "Normalize":
        check_normalize(spec, pixels.shape[-3])
    return _checked(transform(pixels), where) if is_user_spec(spec.name) else transform(pixels)


def _checked(returned: Any, where: str) -> Any:
    """What a user's transform returned. Raises ConfigError for anything but an image."""
    try:
        tensor = to_tensor(returned)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where} returned {type(returned).__name__}; expected an image") from error
    # An array [H, W] is a gray image; a tensor of two dimensions has lost one of its three.
    lacks_one = isinstance(returned, Tensor) and returned.ndim == 2
    if lacks_one or tensor.ndim not in (3, 4) or not tensor.numel():
        shape = list(returned.shape if isinstance(returned, Tensor) else tensor.shape)
        raise ConfigError(f"{where} returned a tensor of shape {shape}; expected [C, H, W]")
    return returned


def is_plain_scaling(spec: Component) -> bool:
    """Whether a ToDtype or ConvertImageDtype means float32 between 0 and 1, as ToTensor does."""
    scales = spec.name == "ConvertImageDtype" or (spec.name == "ToDtype" and spec.arguments.get("scale", False))
    return scales and str(spec.arguments.get("dtype", "float32")).removeprefix("torch.") == "float32"


def check_normalize(spec: Component, channels: int) -> None:
    """Raise ValueError for three means and one gray channel, which torchvision would broadcast silently."""
    for name in ("mean", "std"):
        count = len(spec.arguments[name])
        if count not in (1, channels):
            raise ValueError(f"{name} has {plural(count, 'value')}, but the image has {plural(channels, 'channel')}")


def transform_classes() -> dict[str, type]:
    """torchvision's transforms of a single image."""
    return {
        name: cls
        for name, cls in vars(v2).items()
        if inspect.isclass(cls) and issubclass(cls, v2.Transform) and name not in _UNUSABLE
    }


def transform_parameters(cls: type) -> list[inspect.Parameter]:
    """The parameters of a transform's class that a config may give."""
    parameters = inspect.signature(cls).parameters
    # A batch mix would need the classes and the position of the targets, which are known here.
    return [parameters["alpha"]] if cls.__name__ in MIXES else list(parameters.values())


def _check_names(name: str, cls: type, arguments: Mapping[str, Any], where: str) -> None:
    parameters = {parameter.name: parameter for parameter in transform_parameters(cls)}
    for argument in arguments:
        if argument not in parameters:
            known = did_you_mean(argument, parameters) if parameters else "; it has none"
            raise ConfigError(f"{where}: {name} has no argument '{argument}'{known}")
    for parameter in parameters.values():
        required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if required and parameter.name not in arguments:
            raise ConfigError(f"{where}: {name} needs the argument '{parameter.name}' ({annotation_text(parameter)})")


def _value(value: Any, parameter: inspect.Parameter, where: str, transform: str) -> Any:
    """A value from TOML as the type that torchvision wants. Raises ConfigError."""
    if transform in CONTAINERS and parameter.name == "transforms":
        return _nested(value, where)
    if parameter.name == "dtype":
        return _dtype(value, where)
    if parameter.name == "interpolation" and isinstance(value, str):
        modes = [mode.value for mode in v2.InterpolationMode]
        if value.lower() not in modes:
            raise ConfigError(f"{where} = '{value}': {_one_of(value, modes)}")
        return v2.InterpolationMode(value.lower())
    if parameter.name == "policy" and isinstance(value, str):
        policies = [policy.value for policy in v2.AutoAugmentPolicy]
        if value.lower() not in policies:
            raise ConfigError(f"{where} = '{value}': {_one_of(value, policies)}")
        return v2.AutoAugmentPolicy(value.lower())
    if transform in MIXES and _is_number(value) and value <= 0:
        raise ConfigError(f"{where} = {value!r}: must be above 0")
    if transform == "LinearTransformation":
        return torch.tensor(value)
    _check_type(value, parameter, where)
    return value


def _one_of(value: str, known: list[str]) -> str:
    return f"must be one of {', '.join(known)}{did_you_mean(value, known) if value else ''}"


def _check_type(value: Any, parameter: inspect.Parameter, where: str) -> None:
    """Compare with a plain annotation; torchvision itself takes `p = "often"` and fails in the middle of an epoch."""
    annotation = annotation_text(parameter)
    if parameter.name in ("mean", "std") and annotation.startswith("Sequence"):
        numbers = isinstance(value, list | tuple) and value and all(_is_number(item) for item in value)
        if not numbers:
            raise ConfigError(f"{where} = {value!r}: must be a list of numbers, one per channel")
        if parameter.name == "std" and not all(item > 0 for item in value):
            raise ConfigError(f"{where} = {value!r}: every standard deviation must be above 0")
    plain = annotation.removeprefix("Optional[").rstrip("]")
    if plain == "bool" and not isinstance(value, bool):
        raise ConfigError(f"{where} = {value!r}: must be true or false")
    if plain == "int" and (not isinstance(value, int) or isinstance(value, bool)):
        raise ConfigError(f"{where} = {value!r}: must be a whole number")
    # RandomErasing's value is annotated as a number; it may also be "random", or a number a channel.
    if plain == "float" and parameter.name != "value" and not _is_number(value):
        raise ConfigError(f"{where} = {value!r}: must be a number")
    if annotation.startswith("Union[int, Sequence[int]"):
        items = value if isinstance(value, list | tuple) else [value]
        if not items or not all(isinstance(item, int) and not isinstance(item, bool) for item in items):
            raise ConfigError(f"{where} = {value!r}: must be a whole number, or a list of them")
        if parameter.name == "size" and not all(item > 0 for item in items):
            raise ConfigError(f"{where} = {value!r}: must be at least 1")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _nested(value: Any, where: str) -> list[Callable[[Any], Any]]:
    if not isinstance(value, list | tuple) or not value:
        raise ConfigError(f"{where}: must be a list of transforms, each with a name")
    return [make_transform(as_component(item, f"{where}[{k}]"), f"{where}[{k}]") for k, item in enumerate(value)]


def as_component(item: Any, where: str) -> Component:
    """A nested transform's table as a Component. Raises ConfigError when it has no name."""
    if isinstance(item, Component):
        return item
    if not isinstance(item, Mapping) or not isinstance(item.get("name"), str) or not item["name"]:
        raise ConfigError(f'{where}: must be a table with a name, such as {{ name = "RandomHorizontalFlip" }}')
    return Component(**item)


def _dtype(value: Any, where: str) -> torch.dtype:
    known = ["float32", "float16", "bfloat16", "float64", "uint8"]
    if isinstance(value, str) and value.removeprefix("torch.") in known:
        dtype: torch.dtype = getattr(torch, value.removeprefix("torch."))
        return dtype
    raise ConfigError(f"{where} = {value!r}: {_one_of(str(value), known)}")


def _shown(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def _make_user_transform(spec: Component, where: str) -> Callable[[Any], Any]:
    factory = load_object(spec.name, "a function that returns a transform")
    check_arguments(factory, spec.arguments, where)
    transform = call_user_code(factory, spec.arguments, where)
    if not callable(transform):
        raise ConfigError(f"{where}: {spec.name} returned {type(transform).__name__}; expected a callable")
    return transform
