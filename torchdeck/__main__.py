"""`python -m torchdeck` is `torchdeck`."""

import sys

from torchdeck.tui.cli import main

if __name__ == "__main__":
    sys.exit(main())
