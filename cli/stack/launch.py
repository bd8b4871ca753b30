"""Start a program that dies with its parent, and as an ordinary user where it refuses to be root.

Run as a script, without the package: `python -I -S launch.py PARENT SIGNAL USER PROGRAM [ARGUMENT…]`, where PARENT is
the pid of the process that must live, SIGNAL what the program gets when that dies (Linux), and USER a user name or "-".
The program takes this process over, so the pid stays the same. A separate script, not a `preexec_fn`, because the
parent may have threads.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _become(libc: ctypes.CDLL, name: str) -> None:
    """Change to the user, but keep the right to walk through folders that are root's alone, such as /root."""
    user = pwd.getpwnam(name)
    linux = sys.platform == "linux"
    if linux:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    if not linux:
        return
    header, data = _Header(CAPABILITY_VERSION_3, 0), (_Data * 2)()
    if libc.capget(ctypes.byref(header), data) != 0:
        return
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if data[0].permitted & (1 << capability):
            mask = 1 << capability
            data[0].effective = data[0].permitted = data[0].inheritable = mask
            data[1].effective = data[1].permitted = data[1].inheritable = 0
            if libc.capset(ctypes.byref(header), data) == 0:
                libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)
            return


def main() -> None:
    """Take over by the program on the command line; exits with 127 when it cannot be run."""
    parent, death_signal, user, *program = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if user != "-":
        _become(libc, user)
    if sys.platform == "linux":
        # After the change of user, which clears it.
        libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != int(parent):
            sys.exit(f"launch: the parent {parent} is gone")
    try:
        os.execv(program[0], program)  # noqa: S606 - the list comes from the supervisor
    except OSError as error:
        print(f"launch: cannot run {program[0]}: {error}", file=sys.stderr)
        sys.exit(127)


if __name__ == "__main__":
    main()
