"""The program of "Tokenizer and preprocessing compatibility": two contracts, and what breaking them costs."""

# --8<-- [start:clauses]
import hashlib
import io
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageOps

BILINEAR = Image.Resampling.BILINEAR


@dataclass(frozen=True)
class Preprocessing:
    """From an encoded image to a model's input, float32 of shape (C, H, W). Each field is a clause of the contract."""

    resize: object = lambda image, size: image.resize(size, BILINEAR)
    upright: bool = True  # as the EXIF orientation says
    order: str = "RGB"
    divisor: float = 255.0
    whole: bool = False  # divided as integers
    mean: tuple = (0.72, 0.71, 0.69)
    std: tuple = (0.17, 0.15, 0.15)
    layout: str = "CHW"
    size: tuple = (12, 12)

    def __call__(self, encoded):
        image = Image.open(io.BytesIO(encoded))
        return self.of(ImageOps.exif_transpose(image) if self.upright else image)

    def of(self, image):
        pixels = np.asarray(self.resize(image.convert("RGB"), self.size))
        pixels = pixels[..., ::-1] if self.order == "BGR" else pixels
        pixels = pixels // int(self.divisor) if self.whole else pixels / self.divisor
        values = ((pixels - self.mean) / self.std).astype(np.float32)
        return values.transpose(2, 0, 1) if self.layout == "CHW" else values.reshape(3, *self.size[::-1])


# --8<-- [end:clauses]


# --8<-- [start:contract]
def broken(preprocess, golden, std, most=0.01):
    """The golden images that come out otherwise: name → the largest difference, in steps of uint8.

    A value counts if it is off by more than half a step; up to 1 % may be, by at most two steps, so that another
    library or processor that does the same is not accused.
    """
    steps = 255 * np.reshape(std, (3, 1, 1))
    found = {}
    for name, (encoded, expected) in golden.items():
        served = np.asarray(preprocess(encoded))
        if (served.shape, served.dtype) != (expected.shape, expected.dtype):
            found[name] = f"{served.dtype} {served.shape}"
            continue
        off = np.abs(served - expected) * steps
        if not off.max() <= 2 or np.mean(off > 0.5) > most:  # NaN is never at most 2
            found[name] = float(off.max())
    return found


# --8<-- [end:contract]

# --8<-- [start:golden]
from sklearn.datasets import load_sample_images

china, flower = load_sample_images().images
noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3))


def png(pixels, orientation=1):
    """A lossless file, so that decoders agree, with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG", exif=exif)
    return file.getvalue()


training = Preprocessing()
FILES = {
    "photo": png(china[120:216, 300:428]),
    "noise": png(noise),
    "sideways": png(flower[100:196, 200:328], orientation=6),
    "gray": png(flower[150:246, 250:378, 1]),
}
golden = {name: (encoded, training(encoded)) for name, encoded in FILES.items()}
kept = io.BytesIO()  # a golden file of your own: np.savez("golden.npz", …)
np.savez(
    kept,
    **{f"{name} input": np.frombuffer(encoded, np.uint8) for name, encoded in FILES.items()},
    **{f"{name} expected": expected for name, (_, expected) in golden.items()},
)
# --8<-- [end:golden]

# --8<-- [start:golden_claims]
saved = np.load(io.BytesIO(kept.getvalue()))
again = {name: (saved[f"{name} input"].tobytes(), saved[f"{name} expected"]) for name in FILES}
assert not broken(training, again, training.std), "the contract holds for the pipeline that wrote it"
# --8<-- [end:golden_claims]

# --8<-- [start:libraries]
import cv2
import torch

torch.set_num_threads(1)
cv2.setNumThreads(1)
FILTER = Image.Resampling


def pillow(kind, **more):
    return lambda image, size: image.resize(size, kind, **more)


def opencv(kind):
    return lambda image, size: cv2.resize(np.asarray(image), size, interpolation=kind)


def torchs(antialias, rounds=True):
    """What torchvision's resize of a tensor calls, in uint8 as on a processor with AVX2, or in float32."""

    def resize(image, size):
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
        pixels = pixels if rounds else pixels.float()
        return torch.nn.functional.interpolate(pixels, size[::-1], mode="bilinear", antialias=antialias)[0].permute(
            1, 2, 0
        )

    return resize


RESIZERS = {
    "torch bilinear, antialias": torchs(True),
    "the same, in float": torchs(True, rounds=False),
    "Pillow box": pillow(FILTER.BOX),
    "Pillow bicubic": pillow(FILTER.BICUBIC),
    "OpenCV INTER_AREA": opencv(cv2.INTER_AREA),
    "OpenCV INTER_LINEAR": opencv(cv2.INTER_LINEAR),
    "torch bilinear, no antialias": torchs(False),
    "OpenCV INTER_CUBIC": opencv(cv2.INTER_CUBIC),
    "Pillow nearest": pillow(FILTER.NEAREST),
    "OpenCV INTER_NEAREST": opencv(cv2.INTER_NEAREST),
}
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
CHANGES = {
    "channels BGR": {"order": "BGR"},
    "not divided by 255": {"divisor": 1.0},
    "divided as integers": {"whole": True},
    "no mean, no std": {"mean": (0, 0, 0), "std": (1, 1, 1)},
    "ImageNet's mean and std": IMAGENET,
    "HWC read as CHW": {"layout": "HWC"},
    "EXIF not applied": {"upright": False},
}
SERVED = {name: replace(training, resize=one) for name, one in RESIZERS.items()}
SERVED |= {name: replace(training, **change) for name, change in CHANGES.items()}
# --8<-- [end:libraries]

# --8<-- [start:letters]
from pathlib import Path

import matplotlib
from PIL import ImageDraw, ImageFont

FONTS = Path(matplotlib.__file__).parent / "mpl-data" / "fonts" / "ttf"
SEEN = ["DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique",
        "DejaVuSerif-Bold", "DejaVuSerif-Italic", "STIXGeneralBol", "STIXGeneralItalic"]  # fmt: skip
UNSEEN = ["DejaVuSans", "DejaVuSansMono", "DejaVuSerif", "STIXGeneral"]
WIDE = 96


def letter(letter, font, photo, columns, random):
    """A letter in dark ink on a pale piece of a photograph, slightly moved and turned: 96 × 96 pixels."""
    top, left = random.integers(photo.shape[0] - WIDE), random.integers(*columns)
    paper = 255 - (255.0 - photo[top : top + WIDE, left : left + WIDE]) * 0.4
    ink = Image.new("L", (WIDE, WIDE))
    place = tuple(WIDE / 2 + random.uniform(-6, 6, 2))
    ImageDraw.Draw(ink).text(place, letter, 255, font=font, anchor="mm")
    cover = np.asarray(ink.rotate(random.uniform(-6, 6), FILTER.BICUBIC))[..., None] / 255
    return Image.fromarray((paper * (1 - cover) + random.uniform(0, 90, 3) * cover).round().astype(np.uint8))


def letters(fonts, each, columns, seed):
    """Images, the letters on them (0 to 25), and the photographs below them (0 or 1)."""
    random = np.random.default_rng(seed)
    images, answers = [], []
    for name in fonts:
        font = ImageFont.truetype(FONTS / f"{name}.ttf", 72, layout_engine=ImageFont.Layout.BASIC)
        for number in range(26 * each):
            which = number % 26, int(random.integers(2))
            images.append(letter(chr(97 + which[0]), font, (china, flower)[which[1]], columns, random))
            answers.append(which)
    return images, np.array(answers).T


learned, learned_answers = letters(SEEN, 5, (0, 300), seed=0)
asked, asked_answers = letters(UNSEEN, 4, (396, 640 - WIDE), seed=1)
# --8<-- [end:letters]

# --8<-- [start:train]
import warnings

from scipy.stats import bootstrap
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

threadpool_limits(1)
PASSES = 15


def inputs(preprocess, images):
    """What a model is given, one row for each image, in float64."""
    return np.stack([preprocess.of(image) for image in images]).reshape(len(images), -1).astype(float)


def networks(answers):
    """Five networks with one hidden layer, from five seeds."""
    options = {"max_iter": PASSES, "n_iter_no_change": PASSES, "learning_rate_init": 0.003}
    return [MLPClassifier(64, random_state=seed, **options).fit(known, answers) for seed in range(5)]


known = inputs(training, learned)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # they stop after so many passes, as they are told to
    readers, recognisers = map(networks, learned_answers)


def right(preprocess, images):
    """For each question, network and image: whether the answer is right."""
    given = inputs(preprocess, images)
    asked_of = zip((readers, recognisers), asked_answers, strict=True)
    return np.array([[net.predict(given) == answers for net in nets] for nets, answers in asked_of])


as_trained = right(training, asked)
turned = [image.transpose(Image.Transpose.ROTATE_90) for image in asked]  # as a loader gives them that ignores the tag
served = {name: right(one, asked if one.upright else turned) for name, one in SERVED.items()}


def points_lost(before, after):
    """Points of accuracy lost: the mean of five networks, and 95 % of a bootstrap over images."""
    each = 100 * (before.mean(0) - after.mean(0))
    ends = bootstrap((each,), np.mean, n_resamples=1000, method="percentile", rng=np.random.default_rng(0))
    return each.mean(), *ends.confidence_interval


losses = {name: [points_lost(as_trained[k], one[k]) for k in (0, 1)] for name, one in served.items()}
# --8<-- [end:train]


# --8<-- [start:images_table]
def written(points, low, high):
    return f"{points:.0f} ({low:.0f} to {high:.0f})".replace("-0", "0").replace("-", "−")


caught = {name: broken(one, golden, training.std) for name, one in SERVED.items()}
print("| Served | Caught by | Letter | Photo |\n| --- | --- | ---: | ---: |")
for name, of in losses.items():
    by = next(iter(caught[name]), "–")
    print(f"| {name} | {by} | {written(*of[0])} | {written(*of[1])} |")
# --8<-- [end:images_table]

# --8<-- [start:images_claims]
accuracy = np.median(as_trained.mean(-1), axis=1)
assert 0.6 < accuracy[0] < 0.8 and accuracy[1] > 0.9
assert [name for name, by in caught.items() if not by] == ["torch bilinear, antialias"], "which is the same filter"
assert "gray" not in caught["channels BGR"] and list(caught["EXIF not applied"]) == ["sideways"]
assert np.array_equal(served["torch bilinear, antialias"], as_trained), "and answers the same"
letter_lost, photo_lost = ({name: of[k] for name, of in losses.items()} for k in (0, 1))
for name in ("OpenCV INTER_LINEAR", "torch bilinear, no antialias", "OpenCV INTER_NEAREST", "EXIF not applied"):
    assert letter_lost[name][1] > 8, "thin strokes are lost without antialiasing, and letters on their side"
for name in ("Pillow box", "OpenCV INTER_AREA", "the same, in float"):
    assert letter_lost[name][1] < 2.5, "other filters that average lose little"
assert max(photo_lost[name][0] for name in RESIZERS) < 2, "the photograph is known by its colours, whatever the filter"
assert photo_lost["channels BGR"][1] > 15 and letter_lost["channels BGR"][2] < 8, "which channels exchanged do change"
assert all(letter_lost[name][1] > 8 for name in ("not divided by 255", "no mean, no std", "HWC read as CHW"))
off = (
    np.abs(golden["photo"][1] - SERVED["the same, in float"](FILES["photo"]))
    * 255
    * np.reshape(training.std, (3, 1, 1))
)
rounded_apart = np.mean(off > 0.5)
linear = (
    np.abs(golden["photo"][1] - SERVED["OpenCV INTER_LINEAR"](FILES["photo"]))
    * 255
    * np.reshape(training.std, (3, 1, 1))
)
# --8<-- [end:images_claims]

# --8<-- [start:picture]
import matplotlib.pyplot as plt

shown = {
    "96 × 96": None,
    "Pillow bilinear": training,
    **{name: SERVED[name] for name in ("OpenCV INTER_AREA", "OpenCV INTER_LINEAR", "OpenCV INTER_NEAREST")},
}
chosen = [number for number in range(len(asked)) if asked_answers[0][number] in (4, 12, 18)][::9][:3]
fig, axes = plt.subplots(len(chosen), len(shown), figsize=(7, 4.6), layout="constrained")
for row, number in zip(axes, chosen, strict=True):
    for ax, one in zip(row, shown.values(), strict=True):
        ax.imshow(asked[number] if one is None else one.resize(asked[number], (12, 12)))
        ax.set(xticks=[], yticks=[])
for ax, name in zip(axes[0], shown, strict=True):
    ax.set_title(name.replace(" ", "\n", 1), fontsize=9)
fig
# --8<-- [end:picture]


# --8<-- [start:explained]
from functools import cache

contracts = {name: {key: (file, one(file)) for key, file in FILES.items()} for name, one in SERVED.items()}


def explained(preprocess):
    """The known faults that do to every golden image what a pipeline does."""
    once = cache(preprocess)
    return [name for name, contract in contracts.items() if not broken(once, contract, training.std)]


# --8<-- [end:explained]

# --8<-- [start:explained_claims]
naming = {name: explained(one) for name, one in SERVED.items()}
assert all(name in names for name, names in naming.items()), "the right cause is always among those named"
alone = sum(len(names) == 1 for names in naming.values())
# --8<-- [end:explained_claims]

# --8<-- [start:loaders]
import tempfile

cv2.utils.logging.setLogLevel(0)  # the table says what failed
READERS = {
    "Pillow": lambda file: np.asarray(Image.open(file).convert("RGB")),
    "transposed": lambda file: np.asarray(ImageOps.exif_transpose(Image.open(file)).convert("RGB")),
    "imread": lambda file: cv2.imread(str(file)),
    "unchanged": lambda file: cv2.imread(str(file), cv2.IMREAD_UNCHANGED),
}


def turns(read, file):
    """Whether a reader turns a wide photograph that is tagged as standing."""
    pixels = read(file)
    return "fails" if pixels is None else "turns" if pixels.shape[0] > pixels.shape[1] else "–"


loaded = {}
with tempfile.TemporaryDirectory() as folder:
    for kind in ("jpeg", "png", "webp", "tiff", "avif"):
        file = Path(folder, f"photo.{kind}")
        tag = Image.Exif()  # a new one, since saving an AVIF takes the orientation out of it
        tag[0x0112] = 6
        Image.fromarray(flower[:96, :128]).save(file, exif=tag)
        loaded[kind.upper()] = [turns(read, file) for read in READERS.values()]
# --8<-- [end:loaders]

# --8<-- [start:loaders_table]
print("| Format | " + " | ".join(READERS) + " |\n|" + " --- |" * (1 + len(READERS)))
for kind, cells in loaded.items():
    print(f"| {kind} | " + " | ".join(cells) + " |")
# --8<-- [end:loaders_table]

# --8<-- [start:loaders_claims]
assert all(loaded[kind] == ["–", "turns", "turns", "–"] for kind in ("JPEG", "PNG", "WEBP"))
assert loaded["TIFF"] == ["turns", "turns", "fails", "fails"], "Pillow turns a TIFF, and imread does not read it"
assert loaded["AVIF"] == ["–", "turns", "–", "–"], "imread leaves an AVIF as it is"
# --8<-- [end:loaders_claims]

# --8<-- [start:golden_texts]
import json

import tokenizers

import weigh
from quill import tokenizer

HOME = Path("models/quill")
trained = tokenizer.read(HOME)
TEXTS = {
    "plain": "Tomorrow, and tomorrow, and tomorrow,",
    "case": "OUT, out, brief CANDLE!",
    "accent": "caf\u00e9, cafe\u0301",
    "white space": "  if x:\n\treturn  1\n",
    "digits": "1234567.89",
    "emoji": "\N{GRINNING FACE} ok",
    "mark": "a<|endoftext|>b",
    "long": "word " * 600,
}


# --8<-- [end:golden_texts]


# --8<-- [start:texts]
def digests(encode):
    """A contract for text: for each golden text, a digest of its ids."""
    return {
        name: hashlib.sha256(json.dumps(list(encode(text))).encode()).hexdigest()[:12] for name, text in TEXTS.items()
    }


def differing(encode, recorded):
    """The golden texts that are read otherwise than recorded."""
    return [name for name, digest in digests(encode).items() if digest != recorded[name]]


recorded = digests(lambda text: trained.encode(text).ids)
# --8<-- [end:texts]

# --8<-- [start:text_changes]
from tokenizers import normalizers, pre_tokenizers, processors


def changed(change):
    """Quill's tokenizer, changed as a serving stack may change it."""
    other = tokenizer.read(HOME)
    change(other)
    return other


def normalised(*steps):
    return lambda other: setattr(other, "normalizer", normalizers.Sequence(list(steps)))


def begins_with_end(other):
    other.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )


def prefixed(other):
    other.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)


TEXT_CHANGES = {
    "lower case": normalised(normalizers.Lowercase()),
    "a space in front": prefixed,
    "cut to 16 tokens": lambda other: other.enable_truncation(16),
    "the last 16 kept": lambda other: other.enable_truncation(16, direction="left"),
    "a special token in front": begins_with_end,
    "accents stripped": normalised(normalizers.NFD(), normalizers.StripAccents()),
    "white space made one": normalised(normalizers.Replace(tokenizers.Regex(r"\s+"), " ")),
}
others = {name: changed(change) for name, change in TEXT_CHANGES.items()}
folder = tempfile.TemporaryDirectory()
found = {}
for number, (name, other) in enumerate(others.items()):
    file = Path(folder.name, f"{number}.json")
    other.save(str(file))
    report = weigh.check_tokenizer(file, against=HOME / "tokenizer.json")
    found[name] = differing(lambda text, other=other: other.encode(text).ids, recorded), report.finding
# --8<-- [end:text_changes]

# --8<-- [start:text_train]
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import MultinomialNB

BOOKS = [HOME / "held-out.txt", Path("models/quill-milton/held-out.txt")]
passages, authors = [], []
for author, book in enumerate(BOOKS):
    lines = [line for line in book.read_text(encoding="utf-8").splitlines() if len(line) > 24]
    few = ["\n".join(lines[start : start + 3]) for start in range(0, 900, 3)]
    passages += few
    authors += [author] * len(few)
authors = np.array(authors)


def counts(library, texts):
    """How often each id occurs in each text."""
    return np.stack([np.bincount(encoding.ids, minlength=2048) for encoding in library.encode_batch(texts)])


read_by = {name: counts(library, passages) for name, library in {"as trained": trained, **others}.items()}
author_right = {name: [] for name in read_by}
for seed in range(5):
    learn, ask = train_test_split(np.arange(len(passages)), test_size=0.5, stratify=authors, random_state=seed)
    model = MultinomialNB().fit(read_by["as trained"][learn], authors[learn])
    for name, ids in read_by.items():
        author_right[name].append(model.predict(ids[ask]) == authors[ask])
author_right = {name: np.array(answers) for name, answers in author_right.items()}
# --8<-- [end:text_train]

# --8<-- [start:text_table]
print("| Served | Caught by | `weigh` | Accuracy lost |\n| --- | --- | --- | ---: |")
text_lost = {}
for name, (by, finding) in found.items():
    each = 100 * (author_right["as trained"].mean(1) - author_right[name].mean(1))
    text_lost[name] = np.median(each)
    spread = f"{text_lost[name]:.1f} ({each.min():.1f} to {each.max():.1f})".replace("-", "−")
    print(f"| {name} | {', '.join(by[:2])}{' …' if by[2:] else ''} | {finding} | {spread} |")
# --8<-- [end:text_table]

# --8<-- [start:text_claims]
assert all(by for by, _ in found.values()), "no change escapes the contract"
assert not differing(lambda text: trained.encode(text).ids, recorded), "and the tokenizer of training passes"
assert text_lost["cut to 16 tokens"] > 4, "half of a passage says less"
assert text_lost["accents stripped"] == text_lost["a special token in front"] <= 0.5, (
    "what no passage has costs nothing here"
)
unseen = [name for name, (_, finding) in found.items() if finding != "yes"]
text_accuracy = np.median(author_right["as trained"].mean(1))
# --8<-- [end:text_claims]


# --8<-- [start:own]
def server(encoded):
    """A serving pipeline of somebody's own, with OpenCV."""
    pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
    small = cv2.resize(pixels, (12, 12), interpolation=cv2.INTER_LINEAR)
    values = (small / 255 - training.mean) / training.std
    return values.transpose(2, 0, 1).astype(np.float32)


for name, steps in broken(server, golden, training.std).items():
    print(f"{name:9} off by up to {steps:.0f} of 255")
print("explained by:", explained(server))
# --8<-- [end:own]

# --8<-- [start:own_claims]
assert explained(server) == ["OpenCV INTER_LINEAR"]
# --8<-- [end:own_claims]

# --8<-- [start:problems]
photo_pixels, input_side = 4000, 224
between = photo_pixels / input_side
read_by_linear = 2 / between
zero_mean = (0 - 0.485) / 0.229
undivided = (255 - 0.485) / 0.229
# --8<-- [end:problems]
