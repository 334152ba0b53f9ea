"""`torchdeck completion`: the script that lets a shell complete torchdeck's command lines."""

from __future__ import annotations

import os
import re

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

_COMPLETE_VARIABLE = "_TORCHDECK_COMPLETE"

_BASH = """\
%(complete_func)s() {
    local response line type value
    COMPREPLY=()
    response=$(COMP_WORDS="$(printf '%%s\\n' "${COMP_WORDS[@]}")" COMP_CWORD=$COMP_CWORD \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
    while IFS=',' read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            path) compopt -o filenames; COMPREPLY+=("$value") ;;
            plain) COMPREPLY+=("$value"); [[ $value == *= ]] && compopt -o nospace ;;
        esac
    done <<< "$response"
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


@add_completion_class
class Bash(BashComplete):
    """Bash, which breaks words at `=` and `:`; the values that it gets are what stands behind the last of them."""

    source_template = _BASH

    def source(self) -> str:
        """The script; it needs bash 4.4."""
        return ShellComplete.source(self)

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the cursor, whole again, and the one at it."""
        words = split_arg_string(os.environ["COMP_WORDS"])
        position = int(os.environ["COMP_CWORD"])
        self._shown_from = 0
        arguments: list[str] = []
        is_open = False
        for word in words[1 : position + 1]:
            is_break = re.fullmatch("[=:]+", word) is not None
            if arguments and (is_break or is_open):
                self._shown_from = len(arguments[-1]) + len(word) * is_break
                arguments[-1] += word
            else:
                self._shown_from = 0
                arguments.append(word)
            is_open = is_break
        if len(words) <= position:
            self._shown_from = 0
            return arguments, ""
        return arguments[:-1], arguments[-1]

    def format_completion(self, item: CompletionItem[str]) -> str:
        """A line of what the script reads."""
        return f"{'path' if item.is_path else item.type},{item.value[self._shown_from :]}"


_SHELLS: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": ZshComplete, "fish": FishComplete}


@click.command()
@click.argument("shell", type=click.Choice(list(_SHELLS)))
def completion(shell: str) -> None:
    """Print the script that completes torchdeck's command lines in a shell: verbs, options, presets, runs, models.

    \b
    bash:  eval "$(torchdeck completion bash)"              in ~/.bashrc
    zsh:   eval "$(torchdeck completion zsh)"               in ~/.zshrc, after compinit
    fish:  torchdeck completion fish > ~/.config/fish/completions/torchdeck.fish
    """
    root = click.get_current_context().find_root()
    click.echo(_SHELLS[shell](root.command, {}, "torchdeck", _COMPLETE_VARIABLE).source())
