"""Patterns that name parts of a model: what freeze rules and initialization rules have in common."""

from __future__ import annotations

import re

from ..errors import ConfigError

_WILDCARDS = {"*": ".*", "?": "."}
_REGEX = "re:"


def path_pattern(pattern: str, where: str) -> re.Pattern[str]:
    r"""What a pattern matches among dotted names, by `fullmatch`.

    `*` stands for any characters, dots included, `?` for one; the name of a module covers everything below it. After
    `re:` stands a regular expression of Python instead, which has to match a whole name: `re:layer[34]\..*`.

    Args:
        pattern: pattern as written in the config.
        where: prefix of error messages, such as 'model.freeze: "!fc"'.

    Raises:
        ConfigError: it names nothing, or is not a regular expression.
    """
    text = pattern.strip()
    if text.startswith(_REGEX):
        try:
            return re.compile(text.removeprefix(_REGEX))
        except re.error as error:
            raise ConfigError(f"{where} is not a valid regular expression: {error}") from error
    if not text:
        raise ConfigError(f'{where} is empty; write a pattern such as "layer1" or "*.conv1"')
    return re.compile("".join(_WILDCARDS.get(character, re.escape(character)) for character in text) + r"(\..*)?")
