"""The input schema of a version, from its database row."""

import msgspec

from mlkit.errors import DamagedError
from mlkit.steps.inputs.columns import InputSchema
from mlkit.store.registry import Model, ModelVersion


def of(version: ModelVersion) -> InputSchema:
    """Return the input schema without loading the model; raises DamagedError if it is invalid."""
    try:
        return msgspec.convert(version.input_schema, InputSchema)
    except msgspec.ValidationError as error:
        raise DamagedError(
            f"the input schema of {version.label()} is not the recorded one: {error}; "
            "restore a backup (see: mlkit backup restore)"
        ) from error


def by_number(model: Model) -> dict[int, InputSchema]:
    """Return the input schemas of a model by version number."""
    return {version.number: of(version) for version in model.versions}
