"""Profile some steps of a live run with torch.profiler, on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..files.durable import make_folder
from ..files.regular_file import held_folder
from ..runs.writer import RunWriter

FOLDER = "profiles"
_TOP_ROWS = 15


class Profiling:
    """Profiles steps of a run on request.

    Attributes:
        is_on: whether steps are being watched.
    """

    def __init__(self, run: RunWriter, device: torch.device) -> None:
        self.is_on = False
        self._run = run
        self._device = device
        self._profile: StepProfile | None = None

    def start(self, steps: int) -> None:
        """Watch the next steps, unless some are being watched already."""
        if self._profile is None:
            self._profile = StepProfile(self._run.held, steps, self._device)
            self.is_on = True

    def after_step(self, step: int) -> None:
        """Count a step; after the last profiled one, report the results."""
        assert self._profile is not None
        self._profile.after_step()
        if self._profile.is_complete:
            self._end(step)

    def finish(self, step: int) -> None:
        """The run ends after `step`: report the results of fewer steps than requested."""
        if self._profile is not None:
            self._end(step)

    def _end(self, step: int) -> None:
        assert self._profile is not None
        profile, self._profile, self.is_on = self._profile, None, False
        try:
            self._run.event("profiled", **profile.write(step))
        except (OSError, RuntimeError) as error:
            # The error may name the folder by its descriptor.
            reason = (error.strerror or error) if isinstance(error, OSError) else error
            place = self._run.path / FOLDER
            self._run.event("note", text=f"the profile could not be written, training continues: {place}: {reason}")


class StepProfile:
    """Watches the next steps; then writes a trace for chrome://tracing or Perfetto, and a table of what costs most."""

    def __init__(self, run: Path, steps: int, device: torch.device) -> None:
        """Begin to watch, at a step boundary, in the thread that trains.

        Args:
            run: the run's directory, held open.
            steps: how many steps.
            device: where the run computes.
        """
        activities = [torch.profiler.ProfilerActivity.CPU]
        if device.type == "cuda":
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        self._run = run
        self._asked, self._seen = steps, 0
        self._is_cuda = device.type == "cuda"
        self._profiler = torch.profiler.profile(activities=activities)
        self._profiler.start()

    def after_step(self) -> None:
        """Count a step."""
        self._seen += 1

    @property
    def is_complete(self) -> bool:
        """Whether all steps were watched that were asked for."""
        return self._seen >= self._asked

    def write(self, step: int) -> dict[str, Any]:
        """End the watch after `step`, the newest, and write what was seen. Returns what was written, for an event.

        Raises:
            OSError, RuntimeError: the files can't be written; training can continue.
        """
        self._profiler.stop()
        make_folder(self._run / FOLDER)
        with held_folder(self._run / FOLDER) as folder:
            return self._write_into(folder, step)

    def _write_into(self, folder: Path, step: int) -> dict[str, Any]:
        trace, table = (folder / f"step-{step:09d}.{ending}" for ending in ("json", "txt"))
        self._profiler.export_chrome_trace(str(trace))
        if not trace.exists():
            # torch only logs that it could not write.
            raise OSError(f"torch wrote no {FOLDER}/{trace.name}")
        order = "self_device_time_total" if self._is_cuda else "self_cpu_time_total"
        averages = self._profiler.key_averages()
        text = averages.table(sort_by=order, row_limit=_TOP_ROWS, max_name_column_width=40)
        table.write_text(text, encoding="utf-8")
        print(text, flush=True)
        costs = {row.key: float(getattr(row, order)) for row in averages}
        total = sum(costs.values())
        top = sorted(costs.items(), key=lambda item: -item[1])[:3]
        words = ", ".join(f"{name} {cost / total:.0%}" for name, cost in top) if total else "nothing"
        steps = f"{self._seen} steps" if self.is_complete else f"{self._seen} of {self._asked} steps"
        return {
            "text": f"profile of {steps}: {words}; {FOLDER}/{trace.name}, table in the log",
            "step": step,
            "trace": f"{FOLDER}/{trace.name}",
            "table": f"{FOLDER}/{table.name}",
        }
