"""torchvision's image classification data sets, one row each. Imports no torch.

A test holds the rows against the installed torchvision: constructors, arguments, split names, label attributes. Sizes
and class counts are those that the publishers state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from .facts import DatasetFacts

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


def _flag(name: str = "train") -> dict[str, dict[str, Any]]:
    return {"train": {name: True}, "test": {name: False}}


def _split(train: str = "train", test: str = "test", validation: str = "", **more: Any) -> dict[str, dict[str, Any]]:
    parts = {"train": train, "validation": validation, "test": test}
    return {part: {"split": split, **more} for part, split in parts.items() if split}


_WHOLE: dict[str, dict[str, Any]] = {"train": {}}
_GREY_28 = (1, 28, 28)

ROWS = (
    TorchvisionRow("MNIST", "Handwritten digits of 28×28 pixels", 10, 60_000, _GREY_28, _flag(), layout="NHW"),
    TorchvisionRow(
        "FashionMNIST",
        "Clothes of 28×28 pixels, drop-in for MNIST",
        10,
        60_000,
        _GREY_28,
        _flag(),
        layout="NHW",
        license="MIT",
        note="also read from Debian's package dataset-fashion-mnist",
    ),
    TorchvisionRow(
        "KMNIST",
        "Cursive Japanese characters, drop-in for MNIST",
        10,
        60_000,
        _GREY_28,
        _flag(),
        layout="NHW",
        license="CC BY-SA 4.0",
    ),
    TorchvisionRow(
        "QMNIST",
        "MNIST rebuilt, with 60,000 test digits",
        10,
        60_000,
        _GREY_28,
        {"train": {"what": "train"}, "test": {"what": "test"}},
        layout="NHW",
    ),
    TorchvisionRow(
        "EMNIST",
        "Handwritten letters and digits of 28×28 pixels",
        47,
        112_800,
        _GREY_28,
        {"train": {"split": "balanced", "train": True}, "test": {"split": "balanced", "train": False}},
        layout="NHW",
        note="images are transposed; arguments.split: byclass, bymerge, balanced, letters, digits or mnist",
    ),
    TorchvisionRow("USPS", "Handwritten digits of 16×16 pixels", 10, 7_291, (1, 16, 16), _flag(), layout="NHW"),
    TorchvisionRow(
        "SEMEION",
        "Handwritten digits of 16×16 pixels, black and white",
        10,
        1_593,
        (1, 16, 16),
        _WHOLE,
        "labels",
        layout="NHW",
        note="has no test split",
    ),
    TorchvisionRow(
        "Omniglot",
        "Characters of 30 alphabets, 20 drawings each",
        964,
        19_280,
        (1, 105, 105),
        {"train": {"background": True}},
        "_flat_character_images:1",
        license="MIT",
        note="has no test split: the evaluation part has other classes",
    ),
    TorchvisionRow(
        "SVHN",
        "House numbers of 32×32 pixels",
        10,
        73_257,
        (3, 32, 32),
        _split(),
        "labels",
        layout="NCHW",
        needs=("scipy",),
        license="non-commercial use only",
    ),
    TorchvisionRow(
        "CIFAR10", "Photographs of 32×32 pixels in 10 classes", 10, 50_000, (3, 32, 32), _flag(), layout="NHWC"
    ),
    TorchvisionRow(
        "CIFAR100", "Photographs of 32×32 pixels in 100 classes", 100, 50_000, (3, 32, 32), _flag(), layout="NHWC"
    ),
    TorchvisionRow(
        "STL10",
        "Photographs of 96×96 pixels, few with a label",
        10,
        5_000,
        (3, 96, 96),
        _split(),
        "labels",
        layout="NCHW",
    ),
    TorchvisionRow(
        "Imagenette",
        "Ten easy classes of ImageNet",
        10,
        9_469,
        None,
        _split(test="", validation="val"),
        "_samples:1",
        "_samples:0",
        license="Apache-2.0",
        note="arguments.size: full, 320px or 160px",
    ),
    TorchvisionRow(
        "EuroSAT",
        "Land use in satellite images of 64×64 pixels",
        10,
        27_000,
        (3, 64, 64),
        _WHOLE,
        images="samples:0",
        license="MIT",
        note="has no test split",
    ),
    TorchvisionRow("GTSRB", "German traffic signs", 43, 26_640, None, _split(), "_samples:1", "_samples:0"),
    TorchvisionRow(
        "Flowers102",
        "Flowers of Great Britain",
        102,
        1_020,
        None,
        _split(validation="val"),
        "_labels",
        "_image_files",
        needs=("scipy",),
        note="the test split is the large one",
    ),
    TorchvisionRow("Food101", "Dishes, 5 GB", 101, 75_750, None, _split(), "_labels", "_image_files"),
    TorchvisionRow(
        "DTD",
        "Describable textures",
        47,
        1_880,
        None,
        _split(validation="val"),
        "_labels",
        "_image_files",
        license="research use only",
        note="arguments.partition: 1 to 10",
    ),
    TorchvisionRow(
        "OxfordIIITPet",
        "Cats and dogs by breed",
        37,
        3_680,
        None,
        _split("trainval"),
        "_labels",
        "_images",
        license="CC BY-SA 4.0",
    ),
    TorchvisionRow(
        "FGVCAircraft",
        "Aircraft by variant",
        100,
        3_334,
        None,
        _split(validation="val"),
        "_labels",
        "_image_files",
        license="non-commercial research only",
        note="arguments.annotation_level: variant, family or manufacturer",
    ),
    TorchvisionRow(
        "Country211",
        "Photographs by the country they were taken in",
        211,
        31_650,
        None,
        _split(validation="valid"),
        images="samples:0",
    ),
    TorchvisionRow(
        "SUN397", "Scenes, 37 GB", 397, 108_754, None, _WHOLE, "_labels", "_image_files", note="has no test split"
    ),
    TorchvisionRow(
        "RenderedSST2",
        "Film reviews as pictures of text: good or bad",
        2,
        6_920,
        (3, 448, 448),
        _split(validation="val"),
        "_samples:1",
        "_samples:0",
    ),
    TorchvisionRow(
        "CLEVRClassification",
        "How many objects are in a rendered scene",
        None,
        70_000,
        (3, 320, 480),
        _split(test="", validation="val"),
        "_labels",
        "_image_files",
        license="CC BY 4.0",
        note="the label is the number of objects; the test split has no labels",
    ),
    TorchvisionRow(
        "Places365",
        "Scenes, 256 pixels per side",
        365,
        1_803_460,
        (3, 256, 256),
        {"train": {"split": "train-standard", "small": True}, "validation": {"split": "val", "small": True}},
        images="imgs:0",
        license="non-commercial research only",
        note="arguments.small = false: high resolution",
    ),
    TorchvisionRow(
        "INaturalist",
        "Species of plants and animals, 50 images each",
        10_000,
        500_000,
        None,
        {"train": {"version": "2021_train_mini"}, "validation": {"version": "2021_valid"}},
        "index:0",
        license="non-commercial research only",
    ),
    TorchvisionRow(
        "PCAM",
        "Tumour tissue in microscope images of 96×96 pixels",
        2,
        262_144,
        (3, 96, 96),
        _split(validation="val"),
        "",
        needs=("h5py", "gdown"),
        license="CC0 1.0",
    ),
    TorchvisionRow(
        "CelebA",
        "Faces of celebrities, one of 40 attributes",
        2,
        162_770,
        (3, 218, 178),
        _split(validation="valid", target_type="attr"),
        "attr",
        images="filename",
        folder="celeba/img_align_celeba",
        needs=("gdown",),
        license="non-commercial research only",
        note='arguments.attribute says which, such as "Smiling" (the default)',
    ),
    TorchvisionRow(
        "Caltech101",
        "Objects in 101 categories",
        101,
        8_677,
        None,
        _WHOLE,
        "y",
        needs=("gdown",),
        license="CC BY 4.0",
        note="has no test split; some images are gray",
    ),
    TorchvisionRow(
        "Caltech256",
        "Objects in 257 categories",
        257,
        30_607,
        None,
        _WHOLE,
        "y",
        needs=("gdown",),
        license="CC BY 4.0",
        note="has no test split; some images are gray",
    ),
    TorchvisionRow(
        "StanfordCars",
        "Cars by make, model and year",
        196,
        8_144,
        None,
        _split(),
        "_samples:1",
        "_samples:0",
        obtain="manual",
        files="stanford_cars/ with cars_train/, cars_test/, devkit/ and cars_test_annos_withlabels.mat",
        needs=("scipy",),
        license="non-commercial research only",
    ),
    TorchvisionRow(
        "LFWPeople",
        "Faces by person",
        5_749,
        9_525,
        (3, 250, 250),
        _split(),
        images="data",
        obtain="manual",
        files="lfw-py/ with lfw_funneled/, lfw-names.txt, peopleDevTrain.txt and peopleDevTest.txt",
        note="most people of the test split are not in the training split",
    ),
    TorchvisionRow(
        "FER2013",
        "Faces by expression, 48×48 pixels",
        7,
        28_709,
        (1, 48, 48),
        _split(),
        "_samples:1",
        obtain="manual",
        files="fer2013/ with icml_face_data.csv or fer2013.csv, or train.csv and test.csv, from Kaggle",
        license="Kaggle competition rules",
    ),
    TorchvisionRow(
        "ImageNet",
        "ILSVRC 2012: photographs in 1,000 classes",
        1_000,
        1_281_167,
        None,
        _split(test="", validation="val"),
        images="samples:0",
        obtain="manual",
        files="ILSVRC2012_devkit_t12.tar.gz, ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, from image-net.org",
        needs=("scipy",),
        license="non-commercial research only",
    ),
    TorchvisionRow(
        "LSUN",
        "Ten scenes, lmdb files",
        10,
        None,
        None,
        {"train": {"classes": "train"}, "validation": {"classes": "val"}},
        "",
        obtain="manual",
        files="one <scene>_train_lmdb/ and one <scene>_val_lmdb/ a scene, from github.com/fyu/lsun",
        needs=("lmdb",),
    ),
    TorchvisionRow(
        "FakeData",
        "Random noise in the shape of ImageNet",
        10,
        1_000,
        (3, 224, 224),
        {"train": {}, "test": {"random_offset": 1_000}},
        "",
        obtain="embedded",
        license="none",
        note="made on the fly, to try out speed and memory; arguments.size, image_size and num_classes",
    ),
)


def find_row(name: str) -> TorchvisionRow | None:
    """The row with exactly this name, or None."""
    return next((row for row in ROWS if row.name == name), None)
