"""`path/to/file.py:name` into an object: the user's own models, data sets and transforms.

A user's file is imported under a private name that spells its folder, `torchdeck.engine.user_code.p<folder in
hex>.<module>`:

- its absolute imports look in that folder first, as they do under `python file.py`, so the user's own `engine.py` or
  `utils.py` is found by the user's code only;
- nothing is added to `sys.path`, and no file of the user is ever confused with one of ours or of a library;
- the name alone says where the file is, so that its classes unpickle in a worker process, whose import of
  `torchdeck.engine.user_code` installs the finder;
- a file that changed since it was imported is imported again, with everything in its folder.

Loading runs the file. Nothing here is called from opening a checkpoint or showing a config.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.abc
import importlib.util
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import Any, NoReturn

from .errors import ConfigError, TorchdeckError, UserCodeError, did_you_mean
from .user_path import user_path

# Makes this module the parent package of the user's, which is how unpickling in a worker gets here first.
__path__: list[str] = []

_PREFIX = f"{__name__}.p"

# State of the modules' files when they were imported: (modification time in ns, size) by module name.
_imported: dict[str, tuple[int, int]] = {}


def is_user_spec(spec: str) -> bool:
    """Whether `spec` names something in a Python file, as `path/to/file.py:name` does."""
    return re.search(r"\.py(:|$)", spec) is not None


def short_spec(spec: str) -> str:
    """`file.py:name` of a spec, without the folders, for a line on the screen; any other name as it is."""
    return re.sub(r"^.*[/\\\\]", "", spec) if is_user_spec(spec) else spec


def load_object(spec: str, wanted: str) -> Callable[..., Any]:
    """Import the user's file and return what it calls `name`.

    Args:
        spec: `path/to/file.py:name`, relative to the working directory; `name` may be dotted.
        wanted: expected kind of object, for messages: "a function that returns a data set".

    Raises:
        ConfigError: no such file, no name given, no such name in it, or it can't be called.
        UserCodeError: the file raised when it was imported, or is not valid Python.
    """
    path, name = _split(spec, wanted)
    found: Any = _import_file(path)
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            hint = did_you_mean(part, defined_names(path))
            raise ConfigError(f"{spec}: {path.name} defines no '{part}'{hint}") from None
    if not callable(found):
        raise ConfigError(f"{spec}: '{name}' is a {type(found).__name__}; expected {wanted}")
    return found


def defined_names(path: Path) -> list[str]:
    """The public functions and classes that a Python file defines, read without running it.

    Raises:
        OSError: the file can't be read.
        UserCodeError: it is not valid Python.
    """
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError) as error:
        raise UserCodeError(_syntax_message(error, path)) from error
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node.name for node in tree.body if isinstance(node, definitions) and not node.name.startswith("_")]


def check_arguments(
    function: Callable[..., Any], arguments: Mapping[str, Any], where: str, supplied: Mapping[str, Any] | None = None
) -> None:
    """Check keyword arguments against a callable's signature, without calling it.

    Args:
        function: function to call; one without a readable signature accepts anything.
        arguments: its keyword arguments.
        where: prefix of error messages, such as "data.arguments".
        supplied: further arguments, which torchdeck fills in itself; the message doesn't offer them.

    Raises:
        ConfigError: an unknown or a missing argument; the text ends with what it takes.
    """
    signature = _signature(function)
    if signature is None:
        return
    ours = supplied or {}
    try:
        signature.bind(**{**ours, **arguments})
        return
    except TypeError as error:
        problem = f"{error};"
    offered = [parameter for name, parameter in signature.parameters.items() if name not in ours]
    names = [parameter.name for parameter in offered]
    unknown = next((name for name in arguments if name not in names), None)
    if unknown is not None:
        hint = did_you_mean(unknown, names)
        problem = f"unknown argument '{unknown}'{hint if hint.endswith('?') else ';'}"
    takes = str(signature.replace(parameters=offered, return_annotation=signature.empty))
    raise ConfigError(f"{where}: {problem} it accepts {re.sub(r'(collections.abc|typing)[.]', '', takes)}")


def call_user_code(function: Callable[..., Any], arguments: Mapping[str, Any], where: str) -> Any:
    """Call the user's function; what it raises becomes a message that holds its own frames only.

    Raises:
        UserCodeError: it raised, or tried to exit.
        TorchdeckError: unchanged, if the user's function raised one.
    """
    try:
        return function(**arguments)
    except (TorchdeckError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise_user_error(error, where)


def accepted_arguments(function: Callable[..., Any], offered: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `offered` that the function's signature names."""
    signature = _signature(function)
    named = signature.parameters if signature is not None else {}
    return {name: value for name, value in offered.items() if name in named}


def argument_default(function: Callable[..., Any], name: str) -> Any:
    """The default of an argument: `inspect.Parameter.empty` when it must be given, None when there is no such one."""
    signature = _signature(function)
    if signature is None or name not in signature.parameters:
        return None
    return signature.parameters[name].default


def user_location(error: BaseException) -> str:
    """The innermost line of the user's own files that an exception went through, as "model.py:12"; "" for none."""
    frames = _user_frames(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def raise_user_error(error: BaseException, where: str) -> NoReturn:
    """Raise UserCodeError with what happened and the frames of the user's own files.

    Args:
        error: exception of the user's code, with its traceback.
        where: prefix of the message, such as "model.py:make".
    """
    frames = _user_frames(error.__traceback__)
    text = "".join(traceback.format_exception_only(error)).strip()
    lines = [f"{where}: {text}", *(line.rstrip("\n") for line in traceback.format_list(frames))]
    raise UserCodeError("\n".join(lines)) from error


def import_root(path: Path) -> Path:
    """The folder that a user's file imports from: its own, or that of the outermost package around it."""
    root = path.parent
    while (root / "__init__.py").is_file() and root != root.parent:
        root = root.parent
    return root


def module_file(root: Path, dotted: str) -> Path | None:
    """The file of a module below `root`; a folder for a package without `__init__.py`."""
    base = root.joinpath(*dotted.split("."))
    for file in (base / "__init__.py", base.with_name(f"{base.name}.py")):
        if file.is_file():
            return file
    return base if base.is_dir() and any(base.glob("*.py")) else None


def forget_user_modules() -> None:
    """Forget all imported user files, so that the next load runs them again."""
    _forget(_PREFIX)


def _split(spec: str, wanted: str) -> tuple[Path, str]:
    file, separator, name = spec.rpartition(":")
    if not separator or not file.endswith(".py"):
        file, name = spec, ""
    path = user_path(file)
    if not path.is_file():
        near = did_you_mean(path.name, [other.name for other in path.parent.glob("*.py")])
        raise ConfigError(f"{spec}: no such file: {path.absolute()}{near}")
    if not name:
        names = ", ".join(defined_names(path)) or "nothing"
        raise ConfigError(f"{spec}: add a name, as in {spec}:NAME; expected {wanted}; it defines {names}")
    return path.resolve(), name


def _import_file(path: Path) -> ModuleType:
    """The module of a user's file, imported again when a file in its folder has changed."""
    root = import_root(path)
    parts = list(path.relative_to(root).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    package = _package_of(root)
    if any(_state(sys.modules[name].__file__) != state for name, state in _loaded_files(package)):
        _forget(package)
    before = set(sys.modules)
    try:
        return importlib.import_module(".".join([package, *parts]))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        for name in [name for name in sys.modules if name.startswith(package) and name not in before]:
            _forget(name)
        if isinstance(error, SyntaxError):
            raise UserCodeError(_syntax_message(error, path)) from error
        raise_user_error(error, f"importing {path.name}")


def _loaded_files(package: str) -> list[tuple[str, tuple[int, int]]]:
    return [(name, state) for name, state in _imported.items() if name.startswith(package) and name in sys.modules]


def _forget(prefix: str) -> None:
    for name in [name for name in sys.modules if name.startswith(prefix)]:
        del sys.modules[name]
        _imported.pop(name, None)
        parent, _, child = name.rpartition(".")
        if parent in sys.modules:
            vars(sys.modules[parent]).pop(child, None)
    importlib.invalidate_caches()


def _state(file: str | None) -> tuple[int, int] | None:
    try:
        status = os.stat(file or "")
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _package_of(root: Path) -> str:
    return _PREFIX + os.fsencode(root).hex()


def _root_of(package: str) -> Path:
    return Path(os.fsdecode(bytes.fromhex(package.removeprefix(_PREFIX))))


class _UserFinder(importlib.abc.MetaPathFinder):
    """Finds the modules below `torchdeck.engine.user_code`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_PREFIX):
            return None
        package, _, rest = fullname.removeprefix(f"{__name__}.").partition(".")
        root = _root_of(f"{__name__}.{package}")
        if not rest:
            return _folder_spec(fullname, root)
        file = module_file(root, rest)
        if file is None:
            return None
        if file.is_dir():
            return _folder_spec(fullname, file)
        folders = [str(file.parent)] if file.name == "__init__.py" else None
        loader = _UserLoader(fullname, str(file))
        return importlib.util.spec_from_file_location(
            fullname, file, loader=loader, submodule_search_locations=folders
        )


class _UserLoader(SourceFileLoader):
    """Runs a user's file with an `__import__` of its own, and leaves no bytecode beside it."""

    def get_code(self, fullname: str) -> Any:
        # No bytecode cache: it is checked by whole seconds, and an edit within the second would be missed.
        state = _state(self.path)
        code = self.source_to_code(self.get_data(self.path), self.path)
        if state is not None:
            _imported[fullname] = state
        return code

    def exec_module(self, module: ModuleType) -> None:
        package = _PREFIX + module.__name__.removeprefix(_PREFIX).partition(".")[0]
        scoped = dict(vars(builtins))
        scoped["__import__"] = _scoped_import(package)
        vars(module)["__builtins__"] = scoped
        super().exec_module(module)


def _folder_spec(name: str, folder: Path) -> ModuleSpec:
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    return spec


def _is_users(root: Path, top: str) -> bool:
    """Whether `import top` in a file below `root` means a file of the user's, by Python's own order."""
    if top in sys.builtin_module_names:
        return False
    file = module_file(root, top)
    if file is None:
        return False
    loaded = getattr(sys.modules.get(top), "__file__", None)
    if loaded is not None and (file / "__init__.py" if file.is_dir() else file) == Path(loaded).resolve():
        # The user's file lies beside an installed package, such as our own in a checkout: there is one of it.
        return False
    if file.is_dir():
        # A folder without __init__.py comes last: a data folder named `datasets` doesn't hide the library.
        return top not in sys.modules and importlib.util.find_spec(top) is None
    return True


def _scoped_import(package: str) -> Callable[..., Any]:
    """`__import__` for the files of one user folder."""
    root = _root_of(package)

    def import_module(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level or not _is_users(root, top):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        full_name = f"{package}.{name}"
        module = importlib.import_module(full_name)
        if not fromlist:
            return sys.modules[f"{package}.{top}"]
        for attribute in fromlist:
            if attribute != "*" and not hasattr(module, attribute) and hasattr(module, "__path__"):
                _import_submodule(f"{full_name}.{attribute}")
        return module

    return import_module


def _import_submodule(name: str) -> None:
    """Import `name` if there is such a module; the `from` statement itself complains when there is none."""
    if importlib.util.find_spec(name) is not None:
        importlib.import_module(name)


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function, eval_str=True)
    except (NameError, SyntaxError, AttributeError):
        # Annotations that only a type checker can resolve.
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _user_frames(trace: TracebackType | None) -> list[traceback.FrameSummary]:
    """The frames of a traceback that run code of the user's files, outermost first."""
    frames: list[tuple[FrameType, int]] = [
        (frame, line)
        for frame, line in traceback.walk_tb(trace)
        if str(frame.f_globals.get("__name__", "")).startswith(_PREFIX)
    ]
    return list(traceback.StackSummary.extract(frames))


def _syntax_message(error: SyntaxError | ValueError, path: Path) -> str:
    if not isinstance(error, SyntaxError):
        return f"{path}: not valid Python: {error}"
    text = (error.text or "").strip()
    source = f"\n    {text}" if text else ""
    return f"{error.filename or path}:{error.lineno}: {type(error).__name__}: {error.msg}{source}"


if not any(isinstance(finder, _UserFinder) for finder in sys.meta_path):
    sys.meta_path.insert(0, _UserFinder())
