"""A Hugging Face `config.json`, read field by field, with an error that names the field."""

import json
import os
from pathlib import Path
from typing import Any

from weigh.dtypes import DType, dtype
from weigh.errors import InvalidConfig, NotFound, UnknownDtype, UnsupportedField


class Config:
    """The fields of a config, which a family's specification asks for by name.

    Args:
        path: A `config.json`, or a directory that holds one.

    Raises:
        NotFound: If there is no such file.
        InvalidConfig: If it is not a JSON object.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            self.path /= "config.json"
        try:
            fields = json.loads(self.path.read_text(encoding="utf-8"))
        except OSError as error:
            raise NotFound(self.path, f"{(error.strerror or str(error)).lower()}; give a config.json") from None
        except json.JSONDecodeError as error:
            raise InvalidConfig(f"{self.path}, line {error.lineno}", f"is not JSON ({error.msg}); mend it") from None
        except (ValueError, RecursionError):
            raise InvalidConfig(self.path, "is not JSON in UTF-8; mend it") from None
        if not isinstance(fields, dict):
            raise InvalidConfig(self.path, "is not a JSON object; give the config of one model")
        self.fields: dict[str, Any] = fields

    def size(self, field: str, default: int | None = None) -> int:
        """A field that is a positive whole number; `default` stands for an absent one or `null`."""
        value = self.fields.get(field)
        value = default if value is None else value
        if value is None:
            raise InvalidConfig(f"{self.path}, field {field}", "is missing, and no size follows without it")
        if type(value) is not int or not 0 < value < 2**63:
            raise InvalidConfig(f"{self.path}, field {field}", f"must be a positive whole number, not {value!r:.40}")
        return value

    def flag(self, field: str, default: bool) -> bool:
        """A field that is true or false; `default` stands for an absent one or `null`."""
        value = self.fields.get(field)
        value = default if value is None else value
        if not isinstance(value, bool):
            raise InvalidConfig(f"{self.path}, field {field}", f"must be true or false, not {value!r:.40}")
        return value

    def text(self, field: str, default: str) -> str:
        """A field that is text; `default` stands for an absent one or `null`."""
        value = self.fields.get(field)
        value = default if value is None else value
        if not isinstance(value, str):
            raise InvalidConfig(f"{self.path}, field {field}", f"must be text, not {value!r:.40}")
        return value

    def dtype(self) -> DType:
        """The number format that the weights are saved in: `dtype`, or `torch_dtype` as it was called before."""
        field = "dtype" if self.fields.get("dtype") is not None else "torch_dtype"
        try:
            return dtype(self.text(field, "float32"))
        except UnknownDtype as error:
            raise UnknownDtype(f"{self.path}, field {field}", f"{error.where!r:.40} is {error.problem}") from None

    def split(self, whole: str, parts: str, size: int, count: int) -> int:
        """`size / count`, for fields `whole` and `parts`, where the one must divide the other."""
        if size % count:
            raise InvalidConfig(f"{self.path}, field {whole}", f"{size} is not a multiple of {parts}, {count}")
        return size // count

    def refuse(self, field: str, *allowed: Any) -> None:
        """Refuse a value that changes the answer in a way no specification here knows."""
        value = self.fields.get(field)
        if value is not None and value not in allowed:
            raise UnsupportedField(
                f"{self.path}, field {field}", f"{value!r:.40} changes the answer, and weigh only knows {allowed[0]!r}"
            )
