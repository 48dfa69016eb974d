"""MLServer's parameter ``content_type``: how the values of a tensor are encoded.

https://docs.seldon.ai/mlserver/user-guide/content-type
"""

import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mlkit.errors import InvalidInputError
from mlkit.server.protocols.v2_messages import InferTensor, Request

BASE64: Final = "base64"
PLAIN: Final = ("str", "np", "pd", "datetime")  # implied by the datatype and the column
_KEY: Final = "content_type"


def check(request: Request) -> None:
    """Raise InvalidInputError if values have an unsupported encoding."""
    refuse_coded(request.parameters, "the request")
    for tensor in request.inputs:
        if is_coded(tensor):
            if tensor.datatype != "BYTES":
                raise InvalidInputError(
                    f"tensor '{tensor.name[:100]}': content_type {BASE64} is for BYTES, "
                    f"not for {tensor.datatype[:40]}"
                )
        else:
            refuse_coded(tensor.parameters, f"tensor '{tensor.name[:100]}'", BASE64)


def refuse_coded(parameters: Mapping[str, Any] | None, place: str, *more: str) -> None:
    """Raise InvalidInputError if ``parameters`` name a content type other than the plain ones."""
    kind = (parameters or {}).get(_KEY)
    if kind is not None and kind not in PLAIN:
        known = ", ".join((*more, *PLAIN))
        raise InvalidInputError(f"{place}: the content_type {str(kind)[:40]} is none of {known}")


def is_coded(tensor: InferTensor) -> bool:
    """Tell whether the texts of a tensor are base64."""
    return (tensor.parameters or {}).get(_KEY) == BASE64


def decoded(texts: Sequence[str | None]) -> tuple[list[str | None], int | None]:
    """Return the texts decoded from base64, and the index of the first invalid one, or None."""
    found: list[str | None] = []
    for text in texts:
        try:
            raw = b"" if text is None else binascii.a2b_base64(text, strict_mode=True)
            found.append(None if text is None else raw.decode())
        except ValueError:  # binascii.Error and UnicodeDecodeError are subclasses
            return found, len(found)
    return found, None
