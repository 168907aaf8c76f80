#!/usr/bin/env bash
# Phones store a portrait on its side, with an EXIF orientation that says so. One would say that OpenCV's imread turns it,
# and that Pillow does not until exif_transpose is called. Both depend on the format of the file. Of one wide photograph
# with orientation 6, saved by Pillow in five formats:
#
#            imread         imdecode   Pillow     exif_transpose
#   JPEG     turns          turns      leaves     turns
#   PNG      turns          turns      leaves     turns
#   WebP     turns          turns      leaves     turns
#   AVIF     leaves         leaves     leaves     turns
#   TIFF     returns None   turns      turns      turns
#
# So one service that takes five formats sees some portraits on their side, and which ones depends on the library. Saving
# the AVIF also takes the orientation out of the Exif object in memory: what is saved with it afterwards has none.
#
# Seen with OpenCV 5.0.0 (opencv-python-headless 5.0.0.93) and Pillow 13.0.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet opencv-python-headless==5.0.0.93 pillow==13.0.0 numpy==2.3.5
cd "$folder"
env/bin/python - <<'PY'
import cv2
import numpy as np
from PIL import Image, ImageOps

cv2.utils.logging.setLogLevel(0)
photo = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def tagged():
    """A new one for each file: saving an AVIF takes the orientation out of the object that it was given."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def said(pixels):
    return "None" if pixels is None else "turns" if pixels.shape[0] > pixels.shape[1] else "leaves"


expected = {
    "jpeg": ["turns", "leaves", "turns", "turns"],
    "png": ["turns", "leaves", "turns", "turns"],
    "webp": ["turns", "leaves", "turns", "turns"],
    "avif": ["leaves", "leaves", "turns", "leaves"],
    "tiff": ["None", "turns", "turns", "turns"],
}
for kind, row in expected.items():
    file = f"photo.{kind}"
    Image.fromarray(photo).save(file, exif=tagged())
    found = [
        said(cv2.imread(file)),
        said(np.asarray(Image.open(file))),
        said(np.asarray(ImageOps.exif_transpose(Image.open(file)))),
        said(cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)),
    ]
    print(f"{kind:5} imread {found[0]:7} Pillow {found[1]:7} exif_transpose {found[2]:7} imdecode {found[3]}")
    assert found == row
used = tagged()
Image.fromarray(photo).save("again.avif", exif=used)
print("orientation in memory after saving an AVIF:", used.get(0x0112))
assert used.get(0x0112) is None
PY
