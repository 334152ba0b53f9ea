"""torch.compile on a live model: in place, with a reported outcome and a fallback to eager when it fails."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException
from torch._dynamo.utils import counters

from ...machine.python_process import libraries_start_python_safely
from ...machine.signal_names import signal_name
from ...plurals import plural

Result = TypeVar("Result")

_MEMORY_ADVICE = (
    "Often the machine ran out of memory: the environment variable TORCHINDUCTOR_COMPILE_THREADS=1 takes less of it"
)


@dataclass(frozen=True)
class CompileOutcome:
    """Outcome of compiling.

    Attributes:
        succeeded: whether the model runs compiled from here on.
        seconds: until the first step was done.
        reason: why it failed, one line; empty when it succeeded.
        graphs: graphs that torch made of the model.
        graph_breaks: places where it had to go back to Python.
        eager_seconds: time of a step's forward and backward passes before; None if not measured.
        compiled_seconds: time of the same passes after.
    """

    succeeded: bool
    seconds: float
    reason: str = ""
    graphs: int = 0
    graph_breaks: int = 0
    eager_seconds: float | None = None
    compiled_seconds: float | None = None

    @property
    def sentence(self) -> str:
        """For the screen."""
        if self.succeeded and not self.graphs:
            if self.graph_breaks:
                return "torch.compile made no graph: the model has a graph break at its start and runs eager"
            return "compiles with the first full batch"
        if self.succeeded:
            graphs, breaks = plural(self.graphs, "graph"), plural(self.graph_breaks, "graph break")
            return f"compiled in {self.seconds:.1f} s, {graphs}, {breaks}{self._gain}"
        return f"compile failed, running eager: {self.reason}"

    @property
    def steps_to_pay_back(self) -> int | None:
        """Steps after which the time that compiling took is won back; None when never, or when not measured."""
        if self.eager_seconds is None or self.compiled_seconds is None:
            return None
        gain = self.eager_seconds - self.compiled_seconds
        return math.ceil(self.seconds / gain) if gain > 0 else None

    @property
    def _gain(self) -> str:
        if self.eager_seconds is None or self.compiled_seconds is None:
            return ""
        steps = self.steps_to_pay_back
        pays = "it does not pay off" if steps is None else f"pays off after {steps:,} steps"
        times = f"{1e3 * self.eager_seconds:.3g} → {1e3 * self.compiled_seconds:.3g} ms"
        return f"; forward and backward {times}: {pays}"


def compile_with_first_step(
    model: nn.Module,
    mode: str,
    first_step: Callable[[], Result],
    *,
    dynamic: bool | None = None,
    runs_eager: Callable[[int], bool] = lambda size: False,
    on_failure: Callable[[str], None] = lambda reason: None,
) -> tuple[Result, CompileOutcome]:
    """Compile `model` in place and do the first step, which is when torch compiles.

    In place, because `torch.compile(model)` would put `_orig_mod.` before every name in its state_dict. When
    compiling fails the model is set back to eager and the step done again.

    Args:
        model: the model that `first_step` trains.
        mode: a mode of torch.compile.
        first_step: seeds the step, does it, and returns what it made.
        dynamic: whether graphs take any batch size; None: from the second size on, as torch has it.
        runs_eager: whether a batch size is not worth its own graph, such as that of an epoch's last batch.
        on_failure: called with the reason if compiling fails later; the model then runs eager.
    """
    began = time.perf_counter()
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    graphs, breaks = number_of_graphs(), _graph_breaks()
    model.compile(mode=None if mode == "default" else mode, dynamic=dynamic)
    first_step_is_done = _guard(model, runs_eager, on_failure)
    try:
        with libraries_start_python_safely():
            result = first_step()
    except TorchDynamoException as error:
        model._compiled_call_impl = None
        model.zero_grad(set_to_none=True)
        # The step that failed may have run a part of the model: batch norm must not count its batch twice.
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        return first_step(), CompileOutcome(False, time.perf_counter() - began, compilation_reason(error))
    first_step_is_done()
    made, broken = number_of_graphs() - graphs, _graph_breaks() - breaks
    return result, CompileOutcome(True, time.perf_counter() - began, graphs=made, graph_breaks=broken)


def _guard(
    model: nn.Module, runs_eager: Callable[[int], bool], on_failure: Callable[[str], None]
) -> Callable[[], None]:
    """Put a choice before the compiled model: eager for odd batches, and for good once a graph fails.

    Returns:
        To be called after the first step: until then a failure is raised, so that the whole step is done again.
    """
    compiled: Any = model._compiled_call_impl
    is_first_step = True

    def call(*arguments: Any, **keywords: Any) -> Any:
        if arguments and isinstance(arguments[0], Tensor) and runs_eager(len(arguments[0])):
            return model._call_impl(*arguments, **keywords)
        try:
            return compiled(*arguments, **keywords)
        except TorchDynamoException as error:
            if is_first_step:
                raise
            model._compiled_call_impl = None
            on_failure(compilation_reason(error))
            return model._call_impl(*arguments, **keywords)

    def first_step_is_done() -> None:
        nonlocal is_first_step
        is_first_step = False

    model._compiled_call_impl = call
    return first_step_is_done


def number_of_graphs() -> int:
    """Graphs that torch has made in this process."""
    return int(counters["stats"]["unique_graphs"])


def _graph_breaks() -> int:
    return sum(counters["graph_break"].values())


def compilation_reason(error: Exception) -> str:
    """What went wrong, in one line: the compiler's own exception inside torch's wrapper around it."""
    cause = getattr(error, "inner_exception", None) or error
    chain = list(_chain(cause))
    for link in chain:
        if isinstance(link, subprocess.CalledProcessError):
            return _compiler_words(link, cause)
    if any(isinstance(link, BrokenProcessPool) for link in chain) or _is_compile_pool_dead():
        return f"a process that compiles for torch died: {_first_line(cause)}. {_MEMORY_ADVICE}"
    return _first_line(cause)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and those that it came from."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _compiler_words(ended: subprocess.CalledProcessError, cause: BaseException) -> str:
    """How a compiler ended, with the last thing that it said."""
    command = ended.cmd if isinstance(ended.cmd, str) else " ".join(map(str, ended.cmd))
    program = Path(command.split(" ", 1)[0]).name
    said = getattr(cause, "output", None) or ended.output or b""
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    complaint = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "")
    code = ended.returncode
    how = f"was killed by {signal_name(-code)}" if code < 0 else f"ended with status {code}"
    words = f"the compiler {program} {how}{f': {complaint}' if complaint else ''}"
    # A compiler is a chain of programs; the first one reports the death of another.
    return f"{words}. {_MEMORY_ADVICE}" if code < 0 or "signal" in complaint.lower() else words


def _is_compile_pool_dead() -> bool:
    """Whether the process that torch compiles in has ended."""
    # Imported by torch when it compiles, and not before: it takes a while.
    module = sys.modules.get("torch._inductor.async_compile")
    pool: Any = module.AsyncCompile.process_pool if module is not None else None
    if pool is None or not pool.cache_info().currsize:
        return False
    process = getattr(pool(), "process", None)
    return process is not None and process.poll() is not None


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"
