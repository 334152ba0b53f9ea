import gzip
import hashlib
import pickle
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_cases import FASHION_MNIST, needs_fashion_mnist, write_images
from PIL import Image
from torchvision import datasets

from torchdeck.engine.config import DataConfig
from torchdeck.engine.data.datasets import published
from torchdeck.engine.data.datasets.fingerprint import fingerprint_splits
from torchdeck.engine.data.datasets.images.folder import FolderDataset
from torchdeck.engine.data.datasets.sources import DataSources, open_sources
from torchdeck.engine.data.datasets.splits import ArrayDataset, LabeledDataset, SampleDataset, Split
from torchdeck.engine.errors import ConfigError, DataError, UserCodeError


def opened(seed: int = 0, **data: Any) -> DataSources:
    return open_sources(DataConfig(**data), seed)


def write_idx(path: Path, array: np.ndarray) -> None:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    content = header + array.astype(np.uint8).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_mnist(raw: Path, suffix: str = "") -> np.ndarray:
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28))
    for part in ("train", "t10k"):
        write_idx(raw / f"{part}-images-idx3-ubyte{suffix}", images)
        write_idx(raw / f"{part}-labels-idx1-ubyte{suffix}", np.arange(20) % 10)
    return images


def test_the_embedded_digits() -> None:
    sources = opened(dataset="digits", validation=0.2)
    assert isinstance(sources.train.dataset, ArrayDataset)
    assert sources.train.dataset.images.shape == (1797, 8, 8)
    assert np.bincount(sources.train.dataset.targets).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert sorted(set(sources.train.dataset.images.ravel().tolist())) == [round(k * 255 / 16) for k in range(17)]
    assert len(sources.train) + len(sources.validation) == 1797
    assert np.bincount(sources.validation.targets).min() >= 35


def test_digits_have_no_test_split() -> None:
    with pytest.raises(ConfigError, match=r'"test": digits has no test split.*data.validation = 0.2'):
        opened(dataset="digits")


@needs_fashion_mnist
def test_fashion_mnist_is_found_where_debian_puts_it(tmp_path: Path) -> None:
    sources = opened(dataset="FashionMNIST", root=str(tmp_path))
    assert (len(sources.train), len(sources.validation)) == (60_000, 10_000)
    assert np.bincount(sources.train.targets).tolist() == [6000] * 10
    assert sources.validation is sources.test
    assert sources.classes[9] == "Ankle boot"
    assert sources.notes == [f"FashionMNIST is read from {FASHION_MNIST} (Debian's package)"]
    assert list(tmp_path.iterdir()) == []


@needs_fashion_mnist
def test_our_reader_reads_what_torchvision_reads(tmp_path: Path) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for archive in FASHION_MNIST.glob("*.gz"):
        (raw / archive.stem).write_bytes(gzip.decompress(archive.read_bytes()))
    sources = opened(dataset="FashionMNIST", root=str(tmp_path))
    theirs = datasets.FashionMNIST(tmp_path, train=False)
    assert isinstance(sources.validation.dataset, ArrayDataset)
    assert np.array_equal(sources.validation.dataset.images, theirs.data.numpy())
    assert np.array_equal(sources.validation.dataset.targets, theirs.targets.numpy())
    assert sources.notes == []


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_mnist_in_torchvisions_layout_plain_or_gzipped(tmp_path: Path, suffix: str) -> None:
    images = write_mnist(tmp_path / "MNIST" / "raw", suffix)
    sources = opened(dataset="MNIST", root=str(tmp_path))
    assert isinstance(sources.train.dataset, ArrayDataset)
    assert np.array_equal(sources.train.dataset.images, images)
    assert sources.classes == [str(digit) for digit in range(10)]


def test_content_that_is_not_the_published_one_is_said(tmp_path: Path) -> None:
    write_mnist(tmp_path / "FashionMNIST" / "raw")
    notes = opened(dataset="FashionMNIST", root=str(tmp_path)).notes
    assert any("train-images-idx3-ubyte: content differs from the published FashionMNIST" in note for note in notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"<html>not found</html>", "not an IDX file"),
        (bytes([0, 0, 8, 3]) + bytes(11), "truncated header"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 20]) + bytes(9), "has 17 bytes, but its header says 28; download it again"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    write_mnist(tmp_path / "MNIST" / "raw")
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        opened(dataset="MNIST", root=str(tmp_path))
    assert "train-images-idx3-ubyte" in str(error.value)


def test_a_truncated_archive_is_named(tmp_path: Path) -> None:
    write_mnist(tmp_path / "MNIST" / "raw", ".gz")
    archive = tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte.gz"
    archive.write_bytes(archive.read_bytes()[:500])
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz: can't be read"):
        opened(dataset="MNIST", root=str(tmp_path))


def test_a_missing_data_set_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "DEBIAN", {})
    for name in ("MNIST", "FashionMNIST"):
        with pytest.raises(
            ConfigError, match=rf"{name} is not in .*data.download = true downloads it, or put .*ubyte"
        ):
            opened(dataset=name, root=str(tmp_path))
    with pytest.raises(ConfigError, match=r"CIFAR10 is not in .*cifar-10-python.tar.gz into .*cifar-10-batches-py"):
        opened(dataset="CIFAR10", root=str(tmp_path))


def write_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Files in CIFAR-10's format, and torchvision told their check sums."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    data = np.random.default_rng(0).integers(0, 256, (10, 3 * 32 * 32), dtype=np.uint8)
    names = [name for name, _ in datasets.CIFAR10.train_list + datasets.CIFAR10.test_list]
    sums = {}
    for name in [*names, "batches.meta"]:
        content = {"data": data, "labels": list(range(10)), "label_names": [f"class {k}" for k in range(10)]}
        (folder / name).write_bytes(pickle.dumps(content))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    for table in ("train_list", "test_list"):
        monkeypatch.setattr(
            datasets.CIFAR10, table, [[name, sums[name]] for name, _ in getattr(datasets.CIFAR10, table)]
        )
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**datasets.CIFAR10.meta, "md5": sums["batches.meta"]})
    return data


def test_cifar10_in_its_own_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_cifar10(tmp_path, monkeypatch)
    sources = opened(dataset="CIFAR10", root=str(tmp_path))
    assert isinstance(sources.train.dataset, ArrayDataset)
    assert sources.train.dataset.images.shape == (50, 32, 32, 3)
    assert np.array_equal(sources.train.dataset.images[0].transpose(2, 0, 1).ravel(), data[0])
    assert (len(sources.validation), sources.classes[3]) == (10, "class 3")


def test_a_changed_cifar10_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar10(tmp_path, monkeypatch)
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"changed")
    with pytest.raises(DataError, match="wrong MD5"):
        opened(dataset="CIFAR10", root=str(tmp_path))


def test_a_failing_download_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.CIFAR10, "url", (tmp_path / "nothing.tar.gz").as_uri())
    with pytest.raises(DataError, match="CIFAR10: can't be downloaded to"):
        opened(dataset="CIFAR10", root=str(tmp_path), download=True)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a web server of this folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_download_is_unpacked_and_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published_root, root = tmp_path / "published", tmp_path / "datasets"
    published_root.mkdir()
    write_cifar10(published_root, monkeypatch)
    archive = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(published_root / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    with served(tmp_path) as address:
        monkeypatch.setattr(datasets.CIFAR10, "url", f"{address}/cifar-10-python.tar.gz")
        assert len(opened(dataset="CIFAR10", root=str(root), download=True).train) == 50
    assert len(opened(dataset="CIFAR10", root=str(root)).train) == 50


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'FashonMNIST': unknown data set.*did you mean 'FashionMNIST'"):
        opened(dataset="FashonMNIST")
    with pytest.raises(ConfigError, match=r"data.arguments.train: digits takes no arguments"):
        opened(dataset="digits", arguments={"train": True})


def test_a_folder_with_train_and_val(tmp_path: Path) -> None:
    for part, count in (("train", 5), ("val", 2), ("test", 3)):
        for name in ("cat", "dog"):
            write_images(tmp_path / part / name, count)
    (tmp_path / "train" / ".cache").mkdir()
    sources = opened(dataset="ImageFolder", root=str(tmp_path))
    assert (len(sources.train), len(sources.validation), len(sources.test or [])) == (10, 4, 6)
    assert sources.classes == ["cat", "dog"]
    assert (sources.train.name, sources.validation.name) == ("train", "validation")


def test_a_folder_of_classes_is_split_by_share(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_images(tmp_path / name / "deeper", 10)
    sources = opened(dataset=str(tmp_path), validation=0.3)
    assert (len(sources.train), len(sources.validation), sources.test) == (14, 6, None)
    with pytest.raises(ConfigError, match="has no test split"):
        opened(dataset=str(tmp_path))


def test_folders_give_the_same_samples_as_torchvision(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_images(tmp_path / "train" / name, 3)
        write_images(tmp_path / "val" / name, 1)
    sources = opened(dataset="ImageFolder", root=str(tmp_path))
    theirs = datasets.ImageFolder(str(tmp_path / "train"))
    for index, (image, target) in enumerate(theirs):
        ours, our_target = sources.train.dataset[index]
        assert our_target == target
        assert np.array_equal(np.asarray(ours), np.asarray(image))


@pytest.mark.parametrize(("modes", "expected"), [(("L", "1"), "L"), (("L", "RGB"), "RGB"), (("P", "RGBA"), "RGB")])
def test_images_become_rgb_unless_all_are_gray(tmp_path: Path, modes: tuple[str, str], expected: str) -> None:
    for name, mode in zip(("a", "b"), modes, strict=True):
        write_images(tmp_path / name, 3, mode=mode)
    sources = opened(dataset=str(tmp_path), validation=0.4)
    assert {sources.train.dataset[index][0].mode for index in range(6)} == {expected}


def test_images_of_16_bits_are_refused_and_not_clipped(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 2, mode="L")
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(tmp_path / "a" / "deep.png")
    with pytest.raises(DataError, match=r"deep.png: has more than 8 bits per channel"):
        opened(dataset=str(tmp_path), validation=0.4)


def test_empty_folders_say_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data.root = .*no such folder"):
        opened(dataset="ImageFolder", root=str(tmp_path / "nothing"))
    with pytest.raises(DataError, match=r"it contains no folders; expected one folder of images per class"):
        opened(dataset="ImageFolder", root=str(tmp_path))
    write_images(tmp_path, 3)
    with pytest.raises(DataError, match="it contains 3 images directly"):
        opened(dataset="ImageFolder", root=str(tmp_path))
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match=r"cat: no images in it \(known file types: .jpg"):
        opened(dataset="ImageFolder", root=str(tmp_path))


def test_a_class_that_only_validation_has_is_refused(tmp_path: Path) -> None:
    write_images(tmp_path / "train" / "cat", 2)
    write_images(tmp_path / "val" / "dog", 2)
    with pytest.raises(DataError, match="the training split has no class 'dog'"):
        opened(dataset="ImageFolder", root=str(tmp_path))


def test_links_in_a_circle_are_walked_once(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 2)
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
    assert len(opened(dataset=str(tmp_path), validation=0.5).train.dataset) == 2


USER_FILE = """
import numpy as np

class Squares:
    classes = ["dark", "light"]
    def __init__(self, count, offset=0):
        self.targets = [k % 2 for k in range(count)]
        self.offset = offset
    def __len__(self):
        return len(self.targets)
    def __getitem__(self, index):
        return np.full((6, 6), self.targets[index] * 200 + self.offset, np.uint8), self.targets[index]

def by_train(train, count=8, root=""):
    return Squares(count if train else 4)

def by_split(split, count=8):
    return Squares(count if split == "train" else 4)

def one(count=8):
    return Squares(count)

def mapping():
    return {"train": Squares(8), "validation": Squares(2), "test": Squares(4)}

def nothing():
    return None

def wrong_name():
    return {"training": Squares(8)}

def broken():
    return 1 / 0

def out_of_range():
    squares = Squares(8)
    squares.targets[3] = 7
    return squares

def without_lists():
    return [(np.zeros((4, 4), np.uint8), k % 3) for k in range(9)]
"""


@pytest.fixture
def user_file(tmp_path: Path) -> str:
    (tmp_path / "my_data.py").write_text(USER_FILE)
    return str(tmp_path / "my_data.py")


@pytest.mark.parametrize(("name", "sizes"), [("by_train", (8, 4)), ("by_split", (8, 4)), ("mapping", (8, 2))])
def test_a_users_factory_gives_its_splits(user_file: str, name: str, sizes: tuple[int, int]) -> None:
    sources = opened(dataset=f"{user_file}:{name}")
    assert (len(sources.train), len(sources.validation)) == sizes
    assert sources.classes == ["dark", "light"]


def test_a_users_factory_takes_arguments(user_file: str) -> None:
    assert len(opened(dataset=f"{user_file}:by_train", arguments={"count": 20}).train) == 20
    with pytest.raises(ConfigError, match=r"data.arguments.*'cuont'; did you mean 'count'"):
        opened(dataset=f"{user_file}:by_train", arguments={"cuont": 20})


def test_a_users_data_set_without_a_test_split_is_split_by_share(user_file: str) -> None:
    sources = opened(dataset=f"{user_file}:one", validation=0.25)
    assert (len(sources.train), len(sources.validation)) == (6, 2)


def test_labels_are_read_where_no_list_of_them_exists(user_file: str) -> None:
    sources = opened(dataset=f"{user_file}:without_lists", validation=0.34)
    assert sources.classes == ["0", "1", "2"]
    assert "`targets`" in sources.notes[0]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("nothing", DataError, "expected a map-style data set"),
        ("wrong_name", DataError, 'one of them must be "train"|expected "train"'),
        ("broken", UserCodeError, "ZeroDivisionError: division by zero"),
        ("out_of_range", DataError, r"sample 3 has class index 7, but there are 2 classes \(0 to 1\)"),
        ("on", ConfigError, "did you mean 'one'"),
    ],
)
def test_what_is_wrong_with_a_users_data_set_is_said(
    user_file: str, name: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        opened(dataset=f"{user_file}:{name}", validation=0.2)


def test_a_fingerprint_is_that_of_earlier_releases(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/0.png").write_bytes(b"12345")
    targets = np.array([1, 0, 1])
    array = ArrayDataset(np.arange(12, dtype=np.uint8).reshape(3, 2, 2), targets)
    folder = FolderDataset(tmp_path, ("a/0.png",) * 3, targets, "RGB")
    labeled = LabeledDataset([(None, 0)] * 3, targets)
    known: dict[str, SampleDataset] = {
        "3b6a4dac7507f60d9a374e22235cede8": array,
        "eccc4fc380013fe6dfcb19902dcef9a4": folder,
        "9a7dee679b0ec280c08f96d22cd73a8b": labeled,
    }
    for digest, dataset in known.items():
        assert fingerprint_splits([Split(dataset, None, targets, "train")], ["x", "y"]) == digest


def test_the_fingerprint_knows_pixels_labels_and_split(tmp_path: Path) -> None:
    def fingerprint(seed: int = 0, validation: float = 0.2) -> str:
        return opened(seed, dataset="digits", validation=validation).fingerprint

    assert fingerprint() == fingerprint()
    assert len({fingerprint(), fingerprint(seed=1), fingerprint(validation=0.3)}) == 3
    write_images(tmp_path / "a", 4)
    before = opened(dataset=str(tmp_path), validation=0.5).fingerprint
    assert before == opened(dataset=str(tmp_path), validation=0.5).fingerprint
    write_images(tmp_path / "a", 1, size=(30, 30))
    assert before != opened(dataset=str(tmp_path), validation=0.5).fingerprint
