"""Whether a path lies on a file system of the network, where SQLite's locks are not to be trusted.

SQLite says so itself (https://www.sqlite.org/wal.html, "All processes using a database must be on
the same host"): the log's index is memory that one machine's processes share, and locks that an
NFS server grants twice lose what was written, silently.
"""

from __future__ import annotations

import re
from pathlib import Path

#: What Linux tells of this process' file systems; where it is missing, nothing is known.
MOUNTS = Path("/proc/self/mounts")
#: File systems that several machines may have at once, as the kernel calls them.
NETWORK = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "glusterfs", "gpfs", "lustre", "ncpfs",
    "nfs", "nfs4", "ocfs2", "gfs2", "orangefs", "panfs", "pvfs2", "smb3", "smbfs", "wekafs",
    "fuse.beegfs", "fuse.ceph", "fuse.cephfs", "fuse.davfs", "fuse.gcsfuse", "fuse.glusterfs",
    "fuse.goofys", "fuse.juicefs", "fuse.rclone", "fuse.s3fs", "fuse.smbnetfs", "fuse.sshfs",
})  # fmt: skip


def network_file_system(path: Path) -> str | None:
    """Give the kind of network file system that a file is on or would be on; None for a local one.

    Args:
        path: of the file, which need not exist.
    """
    try:
        lines = MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
        folder = path.resolve()
    except (OSError, RuntimeError):  # no Linux, or links in a circle
        return None
    # Of mounts upon the same place, the latest is what is seen.
    longest, kind = -1, None
    for line in lines:
        _, where, found, options, *_ = [*line.split(" "), "", "", "", ""]
        place = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), where))
        if (folder == place or place in folder.parents) and len(place.parts) >= longest:
            # A sandbox that passes its own folders on by an open file is one machine.
            alone = found == "9p" and "trans=fd" in options.split(",")
            longest, kind = len(place.parts), None if alone else found
    return kind if kind in NETWORK else None
