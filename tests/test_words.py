"""The words of everything people read: plain American English, one word for one thing."""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
SUFFIXES = (".py", ".md", ".tcss", ".toml")

# The parts of the project whose words are checked.
PARTS = ("tui", "tests/tui", "engine", "tests/engine", "docs", "README.md", "presets", "torchdeck", "benchmarks")


class Retired(NamedTuple):
    """A phrase that a reader stumbles over.

    Attributes:
        pattern: regular expression; case counts only if the pattern has a capital letter.
        example: text that it finds.
        instead: what to write.
    """

    pattern: str
    example: str
    instead: str


RETIRED = (
    Retired(
        r"(?<!there )\b(is|are) no (answer|checkpoint|class(es)?|images?|key|numbers?|save|terminal|text)\b",
        "a loss that is no number",
        "a NaN or infinite loss; … is not a terminal",
    ),
    Retired(r"\bno data set of the catalog", "no data set of the catalogue", "unknown data set"),
    Retired(r"\bcan(no|')t be (gone on|told)\b", "can't be gone on from", "can't be resumed; unknown"),
    Retired(
        r"\b(go|goes|going|gone|went) on (as|exactly|from|training|with)\b", "goes on with it", "resume, continue"
    ),
    Retired(r"\btraining goes on\b", "NOT SAVED, training goes on", "training continues"),
    Retired(r"\bGo(es|ing)? on\b", "Go on", "Resume"),
    Retired(
        r"\bso (many|much) (cells|columns|digits|epochs|keys|levels|lines|minutes|pixels|samples|seconds|steps)\b",
        "open so many levels",
        "N levels",
    ),
    Retired(r"\bevery so many\b", "every so many epochs", "every N epochs"),
    Retired(r"\bthe value before\b", "the value before it stays", "the previous value"),
    Retired(r"\bthe (one|ones) before\b", "the next part, the one before", "the previous one"),
    Retired(r"\b(draw|metric|samples?) before\"", '"Draw before"', "previous …"),
    Retired(r"\bthe other way (a)?round\b", "Sort the other way round", "reversed; never the reverse"),
    Retired(r"\bwhich \w+ has not\b", "which cpu has not", "which the CPU does not have"),
    Retired(r"\b(is|are) \w+ed how\b|\btrains how\b", "What AdamW trains how", "parameter groups of …"),
    Retired(r"\btaken, done at\b", "pause: taken, done at the next step", "requested; takes effect at the next step"),
    Retired(r"\bnot taken\b", "not taken, the value before it stays", "ignored, rejected"),
    Retired(
        r"\b(Enter|Escape) (takes|leaves|goes back)\b", "Enter takes · Escape leaves", "Enter applies · Esc cancels"
    ),
    Retired(r"\btakes? over (as|what)\b|\btakes over,", "take over what was typed", "apply"),
    Retired(r"\bcan be started\b", "✓ can be started", "ready to start"),
    Retired(
        r"\b(µs|ms|[gm]?flops|images|lines?|rows?|samples|seconds) an? (batch|class|epoch|sample|step)\b",
        "0.00476 GFLOPs a sample",
        "per sample, per step, per epoch",
    ),
    Retired(r"\"(least|greatest)\"", '"least", "greatest"', "min, max"),
    Retired(r"\bmost wrong\b", "most wrong: target → predicted", "worst mistakes"),
    Retired(r"\bhow sure it was\b", "how sure it was", "confidence"),
    Retired(r"\ba resume is (not )?exact\b", "a resume is exact", "can resume bit-exactly"),
    Retired(r"\bexactly to the bit\b", "exactly to the bit", "bit for bit"),
    Retired(r"\bimages/s\b", "12,400 images/s", "samples/s"),
    Retired(
        r"\bnobody (agreed|asks|has agreed|is left|looked|looks|trains|waits)\b",
        "when nobody looks",
        "while it is hidden; not training; not approved",
    ),
    Retired(r"\bwhoever\b", "whoever receives it", "the receiver, the caller"),
    Retired(r"\bbeside (the studio|us)\b", "the process beside the studio", "the worker process"),
    Retired(r"\b(what|which) (became|is to become|becomes) of\b", "what is to become of it", "the result; what to do"),
    Retired(r"\bwhat came of it\b", "shows what came of it", "the result"),
    Retired(r"\bof its own accord\b", "of its own accord", "by itself"),
    Retired(r": of the (run|model|file|epoch|metric)\b", "state: of the run.", "begin with the noun"),
    Retired(r": as for every widget\b", "id: as for every widget.", "id of the widget"),
    Retired(r"catalogue|colour|behaviour|neighbour|labell(ed|ing)|\bgrey|\bcentre", "colours", "American spelling"),
    Retired(
        r"(author|custom|initial|maxim|memor|minim|normal|optim|organ|real|recogn|regular|serial|summar|synchron|util)"
        r"(is(e|ed|es|ing)|isation)\b",
        "uninitialised",
        "American spelling",
    ),
    Retired(r"\btowards\b", "towards zero", "toward"),
)
# Names that other programs or earlier runs have given.
FIXED_NAMES = re.compile(r"[\"'`](utilisation|LabelledDataset)[\"'`]")


def compiled(retired: Retired) -> re.Pattern[str]:
    without_escapes = re.sub(r"\\.", "", retired.pattern)
    return re.compile(retired.pattern, re.IGNORECASE if without_escapes == without_escapes.lower() else 0)


def documents(part: str) -> list[Path]:
    listed = subprocess.check_output(["git", "ls-files", part], cwd=ROOT, text=True).splitlines()
    return [ROOT / name for name in listed if name.endswith(SUFFIXES) and (ROOT / name).exists()]


@pytest.mark.parametrize("retired", RETIRED, ids=lambda retired: retired.example)
def test_a_retired_phrase_is_found(retired: Retired) -> None:
    assert compiled(retired).search(retired.example)


@pytest.mark.parametrize("part", PARTS)
def test_retired_phrases_stay_out(part: str) -> None:
    patterns = [(compiled(retired), retired.instead) for retired in RETIRED]
    paths = documents(part)
    found = []
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            text = FIXED_NAMES.sub("", line)
            found += [
                f"{path.relative_to(ROOT)}:{number}: {match[0]!r}; write: {instead}"
                for pattern, instead in patterns
                if (match := pattern.search(text))
            ]
    assert paths
    assert not found, "\n".join(found)
