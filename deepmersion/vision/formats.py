"""Knows a photo's format by its first bytes, and names those that are not supported."""

from __future__ import annotations

import struct

SUPPORTED = "JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP, GIF or PPM"

RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".iiq", ".kdc", ".mos", ".mrw", ".nef"}
    | {".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".sr2", ".srf", ".srw", ".x3f"}
)

SUFFIXES = RAW_SUFFIXES | frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".avif", ".avifs"}
    | {".heic", ".heif", ".hif", ".tif", ".tiff", ".bmp", ".dib", ".gif", ".ppm", ".pgm", ".pbm"}
    | {".pnm", ".jxl", ".jp2", ".j2k", ".jpx", ".psd"}
)
"""Suffixes of photos in a folder. Those of unsupported formats are included: such a photo should be
reported rather than passed over."""

HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
"""Brands of files with HEVC pictures. AVIF files have ``avif`` or ``avis`` among their brands."""

HEAD_BYTES = 64
"""How much of a file tells its format."""

JPEG_MAGIC = b"\xff\xd8\xff"

MAGIC = (
    (JPEG_MAGIC, "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    *((b"P" + digit, "PPM") for digit in (b"1", b"2", b"3", b"4", b"5", b"6", b"f", b"F")),
)
"""First bytes of supported formats that need no closer look."""

FOREIGN = (
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"8BPS", "a Photoshop file"),
    (b"FUJIFILMCCD-RAW", "a camera's raw photo (RAF)"),
    (b"FOVb", "a camera's raw photo (X3F)"),
    (b"\0MRM", "a camera's raw photo (MRW)"),
    (b"IIRO", "a camera's raw photo (ORF)"),
    (b"IIRS", "a camera's raw photo (ORF)"),
    (b"MMOR", "a camera's raw photo (ORF)"),
    (b"IIU\0", "a camera's raw photo (RW2)"),
)
"""First bytes of formats that are not supported, and what they are called in errors."""

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class NotSupportedError(Exception):
    """A photo that is sound as far as known, of a kind that cannot be read; names the kind."""


def format_of(head: bytes) -> str | None:
    """Return a supported format by Pillow's name for it, or None if the bytes are of no picture.

    Parameters
    ----------
    head : bytes
        The file's first `HEAD_BYTES`.

    Raises
    ------
    NotSupportedError
        When the format is known and not supported.
    """
    for magic, kind in FOREIGN:
        if head.startswith(magic):
            raise NotSupportedError(kind)
    if head[:4] in TIFF_MAGIC:
        if head[8:10] == b"CR":
            raise NotSupportedError("a camera's raw photo (CR2)")
        return "TIFF"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    return next((name for magic, name in MAGIC if head.startswith(magic)), None)


def _of_brands(head: bytes) -> str | None:
    """Return the format of a file in the ISO base media format (ISO/IEC 14496-12)."""
    (length,) = struct.unpack(">I", head[:4])
    box = head[8 : min(length, len(head))]
    brands = {box[:4], *(box[i : i + 4] for i in range(8, len(box) - 3, 4))}
    if b"crx " in brands:
        raise NotSupportedError("a camera's raw photo (CR3)")
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    return "HEIF" if brands & HEIF_BRANDS else None
