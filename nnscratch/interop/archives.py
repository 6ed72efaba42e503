"""Zip files of other libraries, looked at before anything of them is read."""

from __future__ import annotations

import struct
import zipfile
import zlib

from nnscratch.errors import CheckpointError

MOST_MEMBERS = 1_000_000
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    LookupError,
    RuntimeError,
    struct.error,
)
"""What zipfile raises for a damaged archive; most of it is undocumented."""
_ENCRYPTED = 0x1


def members_of(archive: zipfile.ZipFile, size: int, writer: str) -> dict[str, zipfile.ZipInfo]:
    """Return the members of a zip by name, after refusing what its writer does not write.

    Args:
        archive: the zip.
        size: of the file, in bytes.
        writer: the library, which stores members as they are and never compresses them: so none
            can claim more memory than the file has bytes.

    Raises:
        CheckpointError: for a compressed or encrypted member, one that is there twice, a name that
            leads elsewhere, or more bytes than the file has.
    """
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise CheckpointError(f"it claims {len(members):,} members")
    found: dict[str, zipfile.ZipInfo] = {}
    for info in members:
        name = info.filename
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise CheckpointError(f"{name[:80]!r} in it is no safe name")
        if name in found:
            raise CheckpointError(f"{name[:80]!r} is in it twice")
        if info.flag_bits & _ENCRYPTED:
            raise CheckpointError(f"{name[:80]!r} in it is encrypted")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise CheckpointError(
                f"{name[:80]!r} in it is compressed, which {writer} never does: a small file could "
                f"claim any amount of memory. Write it again with {writer}"
            )
        found[name] = info
    if sum(info.file_size for info in members) > size:
        raise CheckpointError("its members claim more bytes than the file has")
    return found
