"""What MLServer's parameter ``content_type`` says of a tensor: how its values are to be read.

https://docs.seldon.ai/mlserver/user-guide/content-type
"""

import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mlkit.errors import InvalidInputError
from mlkit.server.protocols.v2_messages import InferTensor, Request

BASE64: Final = "base64"
PLAIN: Final = ("str", "np", "pd", "datetime")  # what datatype and column say already
_KEY: Final = "content_type"


def check(request: Request) -> None:
    """Raise InvalidInputError if values are written in a way that is not read here."""
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
    """Raise InvalidInputError if ``parameters`` name a content type beside the plain ones."""
    kind = (parameters or {}).get(_KEY)
    if kind is not None and kind not in PLAIN:
        known = ", ".join((*more, *PLAIN))
        raise InvalidInputError(f"{place}: the content_type {str(kind)[:40]} is none of {known}")


def is_coded(tensor: InferTensor) -> bool:
    """Tell whether the texts of a tensor are base64."""
    return (tensor.parameters or {}).get(_KEY) == BASE64


def decoded(texts: Sequence[str | None]) -> tuple[list[str | None], int | None]:
    """Return the UTF-8 texts that base64 stands for, and the place of the first that is none."""
    found: list[str | None] = []
    for text in texts:
        try:
            raw = b"" if text is None else binascii.a2b_base64(text, strict_mode=True)
            found.append(None if text is None else raw.decode())
        except ValueError:  # binascii's own is one, and so is Unicode's
            return found, len(found)
    return found, None
