# What runs on a node that does not have the program, or where quick.py found anything amiss:
# `python -c <this> run|install DIGEST SIZE REQUEST_FILE PROGRAM_FILE`.
# It travels in the command line, so it is short; comments and blank lines are stripped (command.py).
# Python 2.7 must be able to parse it, to be told that it is too old. No single quotes, no backslashes:
# the text must pass through sh, csh and fish. It finds the program by its hash, or stores it, and runs it.
# "-" stands for an argument that is not given. The exit statuses are those of command.py.
import sys

# -c puts the current folder first, which under sudo is a folder of the other user.
sys.path[:] = [p for p in sys.path if p]


def stop(status, text):
    # type: (int, str) -> None
    sys.stderr.write("migprov-boot: " + text + chr(10))
    sys.stderr.flush()
    sys.exit(status)


if sys.version_info < (3, 8):
    stop(112, sys.version.split()[0] + " " + str(sys.executable))
import errno
import hashlib
import os
import stat
import zipimport

mode, digest, size, request, source = sys.argv[1:6]
me = os.geteuid()


def home():
    # type: () -> str
    # HOME only where it is this user's own: sudo without -H and su keep that of another.
    h = os.environ.get("HOME", "")
    try:
        if os.path.isabs(h) and os.stat(h).st_uid == me:
            return h
    except OSError:
        pass
    try:
        import pwd

        return pwd.getpwuid(me).pw_dir
    except KeyError:
        stop(114, "user " + str(me) + " has no home folder")
        return ""


folder = os.path.join(home(), ".cache", "migprov")
name = digest + ".pyz"


def checked():
    # type: () -> str
    # The way to the folder through its descriptor, so that the folder that was checked is the one used.
    if not stat.S_ISDIR(os.lstat(folder).st_mode):
        stop(113, folder + " is not a folder")
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    s = os.fstat(fd)
    if s.st_uid != me:
        stop(113, folder + " belongs to user " + str(s.st_uid))
    if s.st_mode & 18:
        stop(113, folder + " can be written by others (mode " + oct(s.st_mode & 4095)[2:] + ")")
    return "/proc/self/fd/" + str(fd) + "/"


def read(fd, n):
    # type: (int, int) -> bytes
    parts = []
    while n:
        part = os.read(fd, min(n, 65536))
        if not part:
            break
        parts.append(part)
        n -= len(part)
    return b"".join(parts)


def opened(name, sha):
    # type: (str, str) -> str
    # The open file is hashed and then run through its descriptor: nobody can swap it in between. It stays open,
    # because zipimport remembers what it saw by this path. OSError: not there, or another.
    fd = os.open(here + name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    s = os.fstat(fd)
    good = stat.S_ISREG(s.st_mode) and s.st_uid == me and not s.st_mode & 18
    if not good or hashlib.sha256(read(fd, s.st_size)).hexdigest() != sha:
        raise FileNotFoundError(errno.ENOENT, "not there")
    return "/proc/self/fd/" + str(fd)


def install():
    # type: () -> str
    fd = 0 if source == "-" else os.open(source, os.O_RDONLY)
    data = read(fd, int(size))
    if hashlib.sha256(data).hexdigest() != digest:
        stop(115, str(len(data)) + " of " + size + " bytes arrived, or others")
    for f in (os.path.dirname(folder), folder):
        try:
            os.mkdir(f, 448)
        except FileExistsError:
            pass
    here = checked()
    new = here + "new-" + os.urandom(8).hex()
    out = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 384)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(out, rest) :]
        os.close(out)
        os.rename(new, here + name)
    except OSError:
        os.unlink(new)
        raise
    return here


here = ""
try:
    here = install() if mode == "install" else checked()
    zip = opened(name, digest)
except OSError as e:
    if mode == "run" and e.errno in (errno.ENOENT, errno.ELOOP):
        stop(110, "not there")
    stop(114, folder + ": " + str(e.strerror))
sys.path.insert(0, zip)
program = os.path.join(folder, name)
twin = None
fd = -1
# Whatever goes wrong with the twin, the program runs as it is.
try:
    keeper = __import__("migprov_twin.twin", fromlist=["twin"])
    twin, fd = keeper.refresh(here, zip, program, digest, mode == "install")
except Exception:  # noqa: S110
    pass
if twin:
    sys.path.pop(0)
    inside = {}  # type: ignore[var-annotated]
    exec(twin[0], inside)
    inside["run"](twin, program, fd, request)
else:
    if request != "-":
        os.dup2(os.open(request, os.O_RDONLY), 0)
    sys.argv[:] = [program]
    exec(zipimport.zipimporter(zip).get_code("__main__"), {"__name__": "__main__"})
