"""Play the year: January teaches, every later month is served, measured and learned from."""

import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from mlkit.demo import flights, page
from mlkit.demo.client import Answer, Client, asking
from mlkit.demo.clock import Clock, shift_to
from mlkit.demo.served import serving
from mlkit.demo.story import MONTHS, Month, Requests, Story, Voice
from mlkit.errors import ConflictError, MlkitError
from mlkit.flows import deploy, ingest, setup, train
from mlkit.flows.deploy import Loaded
from mlkit.project import SETTINGS_FILE, Project, open_project
from mlkit.store import registry, reports
from mlkit.supervisor import preload

MODEL = "flights"
MONTHS_SERVED = range(2, 13)
SETTINGS = f"""
# Written by `mlkit demo`: its months are played by a clock of its own, and each is judged alone.
[models.{MODEL}]
drift_window = "27d"
performance_window = "27d"
retrain_window = "27d"
"""
