"""The remote commands of the transport's contract suite: POSIX sh, each with one behaviour."""

from __future__ import annotations

ECHO = "exec cat"
LINES = "printf 'one\\ntwo\\n\\nfour\\n'"
TORN = "printf 'whole\\ntorn'"
SILENT = "exec sleep 20"
FIRST_THEN_SILENT = "echo first; exec sleep 20"
TRICKLE = "for i in 1 2 3 4; do echo $i; sleep 0.6; done"
ENDLESS_LINES = "while echo more; do sleep 0.1; done"
ENDLESS_LINE = "while printf 0123456789abcdef; do :; done"
LONGEST_LINE = "printf '%04096d\\n' 7"
TOO_LONG_LINE = "printf '%04097d\\n' 7"
ESCAPES = "printf 'red \\033[31m\\tand \\303\\251 \\007\\r\\n'"
COMPLAINT = "printf 'bad \\033]0;title\\007\\nworse\\n' >&2; echo over"
MUCH_COMPLAINT = "i=0; while [ $i -lt 3000 ]; do printf '%01023d\\n' $i; i=$((i+1)); done >&2; echo over"
LEAVES = "echo leaving; exec >&-"
"""Answers without reading its input, and ends."""
