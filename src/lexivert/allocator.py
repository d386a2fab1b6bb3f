"""The C library's allocator: freed memory is kept for the next use instead of given back to the system.

Decoding and training make arrays of tens of megabytes and drop them many times a second. GNU's ``malloc`` gives each
such array back to the system at once, and takes it again page by page, every page cleared: measured, that is a third
of the time of reading a long text. ``keep_freed_memory`` lets it keep up to a gigabyte. Whoever sets one of the
allocator's own variables (``MALLOC_TRIM_THRESHOLD_``, ``MALLOC_MMAP_MAX_``, ``MALLOC_MMAP_THRESHOLD_``,
``GLIBC_TUNABLES``) is left alone, and so are systems with another C library.
"""

from __future__ import annotations

import os
import sys

_SET_BY_USERS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of mallopt's options in malloc.h
_KEPT = 2**30  # bytes, free at the end of the heap


def keep_freed_memory() -> bool:
    """Let this process keep freed memory; tells whether it does now because of this call."""
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _SET_BY_USERS):
        return False
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(mallopt and mallopt(_TRIM_THRESHOLD, _KEPT) and mallopt(_MMAP_MAX, 0))
