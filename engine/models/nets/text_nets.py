"""A classifier of text that is quick to train and hard to beat for its size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .argument_checks import check_probability, positive_integer, positive_integers

PADDING = 0
"""Token id that pads short texts of a batch; ignored by the model."""


class TextBag(nn.Module):
    """The average of the vectors of a text's words, and a small network on it.

    Every word of the vocabulary has a vector that is learnt; their average stands for the text, whatever the order of
    the words. `nn.EmbeddingBag` takes the average without ever laying out the vectors of all words in a row.

    Joulin, Grave, Bojanowski, Mikolov: Bag of Tricks for Efficient Text Classification, 2016.
    """

    def __init__(
        self, num_classes: int, vocabulary: int, dimensions: int, hidden: Sequence[int], dropout: float
    ) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(vocabulary, dimensions, mode="mean", padding_idx=PADDING)
        layers: list[nn.Module] = [nn.Dropout(dropout)]
        features = dimensions
        for width in hidden:
            layers += [nn.Linear(features, width), nn.ReLU(), nn.Dropout(dropout)]
            features = width
        layers.append(nn.Linear(features, num_classes))
        self.classifier = nn.Sequential(*layers)

    def forward(self, tokens: Tensor, offsets: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Logits [B, num_classes] of texts.

        Args:
            tokens: ids of the words [B, L], short texts filled up with 0; or, with offsets, those of all texts one
                after another [sum of the lengths].
            offsets: where in `tokens` each text begins, [B].
            mask: which of the tokens [B, L] count; all but the padding if it is not given.
        """
        ids = tokens.long()
        if mask is not None:
            ids = torch.where(mask.bool(), ids, PADDING)
        return self.classifier(self.embedding(ids, offsets))


def embedding_bag(
    num_classes: int,
    input_shape: object,
    *,
    vocabulary: int = 30_000,
    dimensions: int = 64,
    hidden: Sequence[int] = (),
    dropout: float = 0.1,
) -> TextBag:
    """A classifier of texts whose words are given as numbers.

    Args:
        num_classes: number of logits.
        input_shape: shape of one sample: (L,) for token ids padded with 0, or the parts of (ids, offsets). The network
            does not depend on it.
        vocabulary: how many ids there are, the padding's included; every id of the data is below it.
        dimensions: size of a word's vector.
        hidden: width of each hidden layer behind the average.
        dropout: probability of dropping a feature.

    Raises:
        ConfigError: an argument out of its bounds.
    """
    positive_integer("model.vocabulary", vocabulary)
    positive_integer("model.dimensions", dimensions)
    widths = positive_integers("model.hidden", hidden, may_be_empty=True)
    check_probability("model.dropout", dropout)
    return TextBag(num_classes, vocabulary, dimensions, widths, float(dropout))
