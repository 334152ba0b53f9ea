"""A machine where torch can't be imported, for tests: a folder for PYTHONPATH, whose sitecustomize.py blocks it."""

from pathlib import Path

CAUSE = "libcudart.so.13: cannot open shared object file"

_BROKEN_CUDA = f"""
import sys


class Broken:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision"):
            raise OSError("{CAUSE}: No such file or directory")


sys.meta_path.insert(0, Broken())
"""

_HALF_INSTALLED = f"""
import collections
raise ImportError('''Failed to load PyTorch C extensions:
    It appears that PyTorch has loaded the `torch/_C` folder

    {CAUSE}''')
"""


def broken_cuda(folder: Path) -> Path:
    """Importing torch raises OSError, as when a library of CUDA is missing."""
    (folder / "sitecustomize.py").write_text(_BROKEN_CUDA)
    return folder


def half_installed(folder: Path) -> Path:
    """Importing torch runs a part of it and raises ImportError, with a text of several lines."""
    for package in ("torch", "torchvision"):
        (folder / package).mkdir()
    (folder / "torch" / "__init__.py").write_text(_HALF_INSTALLED)
    (folder / "torchvision" / "__init__.py").write_text("import torch\n")
    return folder
