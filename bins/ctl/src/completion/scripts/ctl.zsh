#compdef @program@
# zsh completion for @program@
_@function@() {
  local out line directive value description
  local -a candidates
  out=$("${words[1]}" __complete "${(@)words[2,CURRENT-1]}" "${words[CURRENT]}" 2>/dev/null) || return
  directive=${out##*:}
  for line in ${(f)out%:*}; do
    value=${line%%$'\t'*}
    description=
    [[ $line == *$'\t'* ]] && description=${line#*$'\t'}
    candidates+=("${value//:/\\:}${description:+:$description}")
  done
  if (( ${#candidates} == 0 && (directive & 4) == 0 )); then
    _files
  elif (( directive & 2 )); then
    _describe -V '@program@' candidates -S ''
  else
    _describe '@program@' candidates
  fi
}
if [ "$funcstack[1]" = "_@function@" ]; then _@function@ "$@"; else compdef _@function@ @program@; fi
