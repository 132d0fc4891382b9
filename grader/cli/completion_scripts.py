"""The scripts of `grader completion`: each asks `grader completion-words`, and takes files if it says nothing."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["SCRIPTS"]

_BASH = r"""_grader() {
    local IFS=$'\n' program=${COMP_WORDS[0]/#\~/$HOME}
    COMPREPLY=($("$program" completion-words bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _grader grader
"""

_ZSH = r"""#compdef grader
_grader() {
    local -a lines shown
    local line value text program=${~words[1]}
    lines=("${(@f)$("$program" completion-words zsh -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    for line in $lines; do
        value=${line%%$'\t'*}
        text=${line#$value}
        shown+=("${value//:/\\:}${text:+:${text#$'\t'}}")
    done
    if (( $#shown )); then
        _describe -V grader shown
    else
        _files
    fi
}
if [[ ${funcstack[1]} == _grader ]]; then
    _grader "$@"
else
    compdef _grader grader
fi
"""

_FISH = r"""function __grader_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($words[1] completion-words fish -- $words[2..-1] $current 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path $current
    end
end
complete -c grader -f -a '(__grader_complete)'
"""

SCRIPTS: Mapping[str, str] = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
