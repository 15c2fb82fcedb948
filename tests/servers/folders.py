"""Where servers of the tests keep their data: in memory where there is plenty of it.

Databases come and go by the thousand, hundreds of files each. ext4 without a journal looks for a
free inode among all that were deleted a moment ago, and takes ten times as long for each of them.
"""

import shutil
import tempfile
from pathlib import Path

_IN_MEMORY = Path("/dev/shm")  # whose folders only their owner can enter
_ENOUGH_BYTES = 4 * 1024**3


def server_folder(prefix: str) -> Path:
    """Make an empty folder for a server's data; whoever asked for it removes it."""
    has_room = _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free >= _ENOUGH_BYTES
    return Path(tempfile.mkdtemp(prefix=prefix, dir=_IN_MEMORY if has_room else None))
