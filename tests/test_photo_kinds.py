"""Every kind of every format is read as its plain twin, or refused as not supported."""

import io
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
from pictures import bmp, chunk, grey, packed, png, scaled, scene, tiff
from PIL import Image

from deepmersion.errors import PhotoError
from deepmersion.vision.decode import BACKGROUND
from deepmersion.vision.photo import load_photo

Case = tuple[str, bytes, np.ndarray]

SCENE = scene()

ALPHA = np.repeat(np.linspace(0, 255, SCENE.shape[1]).round()[None], len(SCENE), 0)[..., None]


def as_rgb(values: np.ndarray) -> np.ndarray:
    return np.repeat(values.reshape(*values.shape[:2], 1), 3, axis=2)


def over_background(picture: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha.astype(float) / 255
    return np.asarray((picture * share + np.array(BACKGROUND) * (1 - share)).round())


def quantised(picture: np.ndarray, bits: int) -> np.ndarray:
    """Return a picture of 8 bits as it looks in fewer."""
    if bits >= 8:
        return picture
    return np.asarray((scaled(picture, bits) * 255 / (2**bits - 1)).round())


def pngs() -> Iterator[Case]:
    shade = grey(SCENE)[..., None]
    for bits in (1, 2, 4, 8, 16):
        samples = scaled(shade, bits)
        expected = as_rgb(quantised(shade, bits))
        yield f"PNG grey {bits}", png(samples, bits, 0), expected
        clear = int(samples[20, 30, 0])
        transparent = np.where(samples == clear, BACKGROUND[0], expected)
        trns = chunk(b"tRNS", clear.to_bytes(2, "big"))
        yield f"PNG grey {bits} tRNS", png(samples, bits, 0, [trns]), transparent
    for bits in (1, 2, 4, 8):
        colours = scene(2**bits, 1)[0] if bits > 1 else SCENE[[0, -1], [0, -1]]
        indices = scaled(shade, bits)
        plte = chunk(b"PLTE", colours.tobytes())
        yield f"PNG palette {bits}", png(indices, bits, 3, [plte]), colours[indices[..., 0]]
        alphas = np.linspace(255, 0, len(colours)).round().astype(np.uint8)
        trns = chunk(b"tRNS", alphas.tobytes())
        expected = over_background(colours[indices[..., 0]], alphas[indices])
        yield f"PNG palette {bits} tRNS", png(indices, bits, 3, [plte, trns]), expected
    for bits in (8, 16):
        rgb, alpha = scaled(SCENE, bits), scaled(ALPHA, bits)
        yield f"PNG RGB {bits}", png(rgb, bits, 2), SCENE
        trns = chunk(b"tRNS", rgb[20, 30].astype(">u2").tobytes())
        clear = (rgb == rgb[20, 30]).all(axis=2, keepdims=True)
        expected = np.where(clear, BACKGROUND[0], SCENE)
        yield f"PNG RGB {bits} tRNS", png(rgb, bits, 2, [trns]), expected
        rgba = np.concatenate([rgb, alpha], axis=2)
        yield f"PNG RGBA {bits}", png(rgba, bits, 6), over_background(SCENE, ALPHA)
        la = np.concatenate([scaled(shade, bits), alpha], axis=2)
        yield f"PNG LA {bits}", png(la, bits, 4), over_background(as_rgb(shade), ALPHA)


def tiffs() -> Iterator[Case]:
    shade = grey(SCENE)[..., None]
    layouts = list(product("<>", (1, 2), (1, 8)))
    for order, planar, compression in layouts:
        same: dict[str, Any] = {"order": order, "planar": planar, "compression": compression}
        name = f"TIFF {order} planes {planar} compression {compression}"
        for bits, photometric in product((1, 2, 4, 8, 16, 32), (0, 1)):
            samples = scaled(shade, bits)
            stored = samples if photometric else 2**bits - 1 - samples
            data = tiff(stored, bits=bits, photometric=photometric, **same)
            yield f"{name} grey {bits} {photometric}", data, as_rgb(quantised(shade, bits))
        for bits, photometric in product((16, 32, 64), (0, 1)):
            # Half, single and double precision.
            white = shade / 255
            stored = white if photometric else 1 - white
            data = tiff(stored, bits=bits, photometric=photometric, sample_format=3, **same)
            yield f"{name} float {bits} {photometric}", data, as_rgb(shade)
        for bits in (8, 16, 32):
            stored = scaled(shade, 16) if bits == 32 else scaled(shade, bits - 1)
            data = tiff(stored, bits=bits, photometric=1, sample_format=2, **same)
            yield f"{name} signed {bits}", data, as_rgb(shade)
        for bits in (8, 16, 32):
            rgb, alpha = scaled(SCENE, bits), scaled(ALPHA, bits)
            yield f"{name} RGB {bits}", tiff(rgb, bits=bits, **same), SCENE
            rgba = np.concatenate([rgb, alpha], axis=2)
            data = tiff(rgba, bits=bits, extra=[2], **same)
            yield f"{name} RGBA {bits}", data, over_background(SCENE, ALPHA)
            premultiplied = np.concatenate([(rgb * (ALPHA / 255)).round().astype(int), alpha], 2)
            data = tiff(premultiplied, bits=bits, extra=[1], **same)
            yield f"{name} RGBa {bits}", data, over_background(SCENE, ALPHA)
            data = tiff(rgba, bits=bits, extra=[0], **same)
            yield f"{name} RGBX {bits}", data, SCENE
            two = np.concatenate([rgb, alpha, alpha], axis=2)
            data = tiff(two, bits=bits, extra=[2, 0], **same)
            yield f"{name} RGBAX {bits}", data, over_background(SCENE, ALPHA)
            la = np.concatenate([scaled(shade, bits), alpha], axis=2)
            data = tiff(la, bits=bits, photometric=1, extra=[2], **same)
            yield f"{name} LA {bits}", data, over_background(as_rgb(shade), ALPHA)
            cmyk = np.concatenate([2**bits - 1 - rgb, np.zeros_like(alpha)], axis=2)
            yield f"{name} CMYK {bits}", tiff(cmyk, bits=bits, photometric=5, **same), SCENE
        yield f"{name} RGB float", tiff(SCENE / 255, bits=32, sample_format=3, **same), SCENE
        for bits in (1, 2, 4, 8, 16):
            n_colours = 2 ** min(bits, 8)
            colours = scene(n_colours, 1)[0] if bits > 1 else SCENE[[0, -1], [0, -1]]
            indices = scaled(shade, min(bits, 8))
            table = np.zeros((2**bits, 3), int)
            table[:n_colours] = colours.astype(int) * 257
            more = [(320, 3, table.T.ravel().tolist())]
            data = tiff(indices, bits=bits, photometric=3, more=more, **same)
            yield f"{name} palette {bits}", data, colours[indices[..., 0]]
        ycbcr = np.asarray(Image.fromarray(SCENE).convert("YCbCr"))
        data = tiff(ycbcr, photometric=6, more=[(530, 3, [1, 1])], **same)
        yield f"{name} YCbCr", data, SCENE
        for bits in (8, 16):
            rows = scaled(SCENE, bits)
            steps = np.diff(rows, axis=1, prepend=0) % 2**bits
            data = tiff(steps, bits=bits, more=[(317, 3, [2])], **same)
            if compression == 8:  # others have no predictor
                yield f"{name} predictor {bits}", data, SCENE
        reversed_bits = np.vectorize(lambda v: int(f"{v:08b}"[::-1], 2))(SCENE)
        yield f"{name} bits reversed", tiff(reversed_bits, more=[(266, 3, [2])], **same), SCENE


FIELDS = ((5, 6, 5), (5, 5, 5), (4, 4, 4), (8, 8, 8), (10, 10, 10))
"""Bits of red, green and blue in a BMP."""


def bmps() -> Iterator[Case]:
    height, width = SCENE.shape[:2]
    shade = grey(SCENE)
    opaque = np.full_like(ALPHA, 255).astype(np.uint8)
    bgr = SCENE[..., ::-1]
    yield "BMP 24", bmp(packed(bgr, 8), width, 24), SCENE
    unused = np.zeros_like(opaque)
    yield "BMP 32", bmp(packed(np.concatenate([bgr, unused], 2), 8), width, 32), SCENE
    for bits in (1, 2, 4, 8):
        colours = scene(2**bits, 1)[0] if bits > 1 else SCENE[[0, -1], [0, -1]]
        indices = scaled(shade, bits)
        table = np.concatenate([colours[:, ::-1], np.zeros((2**bits, 1))], 1).astype(np.uint8)
        data = bmp(packed(indices, bits), width, bits, palette=table.tobytes())
        yield f"BMP palette {bits}", data, colours[indices]
    for bits, header, sizes in product((16, 32), (40, 108, 124), FIELDS):
        if sum(sizes) > bits:
            continue
        for order in ((0, 1, 2), (2, 1, 0)):
            values, masks, shift = np.zeros((height, width), int), [0, 0, 0], 0
            for channel in order:
                values |= scaled(SCENE[..., channel], sizes[channel]) << shift
                masks[channel] = (2 ** sizes[channel] - 1) << shift
                shift += sizes[channel]
            data = bmp(packed(values, bits, "<"), width, bits, masks=masks, header_bytes=header)
            expected = np.stack([quantised(SCENE[..., c], sizes[c]) for c in range(3)], 2)
            yield f"BMP {bits} fields {sizes} {order} header {header}", data, expected
    bgra = np.concatenate([bgr, ALPHA.astype(np.uint8)], 2)
    masks = [0xFF0000, 0xFF00, 0xFF, 0xFF000000]
    data = bmp(packed(bgra, 8), width, 32, masks=masks, header_bytes=124)
    yield "BMP 32 alpha", data, over_background(SCENE, ALPHA)


def pnms() -> Iterator[Case]:
    height, width = SCENE.shape[:2]
    shade = grey(SCENE)
    for most in (1, 15, 100, 255, 1023, 65535):
        bits = 8 if most < 256 else 16
        for magic, plain, pixels in ((b"P5", b"P2", shade), (b"P6", b"P3", SCENE)):
            values = (pixels.astype(float) * most / 255).round().astype(int)
            head = b" %d %d %d\n" % (width, height, most)
            expected = (values * 255 / most).round()
            expected = expected if pixels is SCENE else as_rgb(expected)
            data = magic + head + b"".join(packed(values, bits))
            yield f"{magic.decode()} of {most}", data, expected
            text = b" ".join(b"%d" % value for value in values.ravel())
            yield f"{plain.decode()} of {most}", plain + head + text, expected
    bits_set = 1 - scaled(shade, 1)
    head = b"P4 %d %d\n" % (width, height)
    yield "P4", head + b"".join(packed(bits_set, 1)), as_rgb(quantised(shade, 1))
    for order, scale in (("<", b"-1.0"), (">", b"1.0")):
        head = b"Pf\n%d %d\n%s\n" % (width, height, scale)
        data = (shade[::-1] / 255).astype(f"{order}f4").tobytes()
        yield f"PFM {order}", head + data, as_rgb(shade)


def written(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def by_pillow() -> Iterator[Case]:
    """What Pillow writes without a loss, in formats that are rare in photos or simple."""
    image = Image.fromarray(SCENE)
    rgba = Image.fromarray(np.concatenate([SCENE, ALPHA.astype(np.uint8)], 2))
    blended = over_background(SCENE, ALPHA)
    yield "WebP", written(image, "WEBP", lossless=True), SCENE
    yield "WebP alpha", written(rgba, "WEBP", lossless=True, exact=True), blended
    Image.init()
    for kind in ("TGA", "PCX", "SGI", "DDS", "ICO", "JPEG2000", "QOI"):
        yield kind, written(image, kind), SCENE
    for compression in ("tiff_lzw", "packbits", "tiff_lzma", "zstd", "tiff_deflate"):
        yield compression, written(image, "TIFF", compression=compression), SCENE
    one = image.convert("1", dither=Image.Dither.NONE)
    for compression in ("group3", "group4", "tiff_ccitt"):
        data = written(one, "TIFF", compression=compression)
        yield compression, data, np.asarray(one.convert("RGB"))
    few = image.quantize(16)
    yield "GIF", written(few, "GIF"), np.asarray(few.convert("RGB"))


def jpegs() -> Iterator[Case]:
    smooth = Image.fromarray(np.asarray(scene(320, 240)))
    expected = np.asarray(smooth)
    shade = as_rgb(grey(expected))
    for progressive in (False, True):
        options = {"quality": 98, "subsampling": 0, "progressive": progressive}
        yield f"JPEG grey {progressive}", written(smooth.convert("L"), "JPEG", **options), shade
        yield f"JPEG YCbCr {progressive}", written(smooth, "JPEG", **options), expected
        data = written(smooth, "JPEG", keep_rgb=True, **options)
        yield f"JPEG RGB {progressive}", data, expected
        cmyk = smooth.convert("CMYK")
        yield f"JPEG CMYK {progressive}", written(cmyk, "JPEG", **options), expected
    yield "JPEG in TIFF", written(smooth, "TIFF", compression="jpeg", quality=98), expected


TABLES: dict[str, Callable[[], Iterator[Case]]] = {
    "PNG": pngs,
    "TIFF": tiffs,
    "BMP": bmps,
    "PNM": pnms,
    "others": by_pillow,
    "JPEG": jpegs,
}

MUST_BE_READ = {"PNG": 25, "TIFF": 118, "BMP": 15, "PNM": 27, "others": 11, "JPEG": 9}
"""How many of each table are read: to refuse everything would be no art."""

TOLERANCES = {"TIFF": 3, "JPEG": 8}
"""Largest difference of a sample; 1 where rounding alone may differ."""


@pytest.mark.parametrize("table", TABLES)
def test_every_kind_is_read_as_its_plain_twin_or_refused(table: str) -> None:
    wrong, n_read = [], 0
    for name, data, expected in TABLES[table]():
        try:
            loaded = load_photo(io.BytesIO(data))
        except PhotoError as error:
            if not any(words in str(error) for words in ("not supported", "known format")):
                wrong.append(f"{name}: {error}")
            continue
        n_read += 1
        off = np.abs(loaded.astype(float) - expected)
        if off.max() > TOLERANCES.get(table, 1):
            wrong.append(f"{name}: {off.mean():.1f} on average, {off.max()} at most")
    assert not wrong, "\n".join(wrong)
    assert n_read >= MUST_BE_READ[table], n_read
