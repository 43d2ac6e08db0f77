"""Starts one command in an image's root as a container runtime would, without one; part of tests/containers/image.

usage: container.py start|exec PLAN, in namespaces of its own (unshare) or in those of the container (nsenter)
PLAN is JSON: root, user ("65532:65532"), environment, extra (more of it), folder, volumes, command.
"""

import ctypes
import json
import os
import subprocess
import sys

PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 38, 24


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def prepare(plan, uid, gid):
    """The root read-only, with /proc, a few devices, and what may be written: /tmp and the volumes."""
    root = plan["root"]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    mount("--make-rprivate", "/")
    mount("--bind", root, root)
    for folder in ("proc", "dev", "tmp"):
        os.makedirs(f"{root}/{folder}", exist_ok=True)
    mount("-o", "remount,bind,ro", root)
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", f"{root}/dev")
    for device in ("null", "zero", "urandom"):
        open(f"{root}/dev/{device}", "wb").close()
        mount("--bind", f"/dev/{device}", f"{root}/dev/{device}")
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", f"{root}/tmp")
    for volume in plan["volumes"]:
        mode = os.stat(root + volume).st_mode & 0o7777
        owner = os.stat(root + volume)
        mount("-t", "tmpfs", "-o", f"mode={mode:o},uid={owner.st_uid},gid={owner.st_gid}", "tmpfs", root + volume)


def become(plan, uid, gid):
    """Into the root, then nobody in particular: no capability is left, and none can come back."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    os.chroot(plan["root"])
    os.chdir(plan["folder"])
    capability = 0
    while prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        sys.exit("container.py: no_new_privs is refused")


def main():
    what, plan = sys.argv[1], json.loads(sys.argv[2])
    uid, gid = (int(part) for part in plan["user"].split(":"))
    if what == "start":
        prepare(plan, uid, gid)
    become(plan, uid, gid)
    environment = dict(one.split("=", 1) for one in plan["environment"] + plan["extra"])
    os.environ["PATH"] = environment["PATH"]
    os.execvpe(plan["command"][0], plan["command"], environment)


if __name__ == "__main__":
    main()
