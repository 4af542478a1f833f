# fish completion for @program@
function __@function@_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l out (command $words[1] __complete $words[2..-1] "$current" 2>/dev/null)
    test (count $out) -gt 0; or return
    set -l directive (string replace -r '^:' '' -- $out[-1])
    set -l found $out[1..-2]
    if test (count $found) -eq 0 -a (math "bitand($directive, 4)") -eq 0
        __fish_complete_path "$current"
    else
        printf '%s\n' $found
    end
end
complete -c @program@ -e
complete -c @program@ -f -a '(__@function@_complete)'
