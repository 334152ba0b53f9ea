import subprocess
import sys

from data_cases import needs_fashion_mnist, run_config

from torchdeck.engine.data.datasets.catalog import find_dataset
from torchdeck.engine.data.datasets.sources import open_sources
from torchdeck.engine.data.datasets.splits import ArrayDataset


def test_listing_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; from torchdeck.engine.data.datasets.catalog import list_datasets; list_datasets(); "
        "sys.exit(bool({'torch', 'torchvision', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_names_are_found_exactly() -> None:
    entry = find_dataset("CIFAR10")
    assert entry is not None and entry.shape == (3, 32, 32)
    assert find_dataset("cifar10") is None


@needs_fashion_mnist
def test_what_the_catalog_says_is_what_is_opened() -> None:
    for name, validation in (("digits", 0.5), ("FashionMNIST", "test")):
        entry = find_dataset(name)
        assert entry is not None
        sources = open_sources(run_config(dataset=name, validation=validation).data, 0)
        assert isinstance(sources.train.dataset, ArrayDataset)
        assert len(sources.train.dataset) == entry.train_size
        assert (1, *sources.train.dataset.images.shape[1:]) == entry.shape
        assert len(sources.classes) == entry.classes
