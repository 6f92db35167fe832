# Clears up behind a process: ends what it started and removes the folder that is the argument.
trap '' HUP INT TERM
gone=$1.gone

# Returns once the process has ended: then nobody holds the other end of the pipe any more.
read -r _

# What is being started at this very moment finds no place to put its mark, and ends by itself.
mv "$1" "$gone"
for mark in "$gone"/*/pid-*; do
    pid=${mark##*-}
    kill -STOP "$pid"
    kill -KILL "$pid" $(cat "/proc/$pid/task/$pid/children")
done

# Postgres keeps a little shared memory that outlives it; the seventh line tells the key and the id.
for running in "$gone"/*/data/postmaster.pid; do
    ipcrm --shmem-id "$(sed -n '7s/.* //p' "$running")"
done

# Those that were killed may write for a moment still.
for _ in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf "$gone" && break
    sleep 0.1
done
