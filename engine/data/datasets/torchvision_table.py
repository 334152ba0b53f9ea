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
        place: one file or folder below `data.root` that torchvision looks for; a test holds it against the installed
            release. Empty where another rule finds the data set, or nothing has to be there.
        megabytes: size of all archives that are downloaded, rounded; 0 if unknown.
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


def _flag(name: str = "train") -> dict[str, dict[str, Any]]:
    return {"train": {name: True}, "test": {name: False}}


def _split(train: str = "train", test: str = "test", validation: str = "", **more: Any) -> dict[str, dict[str, Any]]:
    parts = {"train": train, "validation": validation, "test": test}
    return {part: {"split": split, **more} for part, split in parts.items() if split}


_WHOLE: dict[str, dict[str, Any]] = {"train": {}}
_GREY_28 = (1, 28, 28)

ROWS = (
    TorchvisionRow(
        "MNIST", "Handwritten digits of 28×28 pixels", 10, 60_000, _GREY_28, _flag(), layout="NHW", megabytes=12
    ),
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
        megabytes=31,
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
        place="KMNIST/raw",
        megabytes=21,
    ),
    TorchvisionRow(
        "QMNIST",
        "MNIST rebuilt, with 60,000 test digits",
        10,
        60_000,
        _GREY_28,
        {"train": {"what": "train"}, "test": {"what": "test"}},
        layout="NHW",
        place="QMNIST/raw",
        megabytes=21,
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
        place="EMNIST/raw",
        megabytes=562,
    ),
    TorchvisionRow(
        "USPS",
        "Handwritten digits of 16×16 pixels",
        10,
        7_291,
        (1, 16, 16),
        _flag(),
        layout="NHW",
        place="usps.bz2",
        megabytes=8,
    ),
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
        place="semeion.data",
        megabytes=3,
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
        place="omniglot-py/images_background",
        megabytes=9,
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
        place="train_32x32.mat",
        megabytes=246,
    ),
    TorchvisionRow(
        "CIFAR10",
        "Photographs of 32×32 pixels in 10 classes",
        10,
        50_000,
        (3, 32, 32),
        _flag(),
        layout="NHWC",
        place="cifar-10-batches-py",
        megabytes=170,
    ),
    TorchvisionRow(
        "CIFAR100",
        "Photographs of 32×32 pixels in 100 classes",
        100,
        50_000,
        (3, 32, 32),
        _flag(),
        layout="NHWC",
        place="cifar-100-python",
        megabytes=169,
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
        place="stl10_binary",
        megabytes=2_640,
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
        place="imagenette2",
        megabytes=1_560,
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
        place="eurosat/2750",
        megabytes=94,
    ),
    TorchvisionRow(
        "GTSRB",
        "German traffic signs",
        43,
        26_640,
        None,
        _split(),
        "_samples:1",
        "_samples:0",
        place="gtsrb/GTSRB/Training",
        megabytes=276,
    ),
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
        place="flowers-102/jpg",
        megabytes=345,
    ),
    TorchvisionRow(
        "Food101",
        "Dishes, 5 GB",
        101,
        75_750,
        None,
        _split(),
        "_labels",
        "_image_files",
        place="food-101/images",
        megabytes=5_000,
    ),
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
        place="dtd/dtd/images",
        megabytes=625,
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
        place="oxford-iiit-pet/images",
        megabytes=811,
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
        place="fgvc-aircraft-2013b/data/images",
        megabytes=2_750,
    ),
    TorchvisionRow(
        "Country211",
        "Photographs by the country they were taken in",
        211,
        31_650,
        None,
        _split(validation="valid"),
        images="samples:0",
        place="country211/train",
    ),
    TorchvisionRow(
        "SUN397",
        "Scenes, 37 GB",
        397,
        108_754,
        None,
        _WHOLE,
        "_labels",
        "_image_files",
        note="has no test split",
        place="SUN397",
        megabytes=37_000,
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
        place="rendered-sst2/train",
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
        place="clevr/CLEVR_v1.0/images",
        megabytes=18_000,
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
        place="data_256_standard",
        megabytes=25_000,
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
        place="2021_train_mini",
        megabytes=50_000,
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
        place="pcam/camelyonpatch_level_2_split_train_x.h5",
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
        place="celeba/img_align_celeba",
        megabytes=1_440,
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
        place="caltech101/101_ObjectCategories",
        megabytes=137,
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
        place="caltech256/256_ObjectCategories",
        megabytes=1_180,
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
        place="stanford_cars/cars_train",
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
        place="lfw-py/lfw_funneled",
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
        place="fer2013",
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
        place="train",
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
        place="bedroom_train_lmdb",
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
