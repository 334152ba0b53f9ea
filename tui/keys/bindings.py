"""Textual's bindings, made from the table of commands."""

from __future__ import annotations

from collections.abc import Mapping

from textual.binding import Binding, BindingType

from torchdeck.engine.errors import ConfigError, did_you_mean

from .commands import COMMANDS, command_id


def bindings(part: str) -> list[BindingType]:
    """The bindings of one part of the screen, for its `BINDINGS`.

    A binding's description is for the last line, its tooltip is the sentence for help and palette, and its id is the
    name by which the user can remap it.
    """
    return [
        Binding(
            command.keys,
            command.action,
            command.label or command.does,
            show=bool(command.label),
            key_display=command.shown or None,
            priority=command.priority,
            tooltip=command.does,
            id=command_id(part, name),
        )
        for name, command in COMMANDS[part].items()
        if command.keys
    ]


def checked_keymap(keys: Mapping[str, str]) -> dict[str, str]:
    """The user's own keys, as `App.set_keymap` takes them.

    Raises:
        ConfigError: a command does not exist, or has no key to be replaced.
    """
    known = {command_id(part, name) for part, named in COMMANDS.items() for name, each in named.items() if each.keys}
    for name in keys:
        if name not in known:
            part = name.partition(".")[0]
            allowed = sorted(each for each in known if each.startswith(f"{part}.")) or [
                f"{each}.…" for each in COMMANDS
            ]
            raise ConfigError(f"[keys] {name[:100]}: unknown command{did_you_mean(name, allowed)}")
    return dict(keys)
