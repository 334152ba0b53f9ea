"""`python -m torchdeck.tui` is `torchdeck`."""

import sys

from torchdeck.engine.machine.import_path import drop_working_directory

if __name__ == "__main__":
    # Before anything else is imported.
    drop_working_directory()

    from .cli import main

    sys.exit(main())
