"""Disks that are full or fail: a clear error, the old file or the new one."""
