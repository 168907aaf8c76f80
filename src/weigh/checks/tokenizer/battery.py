"""Edge texts: short texts of kinds that tokenizers are known to lose or to read differently, each with the reason."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from weigh.errors import InvalidTable
from weigh.sources import opening

MOST_CHARACTERS = 1_000_000
"""The longest line that is read as one text: a file without line breaks is no list of texts."""


@dataclass(frozen=True)
class EdgeText:
    """A text that some tokenizer does not keep.

    Attributes:
        name: What it is.
        text: The text.
        why: What goes wrong with it, and where.
    """

    name: str
    text: str
    why: str


_LOOKS = "looks like its plain form and is another text"
_SPACES = "a pre-tokenizer on words drops it"
_LETTERS = "letters that a small vocabulary lacks"

EDGE_TEXTS: tuple[EdgeText, ...] = tuple(
    EdgeText(*row)
    for row in (
        ("plain words", "The quick brown fox jumps over the lazy dog.", "what every tokenizer keeps"),
        ("accents, composed", "naïve café Ångström", "accents may be stripped"),
        ("accents, decomposed", "nai\u0308ve cafe\u0301 A\u030angstro\u0308m", _LOOKS),
        ("Vietnamese, decomposed", "Tie\u0302\u0301ng Vie\u0323\u0302t", "two marks on a letter, in either order"),
        ("Hangul, decomposed", "\u1112\u1161\u11ab\u1100\u1173\u11af", "three letters for each syllable"),
        ("ligature", "ﬁle, oﬀer", "NFKC makes two letters of it"),
        ("full width", "ＡＢＣ１２３", "NFKC makes it narrow"),
        ("superscript", "x² + H₂O", "NFKC makes 2 of both"),
        ("fraction, ellipsis", "½ cup…", "NFKC takes it apart"),
        ("no-break space", "10\u00a0000 km", _LOOKS),
        ("ideographic space", "東京\u3000タワー", _LOOKS),
        ("zero-width space", "zero\u200bwidth", "a cleaner removes it, and two words are one"),
        ("zero-width joiner", "क्\u200dष", "shapes letters; a cleaner removes it"),
        ("soft hyphen", "co\u00adoperate", _LOOKS),
        ("byte-order mark", "\ufeffid,name", "left over at the start of a file"),
        ("right-to-left mark", "\u200fשלום\u200f", "invisible, and counted"),
        ("leading space", " word", _SPACES),
        ("trailing space", "word ", "a prompt that ends in it asks for another token"),
        ("many spaces", "a    b", _SPACES),
        ("tab", "a\tb", _SPACES),
        ("line breaks", "one\n\ntwo", _SPACES),
        ("carriage return", "one\r\ntwo\r", _SPACES),
        ("spaces alone", "   ", "nothing is left of it"),
        ("indentation", "def f(x):\n    if x:\n        return 1\n", "Python without it is another program"),
        ("table", "a | b\n--|--\n1 | 2\n", "columns are white space"),
        ("diff", "-old\n+new\n @@ -1 +1 @@", "a space at the start of a line has a meaning"),
        ("long number", "12345678901234567890", "cut into digits, threes or what was frequent"),
        ("decimals", "3.14159, 1e-05, 0x1F, 1,000.5", "spaces appear in it when it is decoded"),
        ("negative", "-1 −1 –1", "three characters that look like a minus"),
        ("URL", "https://example.org/a?b=c&d=%20#e", "one of the longest texts without a space"),
        ("e-mail", "jane.doe+tag@example.org", "signs within a word"),
        ("path", "C:\\Users\\é\\file.txt", "backslashes, and an accent"),
        ("regular expression", r"^\d{3}-[A-Z]+\.(?:py|rs)$", "signs in a row"),
        ("JSON", '{"a": [1, null], "b": "\\u00e9"}', "quotes and brackets touch"),
        ("HTML", "<p class='x'>a &amp; b</p>", "looks like a mark"),
        ("LaTeX", r"$\frac{1}{2}\int_0^\infty e^{-x}\,dx$", "signs in a row"),
        ("contractions", "don't — it's “quoted”, they’re", "straight and curly signs"),
        ("upper case", "SHOUTING IS RARE", "cut finer than lower case, or lowered"),
        ("camel case", "getHTTPResponseCode2_v1", "no space between its words"),
        ("emoji", "😀 ok", "outside the plane that 16 bits reach"),
        ("emoji family", "👨‍👩‍👧‍👦", "one sign of seven characters"),
        ("flag", "🇫🇷🇩🇪", "two characters a flag"),
        ("skin tone", "👍🏽", "a sign and its colour"),
        ("variation selector", "❤️ ❤", "with and without an invisible character"),
        ("mathematical letters", "𝒜𝓁𝑔𝑒𝒷𝓇𝒶", "letters of another plane"),
        ("box drawing", "┌─┐█▄", "rare, and in every terminal"),
        ("private use", "\ue000\uf8ff", "nobody trained on it"),
        ("rare ideograph", "𠮷野家 龘", "a family name of a later plane"),
        ("Chinese", "今天天气很好。", "no spaces between words"),
        ("Japanese", "ｶﾀｶﾅとカタカナ", "two widths of one letter"),
        ("Korean", "안녕하세요", _LETTERS),
        ("Arabic", "مَرْحَبًا بالعالم", "vowel marks, which are stripped with accents"),
        ("Hebrew", "בְּרֵאשִׁית", "vowel marks, which are stripped with accents"),
        ("Hindi", "हिन्दी में", "vowel signs, which are stripped with accents"),
        ("Thai", "ภาษาไทยง่าย", "no spaces, and signs above letters"),
        ("Khmer", "ភាសាខ្មែរ", _LETTERS),
        ("Amharic", "ሰላም ልዑል", _LETTERS),
        ("Greek", "Ὀδυσσεύς", "two marks on a letter, and two forms of sigma"),
        ("Turkish", "İstanbul ılık", "its lower case has other letters"),
        ("German", "STRASSE, Straße, STRAẞE", "upper case is longer"),
        ("mixed scripts", "pаypal", "its second letter is Cyrillic"),
        ("control characters", "bell\x07 and nul\x00.", "a cleaner removes them"),
        ("replacement character", "caf\ufffd", "what is left where bytes were no text"),
        ("repeated", "ha" * 40, "one long word"),
    )
)
"""The edge texts of the check, in no order of importance. A list of your own may take their place."""


def texts_of(path: str | Path) -> Iterator[list[str]]:
    """The lines of a text file in UTF-8, one text a line, empty lines left out, in lists of a few thousand.

    Raises:
        NotFound: If the file cannot be opened.
        InvalidTable: If it is no text in UTF-8, has no text, or a line that is no text but a file.
    """
    where, found = Path(path), 0
    with opening(where), where.open("rb") as file:
        number = 0
        while raw := list(islice(iter(lambda: file.readline(4 * MOST_CHARACTERS + 1), b""), 4096)):
            lines = []
            for line in raw:
                number += 1
                if len(line) > 4 * MOST_CHARACTERS:
                    raise InvalidTable(
                        f"{where}, line {number:,}", "is too long for one text; put one text on each line"
                    )
                try:
                    lines.append(line.decode("utf-8").rstrip("\r\n"))
                except UnicodeDecodeError:
                    raise InvalidTable(f"{where}, line {number:,}", "is not UTF-8; convert the file") from None
            kept = [line for line in lines if line]
            found += len(kept)
            if kept:
                yield kept
    if not found:
        raise InvalidTable(where, "holds no text; put one text on each line")


def first_text(path: str | Path, characters: int) -> str:
    """The first characters of a text file, as one text with its line breaks.

    Raises:
        NotFound: If the file cannot be opened.
        InvalidTable: If it is no text in UTF-8.
    """
    where = Path(path)
    with opening(where):
        try:
            with where.open(encoding="utf-8", newline="") as file:
                return file.read(characters)
        except UnicodeDecodeError:
            raise InvalidTable(where, "is not UTF-8; convert the file") from None
