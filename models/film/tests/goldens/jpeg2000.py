"""Goldens for DICOM's JPEG 2000: two small lossless streams by OpenJPEG, which the crate can read but not write.

Run: python jpeg2000.py      (pip install numpy pylibjpeg-openjpeg==2.6.0)
The pixels are those of `ramp` in ../film_dicom_coding.rs: 40 columns, 36 rows.
"""

import pathlib

import numpy
from openjpeg.utils import encode_array

HERE = pathlib.Path(__file__).parent
ROW, COLUMN = numpy.mgrid[0:36, 0:40]


def write(name, pixels, bits):
    (HERE / name).write_bytes(encode_array(pixels, bits_stored=bits))


write("unsigned16.j2k", ((COLUMN * 9001 + ROW * 12007) % 65536).astype("uint16"), 16)
write("signed12.j2k", ((COLUMN * 301 + ROW * 577) % 4096 - 2048).astype("int16"), 12)
