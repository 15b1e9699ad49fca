# SPDX-License-Identifier: MIT
# fish completion of flk and its programs: what `flk complete` says, else files.

function __flk_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l flk flk
    string match -q '*/*' -- $words[1]; and set flk (dirname $words[1])/flk
    set -l candidates ($flk complete $words 2>/dev/null)
    if test (count $candidates) -gt 0
        printf '%s\n' $candidates
    else
        __fish_complete_path (commandline -ct)
    end
end

for program in flk flk-gateway flk-follow flk-broker flk-worker flk-agent flk-replay
    complete -c $program -f -a '(__flk_complete)'
end
