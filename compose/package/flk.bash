# SPDX-License-Identifier: MIT
# bash completion of flk and its programs. Verbs and options come from the programs' own help, so that they never differ.

_flk_words_of() { # command...: the options that its --help names
    "$@" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]+' | sort -u
}

_flk_files() {
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

_flk() {
    local current=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} words
    COMPREPLY=()
    if [[ ${program##*/} == flk && $COMP_CWORD -eq 1 ]]; then
        words=$("$program" help 2>/dev/null | sed -nE '/^Settings/q; s/^  ([a-z]+) .*/\1/p')
    elif [[ $current == -* && ${program##*/} == flk ]]; then
        words=$(_flk_words_of "$program" "${COMP_WORDS[1]}")
    elif [[ $current == -* ]]; then
        words=$(_flk_words_of "$program")
    elif [[ $COMP_CWORD -eq 2 ]]; then
        case ${COMP_WORDS[1]} in
        doctor) words='gateway broker worker agent' ;;
        healthcheck) words='gateway broker worker' ;;
        store) words='check get stats export import' ;;
        agent) words='compute submit drain status dead' ;;
        wal) words='list show verify stats export audit replay' ;;
        dlq) words='list show purge replay' ;;
        *) _flk_files "$current" && return ;;
        esac
    elif [[ $COMP_CWORD -eq 3 && ${COMP_WORDS[1]} == agent && ${COMP_WORDS[2]} == dead ]]; then
        words='list show purge resign'
    else
        _flk_files "$current"
        return
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _flk flk flk-gateway flk-broker flk-worker flk-agent flk-replay
