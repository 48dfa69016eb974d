import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from scipy import stats

from mlkit.cli.root import cli as root_command
from tests_cli import Cli

Frames = Callable[..., pd.DataFrame]
