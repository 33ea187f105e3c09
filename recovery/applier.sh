# The applier: brings one unit to a bundle, or says what it runs. Protocol v1, see docs/protocol.md.
# It is sent as it stands, less these comment lines, as the argument of /bin/sh -c, and runs in dash and busybox ash.
#
#   in   pulih/1 MODE UNIT ROOT DIGEST EPOCH HOLDER RUN SIZE      one line; after `send`, SIZE bytes of tar
#   out  same | send | refused CAUSE WORDS                        then `at STEP` before each step
#        done DIGEST | failed STEP CAUSE BACK                     the last line; without it the result is unknown
#
# File descriptor 9 is the lock, held for the life of this shell and closed for every child, so that a child that
# outlives its parent can't keep it. Whatever isn't a builtin is a process: at most 15 a visit beside unit.yaml's own.
export LC_ALL=C
umask 022
set -f
trap '' HUP PIPE
nl='
'
limit=25
say() { printf '%s\n' "$*" 2>/dev/null; }
refuse() { say "refused $*"; exit 0; }
back=untouched
fail() { say "failed $* $back"; exit 0; }

line=$(timeout "$limit" /bin/sh -c 'IFS= read -r l && printf %s "$l"') || refuse bad-header no header line within "$limit" s
case $line in *[!A-Za-z0-9._:/\ -]*) refuse bad-header a character outside the allowed ones ;; esac
set -- $line
[ $# -eq 9 ] && [ "$1" = pulih/1 ] || refuse bad-header expected pulih/1 and 8 fields, found $# words
for field; do [ ${#field} -le 200 ] || refuse bad-header a field longer than 200; done
mode=$2 root=$4 digest=$5 epoch=$6 holder=$7 run=$8 size=$9
case $epoch$size in *[!0-9]* | ?????????????????????????*) refuse bad-header epoch and size are numbers ;; esac
case $root in /*[!/]) ;; *) refuse bad-header the root is an absolute path ;; esac
case $root/ in */../* | */./*) refuse bad-header the root has no dots ;; esac
case $mode in apply | read | probe | forget) ;; *) refuse bad-header unknown mode ;; esac

missing=
for tool in flock tar sha256sum mv readlink timeout df head find ls ln rm mkdir date; do
    command -v $tool >/dev/null || missing="$missing $tool"
done

# The name of the release that runs, as in releases/NAME; empty when none does.
current=
look() {
    current=
    cd -P "$root/current" 2>/dev/null && case $PWD in */releases/sha256:*) current=${PWD##*/} ;; esac
}
receipt=
[ -r "$root/receipt.json" ] && IFS= read -r receipt <"$root/receipt.json"
known=0 known_holder=-
if [ -s "$root/epoch" ]; then
    read -r known known_holder <"$root/epoch"
    case $known in '' | *[!0-9]*) refuse internal "$root/epoch does not start with a number" ;; esac
fi

# Fills $paths and $count from the MANIFEST of the folder we stand in, $want_sums as sha256sum prints them and
# $want_modes as `|-rw-r--r-- path|`. The manifest may be damaged: its digest is checked together with the files.
triad() {
    case $1 in
    0) bits=--- ;; 1) bits=--x ;; 2) bits=-w- ;; 3) bits=-wx ;; 4) bits=r-- ;; 5) bits=r-x ;; 6) bits=rw- ;; 7) bits=rwx ;;
    *) bits=bad ;;
    esac
}
manifest() {
    paths=MANIFEST count=1 want_modes='|' want_sums="${digest#sha256:}  MANIFEST"
    [ -f MANIFEST ] && [ ! -L MANIFEST ] || return 1
    while read -r sum octal path; do
        case $path in '' | /* | -* | *..* | *[!A-Za-z0-9._/-]*) return 1 ;; esac
        rest=${octal#0}; triad "${rest%??}"; perm=$bits; rest=${rest#?}; triad "${rest%?}"; perm=$perm$bits; triad "${rest#?}"
        paths="$paths $path" count=$((count + 1)) want_modes="$want_modes-$perm$bits $path|"
        want_sums="$want_sums$nl$sum  $path"
    done <MANIFEST
    [ $count -gt 1 ]
}
# Whether every line of a listing on stdin (mode first, name last) is a file that the manifest wants with that mode.
modes_match() {
    seen=0
    while read -r perm words; do
        path=${words##* } perm=${perm%[.+@]}
        path=${path#.stage/}
        [ "$path" = MANIFEST ] && continue
        seen=$((seen + 1))
        case $want_modes in *"|$perm $path|"*) ;; *) return 1 ;; esac
    done
    [ $((seen + 1)) -eq $count ]
}
# Whether the folder we stand in holds exactly the files of the bundle, unharmed.
intact() {
    manifest || return 1
    [ "$(sha256sum $paths 9>&- 2>/dev/null)" = "$want_sums" ] || return 1
    listing=$(ls -ldn $paths 9>&- 2>/dev/null) || return 1
    modes_match <<END || return 1
$listing
END
    found=0
    for path in $(find . ! -type d 9>&-); do found=$((found + 1)); done
    [ $found -eq $count ]
}
# Run a script of the release we stand in; what it prints goes to stderr, so that it can't speak the protocol.
script() { timeout "$limit" /bin/sh "unit/$1" "$2" </dev/null >&2 9>&-; }

if [ "$mode" = read ]; then
    case $(mv --help 2>&1) in *-T*) ;; *) missing="$missing mv-T" ;; esac
    [ -z "$missing" ] || say "missing$missing"
    say "epoch $known $known_holder"
    [ -z "$receipt" ] || say "receipt $receipt"
    look
    [ -n "$current" ] || { say done none; exit 0; }
    say "current $current"
    safe= odd=0
    list=$(find . ! -type d)
    while IFS= read -r path; do
        case $path in *[!A-Za-z0-9._/-]*) odd=$((odd + 1)) ;; *) safe="$safe ${path#./}" ;; esac
    done <<END
$list
END
    [ ${#safe} -le 60000 ] || fail read internal
    [ $odd -eq 0 ] || say "odd $odd"
    if [ -n "${safe# }" ]; then
        sums=$(sha256sum $safe 2>/dev/null)
        listing=$(ls -ldn $safe)
        while read -r perm words; do say "mode ${perm%[.+@]} ${words##* }"; done <<END
$listing
END
        while read -r sum path; do [ -z "$sum" ] || say "sum $sum $path"; done <<END
$sums
END
    fi
    if [ "$size" -gt 0 ]; then
        for path in $safe; do
            [ -f "$path" ] && [ ! -L "$path" ] || continue
            bytes=$(head -c "$size" "$path" | wc -c)
            say "content $((bytes)) $path"
            head -c $((bytes)) "$path"
        done
    fi
    say "done ${current%%.*}"
    exit 0
fi

[ -z "$missing" ] || refuse internal missing on this unit:$missing

# The test transaction, in the folder of a release; the nonce is drawn here unless the caller sent one.
probe() {
    nonce=$1
    [ -n "$nonce" ] || read -r nonce </proc/sys/kernel/random/uuid
    answer=$(timeout "$limit" /bin/sh unit/probe "$nonce" </dev/null 9>&-)
}

if [ "$mode" = probe ]; then
    look
    [ -n "$current" ] || { back=none; fail probe probe-failed; }
    say "current ${current%%.*}"
    probe "$holder" || { say "answer $answer"; back=previous; fail probe probe-failed; }
    say "answer $answer"
    say "done ${current%%.*}"
    exit 0
fi

# From here on we write: one writer at a time, and none that another has overtaken.
[ -d "$root/releases" ] || mkdir -p "$root/releases" || refuse internal "cannot make $root/releases"
{ true; } 2>/dev/null >>"$root/lock" || refuse internal "cannot write to $root"
exec 9>>"$root/lock"
flock -n 9 || timeout "$limit" flock 9 || refuse timeout another applier is still at work on this unit
known=0 known_holder=-
[ -s "$root/epoch" ] && read -r known known_holder <"$root/epoch"
if [ "$epoch" -lt "$known" ] || { [ "$epoch" -eq "$known" ] && [ "$holder" != "$known_holder" ]; }; then
    refuse stale-epoch "$known" "$known_holder"
fi
# One write of one length, over the old text, without a moment at which the file is empty.
if [ "$epoch $holder" != "$known $known_holder" ]; then
    printf '%-240s\n' "$epoch $holder" 1<>"$root/epoch" || refuse internal "cannot write $root/epoch"
fi
receipt=
[ -r "$root/receipt.json" ] && IFS= read -r receipt <"$root/receipt.json"

if [ "$mode" = forget ]; then
    [ ! -e "$root/receipt.json" ] || rm "$root/receipt.json" 9>&- || fail forget internal
    say "done $digest"
    exit 0
fi

# What a step leaves: a receipt only behind a probe that passed; an empty one means "reload before you trust me".
swap() { ln -sfn "releases/$1" "$root/current.new" 9>&- && mv -T "$root/current.new" "$root/current" 9>&-; }
write_receipt() { printf '%s\n' "$1" >"$root/receipt.new" && mv "$root/receipt.new" "$root/receipt.json" 9>&-; }
finish() {
    say at receipt
    at=$(date -u +%Y-%m-%dT%H:%M:%SZ 9>&-)
    write_receipt "{\"digest\":\"$digest\",\"epoch\":$epoch,\"holder\":\"$holder\",\"run\":\"$run\",\"applied_at\":\"$at\"}" ||
        fail receipt internal
}
keep=
prune() {
    set +f
    cd "$root/releases" || return
    doomed=
    for name in * .stage*; do
        case $name in "$current" | "$keep" | .stage.tar | '*' | '.stage*') ;; *) doomed="$doomed $name" ;; esac
    done
    set -f
    true >.stage.tar
    [ -z "$doomed" ] || rm -rf $doomed 9>&-
}

look
if [ "${current%%.*}" = "$digest" ] && intact; then
    say same
    case $receipt in *"\"digest\":\"$digest\""*) ;; *) receipt= ;; esac
    if [ -n "$receipt" ]; then
        say at probe
        probe && { say "answer $answer"; say "done $digest"; exit 0; }
    fi
    say at reload
    script reload || fail reload internal
    say at probe
    probe || fail probe probe-failed
    [ -n "$receipt" ] || finish
    say "answer $answer"
    say "done $digest"
    exit 0
fi

cd "$root" || refuse internal "cannot enter $root"
free=$(df -Pk . 9>&-)
set -- ${free##*"$nl"}
need=$((size * 3 / 1024 + 64))
case $4 in '' | *[!0-9]*) ;; *) [ "$4" -ge $need ] || refuse disk-full "$4 KiB free, $need KiB needed in $root" ;; esac

say send
say at stage
[ ! -e releases/.stage ] || rm -rf releases/.stage 9>&-
full() { case $1 in *"No space"* | *uota*) fail stage disk-full ;; *) printf '%s\n' "$1" >&2; fail stage internal ;; esac; }
note=$(timeout "$limit" head -c "$size" 2>&1 >releases/.stage.tar 9>&-) || full "$note"
listing=$(tar -tvf releases/.stage.tar 2>&1 9>&-) || full "$listing"
while read -r perm words; do
    set -- $words
    [ $# -eq 5 ] || full "refused in the bundle: $perm $words"
    case $perm$5 in *..* | *[!A-Za-z0-9._/-]*) full "refused in the bundle: $perm $5" ;; -?????????.stage/[A-Za-z0-9]*) ;; *)
        full "refused in the bundle: $perm $5" ;;
    esac
done <<END
$listing
END
note=$(tar -xpof releases/.stage.tar -C releases 2>&1 9>&-) || full "$note"
say at check
cd releases/.stage || fail check internal
manifest || fail check bad-answer
[ "$(sha256sum $paths 9>&- 2>/dev/null)" = "$want_sums" ] || fail check bad-answer
modes_match <<END || fail check bad-answer
$listing
END

say at validate
script validate || fail validate validate-failed

say at swap
name=$digest n=0
while [ -e "$root/releases/$name" ]; do n=$((n + 1)); name=$digest.$n; done
mv "$root/releases/.stage" "$root/releases/$name" 9>&- || fail swap internal
[ -z "$receipt" ] || true >"$root/receipt.json" || fail swap internal
swap "$name" || fail swap internal
keep=$current

undo() {
    say at back
    if [ -n "$keep" ]; then
        back=previous
        swap "$keep" && cd -P "$root/current" && script reload && { [ -z "$receipt" ] || write_receipt "$receipt"; } || back=unknown
    else
        back=none
        rm -f "$root/current" 9>&- || back=unknown
    fi
    [ $back = unknown ] || rm -rf "$root/releases/$name" 9>&-
    fail "$@"
}
say at reload
cd -P "$root/current" || undo reload internal
script reload || undo reload internal
say at probe
probe || undo probe probe-failed
finish
current=$name
prune
say "answer $answer"
say "done $digest"
