# SPDX-License-Identifier: MIT
# bash completion of flk and its programs: what `flk complete` says, else files.

_flk() {
    local flk=${COMP_WORDS[0]}
    [[ $flk == */* ]] && flk=${flk%/*}/flk || flk=flk
    mapfile -t COMPREPLY < <("$flk" complete "${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 0 && ${COMP_WORDS[COMP_CWORD]} != -* ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
    fi
}

complete -F _flk flk flk-gateway flk-follow flk-broker flk-worker flk-agent flk-replay
