"""The packages that `weigh` uses if they are there: torch, those of tokenizers, what opens URLs, what checks data."""

from collections.abc import Iterator
from contextlib import contextmanager

from weigh.errors import MissingPackage

INSTALL = {
    "google": "protobuf",  # a package of that name is there to be installed too, and is something else
    "huggingface_hub": "huggingface-hub",
    "mistral_common": "mistral-common",
    "sklearn": "scikit-learn",
    "upath": "universal-pathlib aiohttp",
    "yaml": "pyyaml",
}
"""What pip calls a module, where that is not its name; then what else it takes."""

EXTRAS = {
    "checks": (
        "cleanlab",
        "datasketch",
        "gguf",
        "jinja2",
        "krippendorff",
        "narwhals",
        "polars",
        "pyarrow",
        "scikit-learn",
        "scipy",
        "statsmodels",
        "usearch",
    ),
    "cards": ("huggingface-hub", "pyyaml"),
    "dask": ("dask", "distributed"),
    "remote": ("aiohttp", "universal-pathlib"),
    "tokenizers": ("mistral-common", "protobuf", "regex", "sentencepiece", "tokenizers"),
    "torch": ("numpy", "safetensors", "torch", "transformers"),
}
"""The packages of each extra of pyproject.toml."""


@contextmanager
def needed(where: object) -> Iterator[None]:
    """A place for imports, and for what imports by itself: one that fails becomes one line with its remedy.

    Args:
        where: What needs them: a file, or what was asked for.

    Raises:
        MissingPackage: If an import inside fails.
    """
    try:
        yield
    except ImportError as error:
        raise MissingPackage(where, _remedy(error)) from None


def _remedy(error: ImportError) -> str:
    """Name the module that was not found, which a library may have wrapped in an error with words of its own."""
    cause: BaseException | None = error
    while cause and not (isinstance(cause, ModuleNotFoundError) and cause.name):
        cause = cause.__cause__ or cause.__context__
    if not cause:
        return f"needs a package that does not load ({error}); install it again"
    module = str(cause.name).partition(".")[0]  # type: ignore[attr-defined]
    install = INSTALL.get(module, module)
    package = install.partition(" ")[0]
    whole = [f', or the whole extra, "weights-and-measures[{extra}]"' for extra in EXTRAS if package in EXTRAS[extra]]
    return f"needs the package {package}; pip install {install}{''.join(whole)}"
