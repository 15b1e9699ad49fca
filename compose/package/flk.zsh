#compdef flk flk-gateway flk-follow flk-broker flk-worker flk-agent flk-replay
# SPDX-License-Identifier: MIT
# zsh completion of flk and its programs: what `flk complete` says, else files.

local flk=flk
[[ $words[1] == */* ]] && flk=${words[1]:h}/flk
local -a candidates
candidates=(${(f)"$($flk complete "${(@)words[1,CURRENT]}" 2>/dev/null)"})
if (( $#candidates )); then
    compadd -a candidates
else
    _files
fi
