"""The words of everything people read: plain American English, one word for one thing."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SUFFIXES = (".py", ".md", ".tcss", ".toml")

# Each place in this list is one part of the project whose words are checked.
FOLDERS = ("tui", "tests/tui")

# Phrases that a reader stumbles over, with what to write instead.
RETIRED = {
    r"\b(is|are) no (number|image|terminal|answer|checkpoint|class(es)?|key|save|text)\b": "is not a …; non-finite",
    r"\bno data set of the catalog": "unknown data set",
    r"\bcan(no|')t be (gone on|told)\b": "can't be resumed; unknown",
    r"\b(go|goes|going|gone|went) on (with|from|training|exactly|as)\b": "resume, continue, keep training",
    r"\btraining goes on\b": "training continues",
    r"\bGo on\b": "Resume",
    r"\bso (many|much) (cells|columns|digits|epochs|keys|levels|lines|minutes|pixels|samples|seconds|steps)\b": "N …",
    r"\bevery so many\b": "every N …",
    r"\bthe value before\b": "the previous value",
    r"\b(the|or the|or to the) one before\b": "the previous one",
    r"\b(draw|metric|sample|samples) before\"": "previous …",
    r"\bthe other way (a)?round\b": "reversed; the reverse",
    r"\bwhich \w+ has not\b": "which … does not have",
    r"\b(trains|trained) how\b": "parameter groups of …",
    r"\btaken, done at\b": "requested; takes effect at the next step",
    r"\bnot taken\b": "ignored, rejected",
    r"\b(Enter|Escape) (takes|leaves|goes back)\b": "Enter applies · Esc cancels",
    r"\btakes? over (what|as|,)": "apply",
    r"\bcan be started\b": "ready to start",
    r"\ba (sample|batch|epoch|step|class)\b(?= (are|is|at)? ?(counted|measured)|\")": "per …",
    r"\b(µs|ms|FLOPs|samples|row) an? (sample|step|batch|epoch)\b": "per …",
    r"\b(least|greatest)\b(?<!at least)(?<!At least)(?= value|\")": "min, max",
    r"\bmost wrong\b": "worst mistakes",
    r"\bhow sure it was\b": "confidence",
    r"\ba resume is (not )?exact\b": "✓ can resume bit-exactly",
    r"\bimages/s\b": "samples/s",
    r"\bnobody (looks|looked|trains|waits|asks|is left|has agreed|agreed)\b": "not shown; not training; not approved",
    r"\bwhoever\b": "the caller, the receiver",
    r"\b(beside|next to) (us|the studio)\b": "the worker process",
    r"\bfetch(es|ed)? (it|the data set|DATASET)\b": "download",
    r"\bwhat became of\b": "result",
    r"\bwhat is to become of\b": "what to do with",
    r"\bof its own accord\b": "by itself",
    r"\bcatalogue|colour|behaviour|neighbour|labell(ed|ing)|\bgrey\b|\bcentred?\b": "American spelling",
    r"\b(?!exerc|prec|conc|surpr|adv|rev|rai|noi|ri|wi|prom|prem|other|like|comprom|superv)"
    r"(normal|initial|uninitial|recogn|optim|regular|organ|util|synchron|token|visual|real|minim|maxim|serial)"
    r"is(e|ed|es|ing|ation)\b": "American spelling",
    r"\btowards\b": "toward",
}
# Keys of files that earlier runs have written: a record of the machine.
FIXED_NAMES = re.compile(r"['\"]utilisation['\"]|\.uninitialised\b")


def documents(folder: str) -> list[Path]:
    listed = subprocess.check_output(["git", "ls-files", folder], cwd=ROOT, text=True).splitlines()
    return [ROOT / name for name in listed if name.endswith(SUFFIXES)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_retired_phrases_stay_out(folder: str) -> None:
    patterns = {re.compile(pattern, re.IGNORECASE if pattern.islower() else 0): say for pattern, say in RETIRED.items()}
    found = []
    for path in documents(folder):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            text = FIXED_NAMES.sub("", line)
            found += [
                f"{path.relative_to(ROOT)}:{number}: {match[0]!r}, say: {say}"
                for pattern, say in patterns.items()
                if (match := pattern.search(text))
            ]
    assert documents(folder)
    assert not found, "\n".join(found)
