"""Fit the loss estimator of a version when it is trained."""

from mlkit.flows.training.candidate import Candidate
from mlkit.flows.training.material import Material
from mlkit.project import Project
from mlkit.steps.inputs import encode
from mlkit.steps.inputs.answers import Predictions
from mlkit.steps.performance import estimation, estimation_file, estimation_fit, metrics

_MOST_LEARNED = 20_000


def learn(project: Project, rows: Material, made: Candidate) -> str | None:
    """Fit and store the loss estimator of a version and return the digest of its file.

    None if losses of the holdout are not finite.
    """
    if not metrics.usable(made.losses).all():
        return None
    holdout, schema = rows.holdout, rows.schema
    thin = slice(None, None, -(-len(made.losses) // _MOST_LEARNED))
    told = made.answers.probabilities
    answers = Predictions(made.answers.values[thin], None if told is None else told[thin])
    actual = estimation.indexes(holdout.actuals[thin], schema.classes)
    given = estimation_fit.Material(
        made.metric,
        estimation.answered(
            estimation.inputs(schema, holdout.matrix[thin]), answers, schema.classes
        ),
        made.losses[thin],
        actual,
        classes=schema.classes,
        names=[encode.names(schema)[place] for place in estimation.lasting(schema)],
        ordered=rows.ordered,
    )
    return project.references.put(estimation_file.dump(estimation_fit.fit(given)))
