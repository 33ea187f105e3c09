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
# A unit that has let a writer in must know it after a power cut too, or one that was overtaken could come back.
lasting=yes
settle() { [ $lasting = yes ] || { lasting=yes; sync "$root/epoch" 9>&-; }; }
refuse() { settle; say "refused $*"; exit 0; }
back=untouched
fail() { settle; say "failed $* $back"; exit 0; }
# KILL, because a program may ignore TERM. busybox ends only the program itself, not what that has started.
bounded() { timeout -s KILL "$limit" "$@"; }

line=$(timeout "$limit" /bin/sh -c 'IFS= read -r l && printf %s "$l"') || refuse bad-header no header line within "$limit" s
case $line in *[!A-Za-z0-9._:/\ -]*) refuse bad-header a character outside the allowed ones ;; esac
set -- $line
[ $# -eq 9 ] && [ "$1" = pulih/1 ] || refuse bad-header expected pulih/1 and 8 fields, found $# words
for field; do [ ${#field} -le 200 ] || refuse bad-header a field longer than 200; done
mode=$2 root=$4 digest=$5 epoch=$6 holder=$7 run=$8 size=$9
# A number of more digits than 64 bits hold is an error to `[`, which would let any epoch pass.
case $epoch$size in *[!0-9]*) refuse bad-header epoch and size are numbers ;; esac
[ ${#epoch} -le 18 ] && [ ${#size} -le 18 ] || refuse bad-header epoch and size have at most 18 digits
case $root in /*[!/]) ;; *) refuse bad-header the root is an absolute path ;; esac
case $root/ in */../* | */./*) refuse bad-header the root has no dots ;; esac
case $mode in apply | read | probe | forget) ;; *) refuse bad-header unknown mode ;; esac

missing=
for tool in flock tar sha256sum mv readlink timeout df head find ls ln rm mkdir date sync; do
    command -v $tool >/dev/null || missing="$missing $tool"
done

# The name of the release that runs, as in releases/NAME; empty when none does.
current=
look() {
    current=
    cd -P "$root/current" 2>/dev/null && case $PWD in */releases/sha256:*) current=${PWD##*/} ;; esac
}
# What earlier visits left, as $receipt, $known and $known_holder. Only of plain files: a pipe would keep us waiting. And
# none of 100 kB or more: a shell reads a byte at a time, so that 100 MB take a minute.
big=' '
if [ -e "$root/receipt.json" ] || [ -e "$root/epoch" ] || [ -e "$root/current/MANIFEST" ]; then
    while read -r perm links owner group bytes words; do
        case $bytes in ??????*) big="$big${words##* } " ;; esac
    done <<END
$(ls -ldnL "$root/receipt.json" "$root/epoch" "$root/current/MANIFEST" 2>/dev/null)
END
fi
small() { case $big in *" $1 "*) return 1 ;; esac; }
remember() {
    receipt= known=0 known_holder=-
    [ -f "$root/receipt.json" ] && small "$root/receipt.json" && IFS= read -r receipt <"$root/receipt.json"
    [ ${#receipt} -le 1500 ] || receipt=
    [ -f "$root/epoch" ] && [ -s "$root/epoch" ] || return 0
    small "$root/epoch" || refuse internal "$root/epoch is larger than an epoch: look at it and move it away"
    read -r known known_holder <"$root/epoch"
    case $known in '' | *[!0-9]* | ???????????????????*)
        refuse internal "$root/epoch does not start with a number of at most 18 digits" ;;
    esac
    [ ${#known_holder} -le 200 ] || refuse internal "$root/epoch does not name a holder of at most 200 characters"
}
remember

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
# Whether the folder we stand in holds exactly the files of the bundle, unharmed. Modes first: they show a pipe.
intact() {
    manifest || return 1
    listing=$(ls -ldn $paths 9>&- 2>/dev/null) || return 1
    modes_match <<END || return 1
$listing
END
    [ "$(bounded sha256sum $paths 9>&- 2>/dev/null)" = "$want_sums" ] || return 1
    found=0
    for path in $(find . ! -type d 9>&-); do found=$((found + 1)); done
    [ $found -eq $count ]
}
# Sets $late when a script was ended by its limit; 124 is what timeout says where it isn't killed itself.
ended() {
    late=no
    case $2 in 124 | 137) late=yes; say "unit/$1 did not end within $limit s" >&2 ;; esac
}
# Run a script of the release we stand in; what it prints goes to stderr, so that it can't speak the protocol. When it
# fails $cause is the one given, or timeout.
script() {
    bounded /bin/sh "unit/$1" </dev/null >&2 9>&- && return
    ended "$1" $?
    [ $late = yes ] && cause=timeout || cause=$2
    return 1
}

if [ "$mode" = read ]; then
    case $(mv --help 2>&1) in *-T*) ;; *) missing="$missing mv-T" ;; esac
    [ -z "$missing" ] || say "missing$missing"
    say "epoch $known $known_holder"
    [ -z "$receipt" ] || say "receipt $receipt"
    look
    [ -n "$current" ] || { say done none; exit 0; }
    say "current $current"
    safe= plain= odd=0
    list=$(find . ! -type d)
    while IFS= read -r path; do
        # What does not begin as find begins a name is the rest of one with a line break in it.
        case $path in '' | . | .[!/]* | [!.]* | *[!A-Za-z0-9._/-]*) odd=$((odd + 1)); continue ;; esac
        safe="$safe ${path#./}"
        [ ! -f "$path" ] || plain="$plain ${path#./}"
    done <<END
$list
END
    [ ${#safe} -le 60000 ] || fail read internal
    [ $odd -eq 0 ] || say "odd $odd"
    if [ -n "${safe# }" ]; then
        sums=$([ -z "$plain" ] || bounded sha256sum $plain 2>/dev/null)
        listing=$(ls -ldn $safe)
        while read -r perm words; do
            case $perm in l*) words=${words%% -> *} ;; esac
            say "mode ${perm%[.+@]} ${words##* }"
        done <<END
$listing
END
        while read -r sum path; do [ -z "$sum" ] || say "sum $sum $path"; done <<END
$sums
END
    fi
    # At most 16 MiB in all; what is left out is seen by its sum all the same.
    if [ "$size" -gt 0 ]; then
        left=16777216
        while read -r perm links owner group bytes words; do
            path=${words##* }
            [ -f "$path" ] && [ ! -L "$path" ] || continue
            [ "$bytes" -le "$size" ] || bytes=$size
            left=$((left - bytes))
            [ $left -ge 0 ] || break
            say "content $bytes $path"
            head -c "$bytes" "$path"
        done <<END
$listing
END
    fi
    say "done ${current%%.*}"
    exit 0
fi

[ -z "$missing" ] || refuse internal missing on this unit:$missing

# The test transaction, in the folder of a release; the nonce is drawn here unless the caller sent one. Its first line
# is the answer. Its end is told by a mark, not by the end of the pipe, which a child that outlives it could keep open.
probe() {
    nonce=$1
    [ -n "$nonce" ] || read -r nonce </proc/sys/kernel/random/uuid
    read -r mark </proc/sys/kernel/random/uuid
    answer=$(
        exec 9>&-
        {
            bounded /bin/sh unit/probe "$nonce" </dev/null
            printf '\n%s %s\n' "$mark" $?
        } | {
            IFS= read -r first
            while IFS= read -r line; do case $line in "$mark "*) break ;; esac; done
            [ ${#first} -le 1000 ] || first="(${#first} characters)"
            printf %s "$first"
            ended probe "${line#"$mark "}"
            [ "$line" = "$mark 0" ]
        }
    )
}

if [ "$mode" = probe ]; then
    look
    [ -n "$current" ] || { back=none; fail probe probe-failed; }
    say "current ${current%%.*}"
    probe "$holder" || { say "answer $answer"; fail probe probe-failed; }
    say "answer $answer"
    say "done ${current%%.*}"
    exit 0
fi

# Sets $free to the room in $root, KiB; to nothing when it can't be told.
look_for_room() {
    free=$(df -Pk "$root" 9>&-)
    set -- ${free##*"$nl"}
    case $4 in '' | *[!0-9]*) free= ;; *) free=$4 ;; esac
}
# Why a write has just failed, as $cause: by what it said, if that is given, else by what another one says. The words
# alone don't tell: busybox head calls a full disk an I/O error.
blame() {
    cause=internal note=$1
    [ -n "$note" ] || note=$({ head -c 4096 /dev/zero >"$root/.full"; } 2>&1 9>&-)
    case $note in *"No space"* | *uota*) cause=disk-full ;; ?*) printf '%s\n' "$note" >&2 ;; esac
    look_for_room
    case $free in [0-9] | 1[0-5]) cause=disk-full ;; esac
    rm -f "$root/.full" 9>&-
}

# From here on we write: one writer at a time, and none that another has overtaken.
for name in lock epoch receipt.json releases/.stage.tar; do
    [ ! -L "$root/$name" ] && { [ ! -e "$root/$name" ] || [ -f "$root/$name" ]; } ||
        refuse internal "$root/$name is not a plain file: look at it and move it away"
done
[ -d "$root/releases" ] || mkdir -p "$root/releases" || { blame ''; refuse $cause "cannot make $root/releases"; }
{ true; } 2>/dev/null >>"$root/lock" || { blame ''; refuse $cause "cannot write to $root"; }
exec 9>>"$root/lock"
flock -n 9 || bounded flock 9 || refuse timeout another applier is still at work on this unit
remember
if [ "$epoch" -lt "$known" ] || { [ "$epoch" -eq "$known" ] && [ "$holder" != "$known_holder" ]; }; then
    refuse stale-epoch "$known" "$known_holder"
fi
# One write of one length, over the old text, without a moment at which the file is empty.
if [ "$epoch $holder" != "$known $known_holder" ]; then
    printf '%-240s\n' "$epoch $holder" 1<>"$root/epoch" || { blame ''; refuse $cause "cannot write $root/epoch"; }
    lasting=no
fi

if [ "$mode" = forget ]; then
    [ ! -e "$root/receipt.json" ] || rm "$root/receipt.json" 9>&- || fail forget internal
    settle
    say "done $digest"
    exit 0
fi

# What a step leaves: a receipt only behind a probe that passed; an empty one means "reload before you trust me".
swap() { ln -sfn "releases/$1" "$root/current.new" 9>&- && mv -T "$root/current.new" "$root/current" 9>&-; }
write_receipt() { printf '%s\n' "$1" >"$root/receipt.json"; }
finish() {
    say at receipt
    at=$(date -u +%Y-%m-%dT%H:%M:%SZ 9>&-)
    case $at in *[!0-9TZ:-]*) at= ;; esac
    receipt="{\"digest\":\"$digest\",\"epoch\":$epoch,\"holder\":\"$holder\",\"run\":\"$run\",\"applied_at\":\"$at\"}"
    write_receipt "$receipt" || { back=new; blame ''; fail receipt $cause; }
}
serving() {
    say "answer $answer"
    say "receipt $receipt"
    say "done $digest"
    exit 0
}
keep=
# Each name as it stands: a copy that somebody made, `sha256:X old`, must not take `sha256:X` with it.
prune() {
    cd "$root/releases" || return
    set +f
    for name in * .stage*; do
        case $name in "$current" | "$keep" | .stage.tar | '*' | '.stage*') ;; *) set -- "$@" "$name" ;; esac
    done
    set -f
    true >.stage.tar
    [ $# -eq 0 ] || rm -rf -- "$@" 9>&-
}

look
[ -n "$current" ] || back=none
if [ "${current%%.*}" = "$digest" ] && small "$root/current/MANIFEST" && intact; then
    settle
    say same
    case $receipt in *"\"digest\":\"$digest\""*) ;; *) receipt= ;; esac
    if [ -n "$receipt" ]; then
        say at probe
        probe && serving
    fi
    say at reload
    script reload internal || fail reload $cause
    say at probe
    probe || fail probe probe-failed
    [ -n "$receipt" ] || finish
    serving
fi

need=$((size * 3 / 1024 + 64))
has_room() { look_for_room; [ -z "$free" ] || [ "$free" -ge $need ]; }
# What visits that were killed have left, and the release before this one, give way to the new one.
has_room || { prune; has_room; } || refuse disk-full "$free KiB free, $need KiB needed in $root"
cd "$root" || refuse internal "cannot enter $root"

say send
say at stage
[ ! -e releases/.stage ] || rm -rf releases/.stage 9>&-
full() {
    blame "$1"
    rm -rf releases/.stage releases/.stage.tar 9>&-
    fail stage $cause
}
note=$({ bounded head -c "$size" >releases/.stage.tar; } 2>&1 9>&-) || full "$note"
listing=$(tar -tvf releases/.stage.tar 2>&1 9>&-) || full "$listing"
# A sparse file, or a tar that unpacks itself, holds more than was sent: it could fill the disk, or take hours to check.
unpacked=0
while read -r perm words; do
    set -- $words
    [ $# -eq 5 ] || full "refused in the bundle: $perm $words"
    case $2 in '' | *[!0-9]* | ????????????????*) false ;; *) unpacked=$((unpacked + $2)); [ $unpacked -le "$size" ] ;; esac ||
        full "refused in the bundle: $5 is larger than what was sent"
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
# On the platter before anything points to it: whichever release a power cut leaves as the current one is whole.
note=$(sync "$root/epoch" $paths 2>&1 9>&-) || full "$note"
lasting=yes

say at validate
script validate validate-failed || fail validate $cause

say at swap
name=$digest n=0
while [ -e "$root/releases/$name" ]; do n=$((n + 1)); name=$digest.$n; done
stuck() {
    blame ''
    rm -rf "$root/releases/$name" "$root/current.new" 9>&-
    [ -z "$receipt" ] || write_receipt "$receipt"
    fail swap $cause
}
mv "$root/releases/.stage" "$root/releases/$name" 9>&- || stuck
[ -z "$receipt" ] || true >"$root/receipt.json" || stuck
swap "$name" || stuck
keep=$current

# Without the tar first, so that a disk without room or inodes has them for the way back.
undo() {
    say at back
    rm -f "$root/releases/.stage.tar" 9>&-
    if [ -z "$keep" ]; then
        rm -f "$root/current" 9>&- && back=none || back=unknown
    elif swap "$keep" && cd -P "$root/current" && script reload internal; then
        back=previous
    else
        back=unknown
    fi
    if [ $back != unknown ]; then
        rm -rf "$root/releases/$name" 9>&-
        [ $back = none ] || [ -z "$receipt" ] || write_receipt "$receipt"
    fi
    fail "$@"
}
say at reload
cd -P "$root/current" || undo reload internal
script reload internal || undo reload $cause
say at probe
probe || undo probe probe-failed
finish
current=$name
prune
serving
