import errno
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from pictures import bmp, chunk, packed, png, scene, tiff
from PIL import Image, ImageCms
from PIL.Image import Image as PILImage

from deepmersion.errors import PhotoError
from deepmersion.vision import photo
from deepmersion.vision.decode import BACKGROUND, MAX_PIXELS, MIN_SIDE, Decoding, RefusedError
from deepmersion.vision.photo import load_photo

SHAPE = (214, 320, 3)


@pytest.fixture(scope="module")
def china(china_jpg: Path) -> PILImage:
    """A part of the photo, of the shape `SHAPE`."""
    with Image.open(china_jpg) as image:
        return image.convert("RGB").crop((0, 0, 320, 214))


def save(image: PILImage, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


def mean_difference(one: np.ndarray, other: np.ndarray | PILImage) -> float:
    return float(np.abs(one.astype(float) - np.asarray(other).astype(float)).mean())


def in_mode(image: PILImage, mode: str) -> PILImage:
    if mode != "LAB":
        return image.convert(mode)
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    converted = ImageCms.applyTransform(image, to_lab)
    assert converted is not None
    return converted


def refusal(source: Path | BinaryIO, name: str | None = None) -> str:
    """Return the message that a photo is refused with, after checking that it is one line."""
    with pytest.raises(PhotoError) as caught:
        load_photo(source, name)
    message = str(caught.value)
    assert "\n" not in message
    assert ";" in message, "says what is wrong, but not what to do"
    return message


# Formats


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm"])
def test_lossless_formats_give_the_very_pixels(
    china: PILImage, tmp_path: Path, suffix: str
) -> None:
    loaded = load_photo(save(china, tmp_path / f"photo.{suffix}"))
    assert loaded.dtype == np.uint8
    assert np.array_equal(loaded, np.asarray(china))


@pytest.mark.parametrize(
    ("suffix", "bound"), [("jpg", 5), ("webp", 5), ("avif", 5), ("gif", 8), ("mpo", 5)]
)
def test_lossy_formats_give_nearly_the_pixels(
    china: PILImage, tmp_path: Path, suffix: str, bound: float
) -> None:
    options = {"gif": {}}.get(suffix, {"quality": 90})
    loaded = load_photo(save(china, tmp_path / f"photo.{suffix}", **options))
    assert loaded.shape == SHAPE
    assert mean_difference(loaded, china) < bound


def test_a_format_is_known_by_its_content_not_by_its_name(china: PILImage, tmp_path: Path) -> None:
    path = save(china, tmp_path / "photo.jpg", format="PNG")
    assert np.array_equal(load_photo(path), np.asarray(china))


@pytest.mark.parametrize("suffix", ["gif", "tiff", "mpo", "webp", "png"])
def test_of_several_pictures_the_first_is_taken(
    china: PILImage, tmp_path: Path, suffix: str
) -> None:
    black = Image.new("RGB", china.size)
    path = save(china, tmp_path / f"photo.{suffix}", save_all=True, append_images=[black])
    with Image.open(path) as written:
        assert getattr(written, "n_frames", 1) == 2
    assert mean_difference(load_photo(path), china) < 10


# Colour modes


@pytest.mark.parametrize(
    ("mode", "suffix", "bound"),
    [
        ("1", "png", 120),
        ("L", "png", 0),
        ("L", "jpg", 4),
        ("P", "png", 16),
        ("CMYK", "jpg", 4),
        ("CMYK", "tiff", 0),
        ("YCbCr", "tiff", 4),
        ("LAB", "tiff", 4),
    ],
)
def test_colour_modes_become_rgb(
    china: PILImage, tmp_path: Path, mode: str, suffix: str, bound: float
) -> None:
    expected = china.convert("L").convert("RGB") if mode in "1L" else china
    loaded = load_photo(save(in_mode(china, mode), tmp_path / f"photo.{suffix}"))
    assert loaded.shape == SHAPE
    assert mean_difference(loaded, expected) <= bound


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_16_bit_grey_is_scaled_not_clipped(china: PILImage, tmp_path: Path, suffix: str) -> None:
    grey = np.asarray(china.convert("L"))
    path = save(Image.fromarray(grey.astype(np.uint16) * 257), tmp_path / f"photo.{suffix}")
    assert np.array_equal(load_photo(path), np.repeat(grey[..., None], 3, axis=2))


def test_big_endian_16_bit_grey_is_read(china: PILImage, tmp_path: Path) -> None:
    grey = np.asarray(china.convert("L"))
    raw = (grey.astype(">u2") * 257).astype(">u2").tobytes()
    path = save(Image.frombytes("I;16B", china.size, raw), tmp_path / "photo.tiff")
    assert np.array_equal(load_photo(path)[..., 0], grey)


@pytest.mark.parametrize("factor", [257, 2**23])
def test_32_bit_grey_holds_16_bits_or_is_scaled_by_its_maximum(
    china: PILImage, tmp_path: Path, factor: int
) -> None:
    grey = np.asarray(china.convert("L"))
    assert grey.max() == 255
    path = save(Image.fromarray(grey.astype(np.int32) * factor), tmp_path / "photo.tiff")
    assert mean_difference(load_photo(path)[..., 0], grey) < 1


@pytest.mark.parametrize("white", [1.0, 7.5])
def test_floating_point_grey_is_scaled_to_its_white(
    china: PILImage, tmp_path: Path, white: float
) -> None:
    grey = np.asarray(china.convert("L"))
    values = grey.astype(np.float32) / 255 * white
    values[0, :3] = np.nan, np.inf, -1.0
    path = save(Image.fromarray(values), tmp_path / "photo.tiff")
    loaded = load_photo(path)[..., 0]
    assert np.array_equal(loaded[1:], grey[1:])
    assert loaded[0, :3].tolist() == [0, 0, 0]


# Transparency


def test_transparent_parts_show_the_background(china: PILImage, tmp_path: Path) -> None:
    half = china.convert("RGBA")
    half.paste((255, 0, 0, 0), (0, 0, 160, 214))
    loaded = load_photo(save(half, tmp_path / "photo.png"))
    assert (loaded[:, :160] == BACKGROUND).all()
    assert np.array_equal(loaded[:, 160:], np.asarray(china)[:, 160:])


def test_half_transparent_pixels_are_blended(tmp_path: Path) -> None:
    path = save(Image.new("RGBA", (64, 64), (255, 255, 255, 128)), tmp_path / "photo.webp")
    assert np.abs(load_photo(path).astype(int) - (255 + BACKGROUND[0]) // 2).max() <= 2


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "LA"])
def test_every_kind_of_transparency_is_honoured(tmp_path: Path, mode: str) -> None:
    if mode == "LA":
        picture, options = Image.new("LA", (64, 64), (0, 0)), {}
    else:
        picture = Image.new(mode, (64, 64))
        options = {"transparency": (0, 0, 0) if mode == "RGB" else 0}
    loaded = load_photo(save(picture, tmp_path / "photo.png", **options))
    assert (loaded == BACKGROUND).all()


# Orientation

TURNED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x, -1),
}
"""How the camera stored an upright scene, by EXIF orientation."""


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp"])
def test_a_photo_is_turned_upright(
    china: PILImage, tmp_path: Path, orientation: int, suffix: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, dict[str, Any]] = {"jpg": {"quality": 95}, "webp": {"lossless": True}}
    stored = Image.fromarray(np.ascontiguousarray(TURNED[orientation](np.asarray(china))))
    path = save(stored, tmp_path / f"photo.{suffix}", exif=exif, **options.get(suffix, {}))
    loaded = load_photo(path)
    assert loaded.shape == SHAPE
    assert mean_difference(loaded, china) < 3


def test_a_palette_photo_is_turned_too(china: PILImage, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = china.transpose(Image.Transpose.ROTATE_90).convert("P")
    loaded = load_photo(save(stored, tmp_path / "photo.png", exif=exif))
    assert mean_difference(loaded, china) < 16


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_data_are_no_reason_to_refuse(
    china: PILImage, tmp_path: Path, exif: bytes
) -> None:
    path = save(china, tmp_path / "photo.jpg", exif=exif)
    assert load_photo(path).shape == SHAPE


def test_an_orientation_out_of_range_is_ignored(china: PILImage, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 9
    assert load_photo(save(china, tmp_path / "a.jpg", exif=exif)).shape == SHAPE


# Reduced decoding


def test_a_large_jpeg_is_decoded_smaller_when_that_will_do(china: PILImage, tmp_path: Path) -> None:
    path = save(china.resize((2560, 1708)), tmp_path / "photo.jpg")
    assert load_photo(path).shape == (1708, 2560, 3)
    for min_side in (100, 224, 448, 1708, 5000):
        reduced = load_photo(path, min_side=min_side)
        assert min(reduced.shape[:2]) >= min(min_side, 1708)
    assert load_photo(path, min_side=224).shape == (427, 640, 3)
    assert load_photo(path, min_side=224).flags.c_contiguous


def test_reduced_decoding_shows_the_same_picture(china: PILImage, tmp_path: Path) -> None:
    path = save(china.resize((1280, 856)), tmp_path / "photo.jpg")
    assert mean_difference(load_photo(path, min_side=112), china) < 4


# Streams


def test_a_pipe_is_read_without_seeking(china: PILImage, tmp_path: Path) -> None:
    path = save(china, tmp_path / "photo.png")
    read_end, write_end = os.pipe()
    if os.fork() == 0:  # a child, for the pipe holds less than the photo
        os.close(read_end)
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(path.read_bytes())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        assert np.array_equal(load_photo(pipe, "-"), np.asarray(china))


def test_an_open_file_is_called_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"text")
    with path.open("rb") as file:
        assert refusal(file).startswith(f"{path}: is not a photo")

    class Upload(io.BytesIO):
        name = "upload"

    assert refusal(Upload(b"text")).startswith("upload: is not a photo")


def test_standard_input_is_called_so() -> None:
    assert refusal(io.BytesIO(b""), "-").startswith("standard input: is empty")
    assert refusal(io.BytesIO(b"text"), "-").startswith("standard input: is not a photo")


# Refusals: each names the file and says what to do


def test_a_missing_file(tmp_path: Path) -> None:
    message = refusal(tmp_path / "none.jpg")
    assert message.startswith(f"{tmp_path / 'none.jpg'}: there is no such file")


def test_a_path_below_a_file(china_jpg: Path) -> None:
    assert "Not a directory" in refusal(china_jpg / "photo.jpg")


def test_a_folder(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read(china: PILImage, tmp_path: Path) -> None:
    path = save(china, tmp_path / "photo.jpg")
    path.chmod(0)
    assert "is not readable" in refusal(path)


def test_a_stream_that_may_not_be_read() -> None:
    class Locked(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise PermissionError(13, "Permission denied")

    assert "is not readable" in refusal(Locked(), "photo.jpg")


class Failing(io.BytesIO):
    """A file on a disk that fails behind the first kilobyte."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0 or self.tell() + size > 1_024:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(size)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp"])
def test_a_disk_that_fails_is_no_damage_of_the_photo(
    china: PILImage, tmp_path: Path, suffix: str
) -> None:
    data = save(china, tmp_path / f"photo.{suffix}").read_bytes()
    with pytest.raises(OSError, match="Input/output error"):
        Decoding.of(Failing(data)).finish()


@pytest.mark.parametrize("offset", [2**62, 2**63])
def test_an_offset_that_leads_too_far_is_damage(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "photo.tif"
    path.write_bytes(struct.pack("<2sHHHQ", b"II", 43, 8, 0, offset) + bytes(64))
    with path.open("rb") as file, pytest.raises(RefusedError, match="is damaged or cut short"):
        Decoding.of(file)


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.touch()
    assert "is empty" in refusal(path)


@pytest.mark.parametrize("data", [b"not a photo\n", b"%!PS-Adobe-3.0 EPSF-3.0\n", bytes(5000)])
def test_what_is_not_a_photo(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    message = refusal(path)
    assert "is not a photo" in message
    assert str(path) in message


def test_a_real_eps_file_is_not_handed_to_ghostscript(china: PILImage, tmp_path: Path) -> None:
    assert "is not a photo" in refusal(save(china, tmp_path / "photo.eps"))


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "camera's raw photo (CR3)"),
        (b"II*\0\x10\0\0\0CR\2\0", "camera's raw photo (CR2)"),
        (b"FUJIFILMCCD-RAW 0201", "camera's raw photo (RAF)"),
        (b"IIU\0\x18\0\0\0", "camera's raw photo (RW2)"),
        (b"IIRO\x08\0\0\0", "camera's raw photo (ORF)"),
    ],
)
def test_formats_that_are_not_supported_are_named(head: bytes, kind: str) -> None:
    assert kind in refusal(io.BytesIO(head + bytes(5000)))


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ([(50706, 1, [1, 4, 0, 0])], "DNG"),
        ([(254, 4, [1]), (330, 4, [8])], "preview"),
        ([(330, 4, [0])], "NEF"),
    ],
)
def test_the_preview_in_a_raw_photo_is_not_taken_for_it(
    more: list[tuple[int, int, list[int]]], kind: str
) -> None:
    picture = tiff(scene(), more=more)
    if kind == "NEF":  # a second directory, that of the sensor, is appended
        sensor = tiff(scene()[..., :1], photometric=32803)
        place = struct.pack("<I", len(picture) + struct.unpack_from("<I", sensor, 4)[0])
        at = picture.index(struct.pack("<HHI", 330, 4, 1)) + 8
        picture = picture[:at] + place + picture[at + 4 :] + sensor
    assert kind in refusal(io.BytesIO(picture))
    assert "not supported" in refusal(io.BytesIO(picture))


# Metadata and ends


@pytest.mark.parametrize(
    "kept",
    [
        chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(3 * 2**20))),
        chunk(b"iCCP", b"profile\0\0not compressed at all"),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"word " * 2**20)),
        chunk(b"tEXt", b"Comment\0" + bytes(70 * 2**20)),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(3 * 2**20))),
        chunk(b"eXIf", b"MM nothing"),
        chunk(b"tEXt", b"a text with a wrong check sum")[:-4] + b"sums",
        chunk(b"acTL", b"?"),
    ],
    ids=range(8),
)
def test_metadata_of_any_size_and_state_do_not_matter(kept: bytes) -> None:
    assert np.array_equal(load_photo(io.BytesIO(png(scene(), 8, 2, [kept]))), scene())


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_end_is_read_and_one_without_its_pixels_is_not(
    china: PILImage, progressive: bool
) -> None:
    file = io.BytesIO()
    china.save(file, "JPEG", progressive=progressive)
    whole = file.getvalue()
    expected = load_photo(io.BytesIO(whole))
    for missing in (1, 2):
        assert np.array_equal(load_photo(io.BytesIO(whole[:-missing])), expected)
        reduced = load_photo(io.BytesIO(whole[:-missing]), min_side=100)
        assert np.array_equal(reduced, load_photo(io.BytesIO(whole), min_side=100))
    assert "damaged or cut short" in refusal(io.BytesIO(whole[:-60]))


def test_what_a_bmp_or_a_tiff_cannot_be_read_for_is_not_damage() -> None:
    rows = packed(np.zeros((48, 80), int), 32)
    assert "not supported" in refusal(io.BytesIO(bmp(rows, 80, 32, masks=[7, 56, 448])))
    assert "not supported" in refusal(io.BytesIO(bmp(rows, 80, 32, compression=4)))
    webp_in_tiff = tiff(scene()).replace(
        struct.pack("<HHII", 259, 3, 1, 1), struct.pack("<HHII", 259, 3, 1, 50001)
    )
    assert "TIFF with compression 50001, which is not supported" in refusal(
        io.BytesIO(webp_in_tiff)
    )


# HEIC


@pytest.fixture(scope="module")
def heic() -> Callable[..., bytes]:
    """Write HEIC, for which the tests have a package and deepmersion has none."""
    from pillow_heif import from_pillow

    def written(image: PILImage, **options: Any) -> bytes:
        file = io.BytesIO()
        from_pillow(image).save(file, quality=95, **options)
        return file.getvalue()

    return written


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_heic_photos_are_read(china: PILImage, heic: Callable[..., bytes], mode: str) -> None:
    expected = china.convert("L").convert("RGB") if mode == "L" else china
    assert mean_difference(load_photo(io.BytesIO(heic(china.convert(mode)))), expected) < 3


@pytest.mark.parametrize("orientation", TURNED)
def test_a_heic_photo_is_turned_once(
    china: PILImage, heic: Callable[..., bytes], orientation: int
) -> None:
    """Phones say it twice: in the container, which counts, and in the EXIF data."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(TURNED[orientation](np.asarray(china))))
    loaded = load_photo(io.BytesIO(heic(stored, exif=exif.tobytes())))
    assert loaded.shape == SHAPE
    assert mean_difference(loaded, china) < 3


# Much work in few bytes


def test_a_jpeg_of_very_many_scans_is_refused_without_decoding(china: PILImage) -> None:
    file = io.BytesIO()
    china.save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    bomb = data[:last] + 2000 * data[last:-2] + data[-2:]
    assert "more than 100 scans" in refusal(io.BytesIO(bomb))


def test_a_phones_108_megapixels_are_read_reduced(tmp_path: Path) -> None:
    path = save(Image.new("RGB", (12000, 9000), (200, 100, 50)), tmp_path / "photo.jpg")
    loaded = load_photo(path, min_side=448)
    assert loaded.shape == (1125, 1500, 3)
    assert mean_difference(loaded, Image.new("RGB", (1500, 1125), (200, 100, 50))) < 2


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "bmp", "gif", "avif", "ppm"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_truncated_file_is_refused(
    china: PILImage, tmp_path: Path, suffix: str, share: float
) -> None:
    whole = save(china, tmp_path / f"whole.{suffix}").read_bytes()
    path = tmp_path / f"photo.{suffix}"
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "gif", "avif"])
def test_damaged_bytes_give_a_picture_or_one_clear_error(
    china: PILImage, tmp_path: Path, suffix: str
) -> None:
    options = {"compression": "tiff_lzw"} if suffix == "tiff" else {}
    small = china.resize((160, 120))
    whole = save(small, tmp_path / f"whole.{suffix}", **options).read_bytes()
    path = tmp_path / f"photo.{suffix}"
    rng = np.random.default_rng(0)
    outcomes = []
    for _ in range(40):
        damaged = bytearray(whole)
        for position in rng.integers(len(damaged), size=8):
            damaged[position] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            outcomes.append(str(load_photo(path).shape))
        except PhotoError as error:
            outcomes.append(str(error))
    assert all("\n" not in outcome for outcome in outcomes)
    assert any("damaged" in outcome for outcome in outcomes)


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    side = int(MAX_PIXELS**0.5) + 1
    path = save(Image.new("1", (side, side)), tmp_path / "photo.png")
    assert "pixels; scale it down" in refusal(path)


def test_a_decompression_bomb_beyond_pillows_own_error_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "photo.ppm"
    path.write_bytes(b"P6 60000 60000 255\n")
    assert "pixels; scale it down" in refusal(path)


def test_an_endless_file_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return bytes(size or 0)

    monkeypatch.setattr(photo, "MAX_FILE_BYTES", 2**22)
    assert "is larger than 4 MiB" in refusal(Endless(), "-")


def test_too_small_a_picture_is_refused(tmp_path: Path) -> None:
    small = save(Image.new("RGB", (MIN_SIDE, MIN_SIDE - 1)), tmp_path / "small.png")
    assert "has 32 × 31 pixels, too few" in refusal(small)
    assert "1 × 1" in refusal(save(Image.new("RGB", (1, 1)), tmp_path / "pixel.png"))
    enough = save(Image.new("RGB", (MIN_SIDE, MIN_SIDE)), tmp_path / "enough.png")
    assert load_photo(enough).shape == (MIN_SIDE, MIN_SIDE, 3)
