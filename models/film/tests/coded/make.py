"""Writes the coded films of this folder: one drawn film in codings that no Rust crate writes.

    pip install numpy==2.4.6 pillow==13.0.0 imagecodecs==2026.3.6 tifffile==2026.3.3
    python make.py

The film has 96x80 px: a bright ellipse on a dark ramp, with a little regular texture. Nobody was ever on it.
"""

import io
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

HERE = Path(__file__).parent
WIDTH, HEIGHT = 96, 80


def drawn():
    """The film in 8 bits."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    ellipse = ((x - 52) / 34.0) ** 2 + ((y - 38) / 30.0) ** 2 < 1
    texture = (x * 7 + y * 13) % 11 + (x * y) % 7
    return (20 + x // 2 + 120 * ellipse + texture).astype(np.uint8)


def pillow(image, format, **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def tiff(pages, bigtiff=False, **options):
    out = io.BytesIO()
    with tifffile.TiffWriter(out, bigtiff=bigtiff) as file:
        for page in pages:
            file.write(page, metadata=None, software=False, **options)
    return out.getvalue()


def main():
    film = drawn()
    wide = film.astype(np.uint16) * 257
    grey = Image.fromarray(film)
    colour = Image.merge("RGB", [grey, grey, grey])
    coloured = colour.copy()
    coloured.putpixel((40, 30), (255, 255, 0))
    deep = Image.fromarray(wide)
    files = {
        "baseline.jpg": pillow(grey, "JPEG", quality=90),
        "optimised.jpg": pillow(grey, "JPEG", quality=90, optimize=True),
        "restarts.jpg": pillow(grey, "JPEG", quality=90, restart_marker_blocks=7),
        "progressive.jpg": pillow(grey, "JPEG", quality=90, progressive=True),
        "progressive-restarts.jpg": pillow(grey, "JPEG", quality=90, progressive=True, restart_marker_rows=2),
        "colour.jpg": pillow(colour, "JPEG", quality=90, subsampling="4:2:0"),
        "colour-progressive.jpg": pillow(colour, "JPEG", quality=90, subsampling="4:2:0", progressive=True),
        "lossless.jpg": imagecodecs.jpeg_encode(film, lossless=True),
        "lossless16.jpg": imagecodecs.ljpeg_encode(wide, bitspersample=16),
        "twelve.jpg": imagecodecs.jpeg_encode(film.astype(np.uint16) * 16, bitspersample=12, level=90),
        "one-tile.j2k": pillow(deep, "JPEG2000", no_jp2=True),
        "precincts.j2k": pillow(deep, "JPEG2000", no_jp2=True, precinct_size=(32, 32), codeblock_size=(16, 16), progression="RPCL"),
        "lossy.j2k": pillow(deep, "JPEG2000", no_jp2=True, irreversible=True, quality_layers=[20, 8, 3]),
        "tiles.j2k": pillow(grey, "JPEG2000", no_jp2=True, tile_size=(32, 32)),
        "colour.j2k": pillow(colour, "JPEG2000", no_jp2=True, mct=1),
        "colour-lossy.j2k": pillow(colour, "JPEG2000", no_jp2=True, mct=1, irreversible=True, quality_layers=[20, 8, 3]),
        "coloured.j2k": pillow(coloured, "JPEG2000", no_jp2=True, mct=1),
        "colour-lossless.jpg": imagecodecs.jpeg_encode(np.dstack([film] * 3), lossless=True),
        "big.tif": tiff([film], compression="deflate", bigtiff=True),
        "lzw.tif": tiff([wide], compression="lzw", rowsperstrip=20),
        "deflate.tif": tiff([wide], compression="deflate", rowsperstrip=20),
        "packbits.tif": tiff([film], compression="packbits", rowsperstrip=20),
        "jpeg.tif": tiff([film], compression="jpeg", rowsperstrip=16),
        "pages.tif": tiff([film[::4, ::4], film], rowsperstrip=80),
        "bits32.tif": tiff([film.astype(np.uint32) << 12], compression="deflate"),
        "signed.tif": tiff([film.astype(np.int16)], compression="deflate"),
        "white-is-zero.tif": tiff([4095 - film.astype(np.uint16) * 16], photometric="miniswhite", compression="deflate"),
        "palette.png": pillow(grey.quantize(64), "PNG"),
        "palette.tif": pillow(grey.quantize(64), "TIFF"),
        "animation.png": pillow(grey, "PNG", save_all=True, append_images=[grey.point(lambda v: 255 - v)]),
    }
    with_thumbnail = io.BytesIO()
    with tifffile.TiffWriter(with_thumbnail) as file:
        file.write(film, metadata=None, software=False, compression="deflate")
        file.write(film[::4, ::4], metadata=None, software=False, subfiletype=1)
    files["thumbnail-second.tif"] = with_thumbnail.getvalue()
    files["film.png"] = pillow(grey, "PNG")
    for name, content in files.items():
        (HERE / name).write_bytes(content)


if __name__ == "__main__":
    main()
