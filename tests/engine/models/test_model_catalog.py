"""The catalog of models."""

from pathlib import Path

from torchdeck.engine.models.catalog import list_models, search_models
from torchdeck.engine.models.libraries import torchvision_table
from torchdeck.engine.models.libraries.torchvision_metadata import published_models, table_source
from torchdeck.engine.models.nets.builtin import BUILTIN_MODELS


def test_the_committed_table_is_that_of_the_installed_torchvision() -> None:
    assert Path(torchvision_table.__file__).read_text(encoding="utf-8") == table_source(published_models())


def test_the_catalog_lists_the_built_in_models_first() -> None:
    assert [entry.name for entry in list_models() if entry.source == "built-in"] == list(BUILTIN_MODELS)
    sources = [entry.source for entry in list_models()]
    assert sources == sorted(sources, key=["built-in", "torchvision", "timm"].index)
    assert sources.count("torchvision") == 80


def test_a_published_model_has_its_figures() -> None:
    resnet50 = next(entry for entry in list_models() if entry.name == "resnet50")
    assert (resnet50.params, resnet50.gflops, resnet50.accuracy, resnet50.image_size) == (25557032, 8.178, 80.858, 224)
    assert resnet50.description == "Deep Residual Learning for Image Recognition"


def names_found(words: str) -> list[str]:
    return [entry.name for entry in search_models(list_models(), words)]


def test_a_search_wants_every_word_and_leads_with_names_that_begin_so() -> None:
    assert names_found("convnext tiny")[0] == "convnext_tiny"
    assert names_found("resnet18")[:2] == ["resnet18", "timm/resnet18"]
    assert set(names_found("VGG*bn torchvision")) == {"vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"}
    assert "resnet50" in names_found("deep residual")
    assert not names_found("zzz")
