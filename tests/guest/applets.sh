#!/bin/sh
# Applets of busybox whose output must be the same on every kernel and machine. Each part begins with
# `=== name`; what may differ (times, sizes of the machine, process numbers) is cut out.
export TZ=UTC LC_ALL=C
part() { echo "=== $1"; }
mkdir -p /tmp/applets && cd /tmp/applets || exit 1

part cat; printf 'one\ntwo\n' > a; cat a - < a
part cp; cp a b; cp -r /etc/hostname c; cat b c
part mv; mv b d; ls
part ln; ln a hard; ln -s a soft; ls -l hard soft | awk '{print $1, $2, $3, $4, $5, $9, $10, $11}'
part readlink; readlink soft; readlink -f soft
part rm; rm hard soft; ls
part mkdir; mkdir -p x/y/z; find x | sort
part rmdir; rmdir x/y/z x/y x; ls
part chmod; chmod 640 a; stat -c '%a %A %F' a; chmod u+x,go= a; stat -c '%a %A' a
part chown; chown 1000:1000 a; stat -c '%u %g %U' a
part touch; touch -d '2001-02-03 04:05:06' a; stat -c '%y' a; date -r a
part stat; mkdir e; stat -c '%n %s %h %F' a /dev/null; stat -c '%h %F' e; stat -f -c %T /proc
part dd; dd if=/dev/zero of=z bs=1000 count=3 2>&1 | head -n 2; wc -c z
part truncate; truncate -s 5 z; wc -c z
part du; head -c 100000 /dev/zero > e/f; du -b e/f 2>/dev/null || wc -c e/f
part cmp; cmp a d; cmp a c; echo $?
part diff; printf 'one\n2\n' > e/g; diff a e/g; echo $?
part sort; printf '3\n1\n2\n10\n' | sort; printf '3\n1\n2\n10\n' | sort -n
part uniq; printf 'a\na\nb\na\n' | uniq -c
part cut; echo a:b:c | cut -d: -f2
part tr; echo hello | tr a-y b-z
part sed; echo hello world | sed -e 's/o/0/g' -e 's/^/> /'
part awk; seq 1 10 | awk '{sum += $1} END {print sum, NR}'
part grep; grep -n two a; grep -c . a; grep -q nothing a; echo $?
part head; seq 1 100 | head -n 2
part tail; seq 1 100 | tail -n 2
part tee; echo both | tee t; cat t
part wc; seq 1 1000 | wc
part seq; seq -s, 1 5
part rev; echo abc | rev
part tac; seq 1 3 | tac
part od; echo hello | od -c
part hexdump; echo hello | hexdump -C
part base64; echo hello | base64; echo hello | base64 | base64 -d
part md5sum; seq 1 10000 | md5sum
part sha256sum; seq 1 10000 | sha256sum
part gzip; seq 1 10000 > n; gzip n; gunzip n.gz; md5sum n
part bzip2; bzip2 n; bunzip2 n.bz2; md5sum n
part tar; tar cf t.tar a d e; tar tf t.tar | sort; mkdir u; tar xf t.tar -C u; find u | sort
part cpio; find a d | cpio -o -H newc 2>/dev/null | cpio -t 2>/dev/null
part find; find . -type f -size +50k | sort; find . -name '[ad]' | sort
part xargs; seq 1 5 | xargs -n 2 echo
part expr; expr 6 \* 7; expr length abc
part bc; echo '2^64' | bc
part test; test -f a && test -d e && test ! -e nothing && echo good
part basename; basename /a/b.c .c; dirname /a/b.c
part printf; printf '%05d|%-5s|%x\n' 42 ab 255
part env; env -i A=b env
part id; id; id -u nobody
part whoami; whoami
part uname; uname -s
part hostname; hostname fallow; hostname
part nproc; nproc
part pwd; pwd
part mktemp; mktemp -u /tmp/XXXXXX | wc -c
part mkfifo; mkfifo p; echo through > p & cat p; wait
part timeout; timeout 1 sleep 10; echo $?
part kill; sleep 10 & kill $!; wait $!; echo $?
part nice; nice -n 5 nice 2>/dev/null || echo none
part ps; ps | grep -c '[P]ID'; ps -o pid,comm | grep -c ' init$'
part pidof; pidof init
part umask; umask 027; touch m; mkdir k; stat -c %a m k; umask 022
part subshells; (cd /; pwd; exit 3); echo $?; echo $(echo $(echo deep))
part heredoc; cat <<END
$((1 + 2)) lines
END
part traps; sh -c 'trap "echo caught" TERM; kill $$; echo after'; sh -c 'trap "echo left" EXIT; exit 4'; echo $?
part signals; sh -c 'kill -9 $$'; echo $?; sh -c 'kill -SEGV $$' ; echo $?
part errors; cat nothing; ls nothing; rmdir e; cd nothing; mkdir a; echo > /nothing/x; ./a; /tmp/applets
part read; printf 'x y\n' | { read p q; echo $q$p; }
part loop; i=0; while [ $i -lt 200 ]; do i=$((i+1)); : $(true); done; echo $i
part dev; cat /dev/null; head -c 4 /dev/zero | od -x; head -c 16 /dev/urandom | wc -c
part mount; mkdir mnt; mount -t tmpfs none mnt; touch mnt/f; grep -c ' /tmp/applets/mnt tmpfs ' /proc/mounts; umount mnt; ls mnt
part clean; cd /; rm -rf /tmp/applets; ls /tmp/applets
exit 0
