"""Why the bytes of a quantized model are not known."""


class Unknown(Exception):
    """The bytes of a model as saved are not known, for the reason that it gives."""
