"""How one of torchvision's data sets is described. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..facts import DatasetFacts

Layout = Literal["", "NHW", "NHWC", "NCHW"]


@dataclass(frozen=True)
class TorchvisionRow(DatasetFacts):
    """Table row that describes how to open one data set.

    Attributes:
        parts: arguments of the constructor that give the "train", "validation" and "test" part; one without "test" has
            no test split.
        labels: attribute with every sample's label, readable without decoding an image; "name:1" takes the second
            item of each; empty if only reading a sample shows it.
        images: attribute with every sample's image file, which is opened and made RGB, nothing else; "name:0" takes
            the first item of each; empty where images are read in another way.
        folder: below `data.root`, that those names are relative to, where they are not whole paths.
        layout: layout of the attribute `data` if all pixels are one array; empty if images are files.
        obtain: "download", or "manual" where torchvision can't fetch it; "embedded" needs nothing.
        files: files that must be below `data.root` if they are not downloaded.
        needs: packages beside torchvision.
        license: license that the publisher states, or "unknown".
        note: remark for users of the data set.
        place: one file or folder below `data.root` that torchvision looks for; a test holds it against the installed
            release. Empty where another rule finds the data set, or nothing has to be there.
        megabytes: size of all archives that are downloaded with the arguments' defaults, by the lengths that a server
            or the publisher states; 0 where they are not known, never a guess.
    """

    parts: dict[str, dict[str, Any]]
    labels: str = "targets"
    images: str = ""
    folder: str = ""
    layout: Layout = ""
    obtain: Literal["embedded", "download", "manual"] = "download"
    files: str = ""
    needs: tuple[str, ...] = ()
    license: str = "unknown"
    note: str = ""
    place: str = ""
    megabytes: int = 0
