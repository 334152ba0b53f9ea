"""`torchdeck doctor`: what works on this machine and in this terminal."""

from __future__ import annotations

import locale
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from torchdeck.engine.bench.doctor import examine_machine
from torchdeck.engine.bench.finding import Finding

from .options import json_option, runs_root_option
from .output import print_json

_STYLES = {"ok": "green", "limited": "yellow", "broken": "red"}


@click.command()
@runs_root_option
@json_option
def doctor(runs_root: Path, as_json: bool) -> int:
    """Check what works on this machine, and say how to fix what doesn't. Exit status 1 when something is broken."""
    findings = [*examine_machine(runs_root), *examine_terminal()]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        console = Console(highlight=False, soft_wrap=True)
        for finding in findings:
            line = Text(f"{finding.verdict:<8}", style=_STYLES[finding.verdict])
            line.append(f"{finding.subject:<14} {finding.found}", style="default")
            console.print(line)
            if finding.advice:
                console.print(Text(f"{'':<22} → {finding.advice}"))
    return 1 if any(finding.verdict == "broken" for finding in findings) else 0


def examine_terminal() -> list[Finding]:
    """Check what the current terminal can show."""
    if not sys.stdout.isatty():
        return [Finding("terminal", "limited", "standard output is not a terminal", "the studio needs one")]
    columns, rows = shutil.get_terminal_size()
    findings = []
    small = columns < 80 or rows < 24
    advice = "the studio needs at least 80×24" if small else ""
    name = f"{os.environ.get('TERM', 'unknown')}{', in tmux' if os.environ.get('TMUX') else ''}"
    findings.append(Finding("terminal", "limited" if small else "ok", f"{name}, {columns}×{rows}", advice))
    color = os.environ.get("COLORTERM", "")
    if color in ("truecolor", "24bit"):
        findings.append(Finding("colors", "ok", "16 million"))
    else:
        findings.append(
            Finding(
                "colors",
                "limited",
                "COLORTERM is not set",
                "if the terminal has true color: export COLORTERM=truecolor",
            )
        )
    encoding = locale.getpreferredencoding(False)
    if encoding.lower().replace("-", "") == "utf8":
        findings.append(Finding("characters", "ok", encoding))
    else:
        findings.append(Finding("characters", "limited", encoding, "charts need UTF-8: export LANG=C.UTF-8"))
    return findings
