"""Write the JSON Schemas of the verbs' documents into a folder.

python -m torchdeck.tui.json_schemas docs/json
"""

from __future__ import annotations

import sys
from pathlib import Path

from .documents import DOCUMENTS


def write_schemas(folder: Path) -> None:
    """Write every schema, and remove those of verbs that are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.glob("*.schema.json")) - {folder / document.file_name for document in DOCUMENTS}:
        stale.unlink()
    for document in DOCUMENTS:
        (folder / document.file_name).write_text(document.text(), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m torchdeck.tui.json_schemas FOLDER")
    write_schemas(Path(sys.argv[1]))
