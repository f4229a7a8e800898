"""How much memory the process keeps of what arrays give back."""

from retrograd.checks import ensure, whole

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGEST = 32 << 20  # what is larger comes from the system directly, whatever one sets


def retain_memory(limit: int = 1 << 30) -> bool:
    """Let the process retain memory that arrays give back, so that the next arrays have it ready.

    On Linux, glibc hands freed memory of more than a few megabytes back to the system, which has to
    clear every page of it before the process may use it anew. A training step of a convolutional
    net that is not compiled makes and drops megabytes of columns, and can spend a third of its time
    so. Call this once, before training. (It sets `M_TRIM_THRESHOLD` and `M_MMAP_THRESHOLD` by
    `mallopt`, for all of the process and until its end; that is why nothing here does it unasked.)

    Args:
        limit: how many bytes of freed memory the process may retain, from 1 to 2**31 - 1.

    Returns:
        Whether the setting was made; False where the C library has no `mallopt`, as on macOS and
        Windows.

    Raises:
        ValueError: if `limit` is no whole number in this range.

    >>> done = rg.nn.utils.retain_memory(1 << 28)
    """
    whole("retain_memory", limit=limit)
    ensure(limit < 1 << 31, "limit", "a number below 2**31", limit, "retain_memory")
    import ctypes  # NumPy has loaded it

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(M_TRIM_THRESHOLD, limit) and mallopt(M_MMAP_THRESHOLD, LARGEST))
